"""What is remembered of the last polls of one outbound, for the page. Pure; holds no rows.

It lives in memory alone, and so begins anew with each start.
"""

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.counting.tracker import Applied
from pearl_exporter.reading.search import Page, Search

MAX_POLLS = 20
"""So many polls are remembered of an outbound."""


class Asked(msgspec.Struct, gc=False):
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


class PollFindings(msgspec.Struct, frozen=True, gc=False):
    """What a good poll found.

    Attributes:
        new: Calls that were first seen.
        late: Those of them that started where an earlier poll had read already.
        settled: Calls that were counted.
        revised: Changes to calls that were counted before.
        deleted: Unsettled calls that vanished.
    """

    new: int = 0
    late: int = 0
    settled: int = 0
    revised: int = 0
    deleted: int = 0


class PollRecord(msgspec.Struct, frozen=True, gc=False):
    """One poll that ended. Instants in milliseconds.

    Attributes:
        at: When it ended.
        asked: What was asked.
        duration_seconds: How long it took.
        found: What it found; None if it failed.
        reason: Why it failed; None if it did not.
        message: The same, for people.
    """

    at: Instant
    asked: Asked
    duration_seconds: float
    found: PollFindings | None = None
    reason: str | None = None
    message: str | None = None


def findings_between(before: LedgerSnapshot, applied: Applied) -> PollFindings:
    """What a good poll found, by the counters before and after it."""
    after = applied.snapshot.ledger
    return PollFindings(
        new=applied.new,
        late=applied.late_rows,
        settled=after.settled - before.settled,
        revised=sum(after.revisions.values()) - sum(before.revisions.values()),
        deleted=after.uncounted.get("deleted", 0) - before.uncounted.get("deleted", 0),
    )


def with_poll(polls: tuple[PollRecord, ...], poll: PollRecord) -> tuple[PollRecord, ...]:
    """The last polls and one more, the newest first."""
    return (poll, *polls[: MAX_POLLS - 1])
