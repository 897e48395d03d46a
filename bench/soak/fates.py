"""What may have become of a simulated call under an exact exporter, by the contract. Pure.

A campaign knows the whole life of each of its calls, and a poll sees it at some moments alone. Of
calls whose rows keep what they say, one fate is possible in nearly all cases, whenever the polls
were; of those that come late, change or are deleted, there are several.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.soak.lab import FOLLOW_SECONDS, SETTLE_SECONDS, UNANSWERED_SECONDS, WINDOW_SECONDS
from pearl_exporter.counting.calls import LIVE_STATUSES
from pearl_exporter.simulator import Campaign
from pearl_exporter.simulator.call_life import NEVER, CallLife
from pearl_exporter.simulator.truth import distinct_tags, live

WINDOW_MS = WINDOW_SECONDS * 1000
FOLLOW_MS = FOLLOW_SECONDS * 1000

_READ_MS = 60_000
"""A row is read at most so long after the T of its poll: the poll asks again and again."""
_CLOCK_MS = 2_000
"""How far T may be off: a Date is in whole seconds."""


class Tracking(NamedTuple):
    """How one outbound was tracked. All in milliseconds of the API's time.

    Attributes:
        first: The rows of the first poll are as of this moment, at which time stood still.
        since: T0.
        paused: The last moment of the run; from here time jumped to ``at``, and stood still.
        at: The rows of the last polls are as of this moment.
        until: The latest T of a poll.
        gap: The longest time between two good polls of the run.
    """

    first: int
    since: int
    paused: int
    at: int
    until: int
    gap: int

    @property
    def pause(self) -> int:
        """After something happened, it is read within this time, if it is still there."""
        return self.gap + _READ_MS


class Fate(NamedTuple):
    """What the counters tell of a call.

    ``uncounted`` is the reason if it was given up, ``row`` its values if it was counted. One that
    has started and has neither is live or pending.
    """

    has_started: bool
    uncounted: str = ""
    row: tuple[int, int, int, tuple[str, ...]] | None = None
    """Outcome, telephony state, duration and tags."""


NEVER_SEEN = Fate(has_started=False)
"""History, or gone before it was read."""
OPEN = Fate(has_started=True)
DELETED = Fate(has_started=True, uncounted="deleted")
EXPIRED = Fate(has_started=True, uncounted="follow_expired")


class _Version(NamedTuple):
    """What a row says from one moment until another one."""

    since: int
    until: int
    row: dict[str, Any]


def fates_of(campaign: Campaign, call: CallLife, tracking: Tracking) -> frozenset[Fate]:
    """Every fate that is possible."""
    versions = list(_versions(campaign, call, tracking))
    seen = _may_start(call, versions, tracking)
    fates = set[Fate]()
    if False in seen:
        fates.add(NEVER_SEEN)
    if True in seen:
        fates |= _counted(call, versions, tracking)
    return frozenset(fates)


def _versions(campaign: Campaign, call: CallLife, tracking: Tracking) -> Iterator[_Version]:
    """The rows that polls may have read, in order; the last one's end may not have come yet."""
    begin = max(tracking.first, call.appear)
    changes = {call.queued, call.talk, call.end, call.written, call.tagged, call.deleted}
    if call.late_change is not None:
        changes.add(call.late_change.at_ms)
    moments = sorted({begin, *(each for each in changes if each > begin)})
    for since, until in zip(moments, [*moments[1:], NEVER], strict=True):
        if since <= tracking.at and since < call.deleted:
            yield _Version(since, until, campaign.row(call, since))


def _may_start(call: CallLife, versions: list[_Version], tracking: Tracking) -> set[bool]:
    """Whether it was read while it could still be counted: yes, no, or either."""
    first, since = tracking.first, tracking.since
    if not versions or call.start < since - FOLLOW_MS:
        return {False}
    if call.start < since - WINDOW_MS:  # found by its code alone, and by the first poll alone
        row = versions[0].row
        return {call.appear <= first and row["conversationStatus"] in LIVE_STATUSES}
    if call.appear <= first:
        return {not _is_history(call, versions[0], since)}
    if call.start < min(call.appear, tracking.paused) - tracking.gap - WINDOW_MS:
        return {False}  # behind the edge when it came
    seen_by = call.appear + tracking.pause
    if seen_by > tracking.paused:
        seen_by = tracking.at
    found = {not _is_history(call, each, since) for each in versions if each.since <= seen_by}
    is_late = call.start < call.appear + _READ_MS - WINDOW_MS
    return found | {False} if is_late or call.deleted <= seen_by else found


def _is_history(call: CallLife, version: _Version, since: int) -> bool:
    return not live(version.row) and _settles(call, version) <= since


def _settles(call: CallLife, version: _Version, seen_live: int = 0) -> int:
    duration = version.row["duration"]
    wait = SETTLE_SECONDS if duration > 0 else UNANSWERED_SECONDS
    return max(call.start + duration * 1000, seen_live) + wait * 1000


def _counted(call: CallLife, versions: list[_Version], tracking: Tracking) -> set[Fate]:
    """What may become of a call that has started."""
    fates, seen_live = set[Fate](), 0
    for each in versions:
        is_last = each.until > tracking.at
        if live(each.row):
            seen_live = tracking.at if is_last else min(each.until, tracking.paused + _CLOCK_MS)
            continue
        earliest, latest = _settles(call, each), _settles(call, each, seen_live)
        if earliest <= tracking.until and each.until > earliest - _CLOCK_MS:
            fates.add(Fate(has_started=True, row=_values(each.row)))
        read_by = max(latest, each.since) + tracking.pause
        has_time = read_by < min(each.until, tracking.paused)
        if has_time or (is_last and latest <= tracking.until):
            return fates | _given_up(call, read_by, tracking)
    fates |= _given_up(call, tracking.until, tracking)
    return fates | ({DELETED} if call.deleted <= tracking.at else _still_open(call, tracking))


def _given_up(call: CallLife, settled_by: int, tracking: Tracking) -> set[Fate]:
    """Whether it may have been given up before it settled."""
    expires = call.start + FOLLOW_MS
    return {EXPIRED} if expires < min(settled_by, tracking.until) else set()


def _still_open(call: CallLife, tracking: Tracking) -> set[Fate]:
    return set() if call.start < tracking.until - max(FOLLOW_MS, WINDOW_MS) else {OPEN}


def _values(row: dict[str, Any]) -> tuple[int, int, int, tuple[str, ...]]:
    tags = tuple(sorted(distinct_tags(row)))
    return row["conversationStatus"], row["status"], row["duration"], tags
