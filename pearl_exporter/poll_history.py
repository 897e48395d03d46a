"""What is remembered of the last polls of one outbound, for the page. Pure; holds no rows.

It lives in memory alone, and so begins anew with each start.
"""

from collections.abc import Mapping

import msgspec

from pearl_exporter.calls import Instant
from pearl_exporter.ledger import LedgerSnapshot
from pearl_exporter.sync import Page, Search

MOST_POLLS = 20
"""So many polls are remembered of an outbound."""

STEP_MS = 300_000
MOST_STEPS = 72
"""Outcomes are remembered in steps of 5 minutes, for 6 hours."""


class Asked(msgspec.Struct):
    """What one poll has asked so far.

    Attributes:
        purposes: What for, in the order in which it was asked first.
        start: The earliest start of a call that was asked for, None before any request.
        end: The latest, exclusive.
        requests: Searches that were answered with a page.
        rows: What the pages held, rejected rows included.
    """

    purposes: dict[str, None] = msgspec.field(default_factory=dict)
    start: Instant | None = None
    end: Instant | None = None
    requests: int = 0
    rows: int = 0

    def note(self, purpose: str, search: Search) -> None:
        """A search is about to be asked."""
        self.purposes[purpose] = None
        self.start = search.start if self.start is None else min(self.start, search.start)
        self.end = search.end if self.end is None else max(self.end, search.end)

    def answer(self, page: Page) -> None:
        """Its page came."""
        self.requests += 1
        self.rows += page.received


class PollRecord(msgspec.Struct, frozen=True):
    """One poll that ended. Instants in milliseconds.

    Attributes:
        at: When it ended.
        asked: What was asked.
        duration_seconds: How long it took.
        new: Calls that were first seen.
        late: Those of them that started where an earlier poll had read already.
        settled: Calls that were counted.
        revised: Changes to calls that were counted before.
        deleted: Unsettled calls that vanished.
        reason: Why it failed; None if it did not.
        message: The same, for people.
    """

    at: Instant
    asked: Asked
    duration_seconds: float
    new: int = 0
    late: int = 0
    settled: int = 0
    revised: int = 0
    deleted: int = 0
    reason: str | None = None
    message: str | None = None


class OutcomeStep(msgspec.Struct, frozen=True):
    """The calls that were counted in one step of time, by outcome; ``begins`` is an instant."""

    begins: Instant
    by_status: Mapping[str, int]

    @property
    def settled(self) -> int:
        """All of them."""
        return sum(self.by_status.values())


class PollHistory(msgspec.Struct, frozen=True):
    """The last polls, newest first, and the outcomes of the last hours, oldest first.

    A step in which no poll succeeded is not there: that is a gap, not a zero.
    """

    polls: tuple[PollRecord, ...] = ()
    steps: tuple[OutcomeStep, ...] = ()

    def with_poll(self, record: PollRecord) -> "PollHistory":
        """The same after one poll more."""
        return PollHistory((record, *self.polls[: MOST_POLLS - 1]), self.steps)

    def with_outcomes(
        self, before: Mapping[str, int], after: Mapping[str, int], now: Instant
    ) -> "PollHistory":
        """The same after a good poll, as of ``now``, that counted what is in ``after`` more."""
        begins = now - now % STEP_MS
        counted = {
            status: count - before.get(status, 0)
            for status, count in after.items()
            if count > before.get(status, 0)
        }
        # a clock that stepped back: what comes after is of a time yet to come
        steps = tuple(each for each in self.steps if each.begins <= begins)
        if steps and steps[-1].begins == begins:
            if not counted:
                return PollHistory(self.polls, steps)
            *earlier, last = steps
            known = last.by_status
            counted = {
                status: known.get(status, 0) + counted.get(status, 0)
                for status in (*known, *(each for each in counted if each not in known))
            }
            steps = tuple(earlier)
        oldest = begins - (MOST_STEPS - 1) * STEP_MS
        kept = tuple(each for each in steps if each.begins >= oldest)
        return PollHistory(self.polls, (*kept, OutcomeStep(begins, counted)))


def counted_between(before: LedgerSnapshot, after: LedgerSnapshot) -> dict[str, int]:
    """What a poll has counted, as fields of its record."""
    return {
        "settled": after.settled - before.settled,
        "revised": sum(after.revisions.values()) - sum(before.revisions.values()),
        "deleted": after.uncounted.get("deleted", 0) - before.uncounted.get("deleted", 0),
    }
