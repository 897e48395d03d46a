"""In the end of a soak: every row that a poll has read against the simulated call at that time.

A poll reads as of its T, but its requests take time, and the table changes meanwhile. So a row is
right if the call looked like that at some moment between T and the end of the poll. A call that was
there all that time, in a range that the poll read whole, must be among its rows.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from bench.soak.recorded_polls import RecordedPoll
from pearl_exporter.api.decode_calls import decode_page
from pearl_exporter.counting.calls import Call
from pearl_exporter.simulator import Campaign
from pearl_exporter.simulator.call_life import NEVER, CallLife

_AHEAD_MS = 7_000
"""How far T may be ahead of the API's clock. A Date header has whole seconds, T may differ from it
by 2 s, and T stays where it was instead of stepping back by up to 4 s."""

_LATER_MS = 1_000
"""How far the API's clock may be ahead of this machine's."""


class Span(NamedTuple):
    """From when to when a poll may have read, in milliseconds of the API's clock."""

    start: int
    end: int


class _Version(NamedTuple):
    """The row of a call from one moment until another."""

    since: int
    until: int
    row: Call


class SimulatedRows:
    """The rows that the API has shown of a campaign's calls, with the times at which it did."""

    def __init__(self, campaign: Campaign, first_ms: int, last_ms: int) -> None:
        calls = campaign.calls(first_ms, last_ms)
        self._starts = [call.start for call in calls]
        self._ids = [campaign.row_writer.call_id(call) for call in calls]
        self._versions = _versions(campaign, calls)

    def was(self, row: Call, span: Span) -> bool:
        """Return whether the API showed exactly this row at some moment of the span."""
        return any(
            each.row == row and each.since <= span.end and span.start < each.until
            for each in self._versions.get(row.id, ())
        )

    def has(self, id_: str, at_ms: int) -> bool:
        """Return whether the API showed the call at a moment, whatever its row was."""
        versions = self._versions.get(id_, [])
        return any(each.since <= at_ms < each.until for each in versions)

    def times_of(self, row: Call) -> str:
        """Return when the API showed this row, for a message; "" if never."""
        versions = self._versions.get(row.id, ())
        return ", ".join(f"{each.since} to {each.until}" for each in versions if each.row == row)

    def present(self, ranges: Iterable[tuple[int, int]], span: Span) -> list[str]:
        """Return the ids of calls that start in the ranges and were shown all through the span."""
        found = []
        for start, end in ranges:
            for place in range(bisect_left(self._starts, start), bisect_left(self._starts, end)):
                versions = self._versions.get(self._ids[place])
                if versions and versions[0].since <= span.start and span.end < versions[-1].until:
                    found.append(self._ids[place])
        return found


def _versions(campaign: Campaign, calls: Sequence[CallLife]) -> Mapping[str, list[_Version]]:
    """Return each call's rows by its id. They are decoded together, which is much faster."""
    moments = [_moments(call) for call in calls]
    found: dict[str, list[_Version]] = {}
    for number in range(max(map(len, moments), default=0)):
        part = [(call, own) for call, own in zip(calls, moments, strict=True) if number < len(own)]
        rows = [campaign.row(call, own[number]) for call, own in part]
        page = decode_page(msgspec.json.encode({"count": len(rows), "results": rows}))
        decoded = {row.id: row for row in page.calls}
        for call, own in part:
            id_ = campaign.row_writer.call_id(call)
            until = own[number + 1] if number + 1 < len(own) else call.deleted
            found.setdefault(id_, []).append(_Version(own[number], until, decoded[id_]))
    return found


def _moments(call: CallLife) -> list[int]:
    """Return when the row appears and when it changes."""
    changes = {call.queued, call.talk, call.end, call.written, call.tagged}
    if call.late_change is not None:
        changes.add(call.late_change.at_ms)
    last = min(call.deleted, NEVER)
    if call.appear >= last:
        return []
    return [call.appear, *sorted(each for each in changes if call.appear < each < last)]


def span_of(poll: RecordedPoll, paused_ms: int, at_ms: int) -> Span:
    """Return when a poll may have read.

    Args:
        poll: The poll.
        paused_ms: When the API's clock stopped to run with this machine's.
        at_ms: Where it was set then.
    """
    end = poll.read_until + _LATER_MS
    return Span(poll.now - _AHEAD_MS, max(end, at_ms) if end >= paused_ms else end)


def row_failures(rows: SimulatedRows, poll: RecordedPoll, span: Span) -> list[str]:
    """Return a line for every row of a poll that is wrong, and for every row that is missing."""
    wrong = [row for row in poll.rows if not rows.was(row, span)]
    read = {row.id for row in poll.rows} | poll.unreadable_ids
    missing = [id_ for id_ in rows.present(poll.ranges, span) if id_ not in read]
    return [
        *(
            f"T {poll.now}, read until {poll.read_until}: the API had this row "
            f"{rows.times_of(row) or 'never'}: {row}"
            for row in wrong
        ),
        *(f"T {poll.now}: call {id_} was not read" for id_ in missing),
    ]
