"""The last polls of one outbound, for its page. Pure; holds no rows.

The history is kept in memory only, so it begins again with each start.
"""

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.counting.tracker import Applied
from pearl_exporter.errors import Reason
from pearl_exporter.reading.search import Page, Search

MAX_POLLS = 20
"""How many polls of an outbound are remembered."""


class Asked(msgspec.Struct, gc=False):
    """What one poll has asked of the API so far.

    Attributes:
        purposes: What it asked for, in the order in which each purpose came first.
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
        """Note a search that is about to be sent."""
        self.purposes[purpose] = None
        self.start = search.start if self.start is None else min(self.start, search.start)
        self.end = search.end if self.end is None else max(self.end, search.end)

    def answer(self, page: Page) -> None:
        """Note the page of a search."""
        self.requests += 1
        self.rows += page.received


class PollFindings(msgspec.Struct, frozen=True, gc=False):
    """What a good poll found.

    Attributes:
        new: Calls that were read for the first time.
        late: How many of those start where an earlier poll had read already.
        settled: Calls that were counted.
        revised: Changes to calls that were counted before.
        deleted: Unsettled calls that are gone.
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
        asked: What it asked of the API.
        duration_seconds: How long it took.
        found: What it found; None if it failed.
        reason: Why it failed; None if it did not.
        message: The same, for people.
    """

    at: Instant
    asked: Asked
    duration_seconds: float
    found: PollFindings | None = None
    reason: Reason | None = None
    message: str | None = None


def findings_between(before: LedgerSnapshot, applied: Applied) -> PollFindings:
    """Return what a good poll found, by the counters before it and what it came to."""
    after = applied.snapshot.ledger
    return PollFindings(
        new=applied.new,
        late=applied.late_rows,
        settled=after.settled - before.settled,
        revised=sum(after.revisions.values()) - sum(before.revisions.values()),
        deleted=after.uncounted.get("deleted", 0) - before.uncounted.get("deleted", 0),
    )


def with_poll(polls: tuple[PollRecord, ...], poll: PollRecord) -> tuple[PollRecord, ...]:
    """Return the last polls and one more, the newest first."""
    return (poll, *polls[: MAX_POLLS - 1])
