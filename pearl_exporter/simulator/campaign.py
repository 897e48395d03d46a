"""One simulated campaign: every question about it, answered as of any moment.

Pure and seeded: no clock (``at_ms`` is an argument), no I/O. A campaign is a function of its
profile, its seed, its start, and of what was done to it by `Campaign.add_incident`, `remove` and
`bring_back`.

Why a question is quick, however large the window: the calls lie in one list by start, so a range is
two bisections, and its rows are all there but for its *gaps*, the few rows that came late or were
deleted. By status, `pearl_exporter.simulator.outcomes` likewise knows how each call ends and looks
only at those that have not ended yet. Nothing is cached by moment, so nothing can be out of date.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pearl_exporter.simulator.generation import (
    LATEST_APPEARANCE_MS,
    MINUTE_MS,
    Generator,
    horizon_ms,
    strike,
)
from pearl_exporter.simulator.life import NEVER, CallLife, Letterhead, Row, spin
from pearl_exporter.simulator.outcomes import Outcomes
from pearl_exporter.simulator.profile import Incident, Profile

Matches = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the search: ``count`` rows match in all, ``calls`` are those on this page."""

    count: int
    calls: Sequence[CallLife]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is asked: rows that start in [from_ms, to_ms], both ends in, and which part of them.

    ``statuses`` None takes all. ``matches`` is asked of each row in the range, which is slow.
    """

    from_ms: int
    to_ms: int
    skip: int = 0
    limit: int = 100
    ascending: bool = False
    statuses: frozenset[int] | None = None
    matches: Matches | None = None


class Campaign:
    """A campaign of ``profile`` running since ``start_ms``. Makes its calls when first asked."""

    def __init__(self, profile: Profile, *, seed: int = 0, start_ms: int) -> None:
        self.profile = profile
        self.seed = seed
        self.start_ms = start_ms - start_ms % MINUTE_MS  # calls come by the minute
        self.incidents: list[Incident] = []
        salt = spin(spin(seed) ^ int.from_bytes(profile.outbound_id.encode(), "big"))
        self.letterhead = Letterhead(salt, profile.null_share)
        self._generator = Generator(profile, seed, start_ms)
        self._horizon_ms = horizon_ms(profile)
        self._starts = array("q")
        self._calls: list[CallLife] = []
        self._late: list[int] = []
        self._deleted: list[int] = []
        self._touched: dict[int, list[tuple[int, bool]]] = {}
        self._outcomes = Outcomes(self._horizon_ms)

    @property
    def outbound_id(self) -> str:
        """The outbound's id, as in the API's path."""
        return self.profile.outbound_id

    def advance(self, to_ms: int) -> None:
        """Make all calls that start up to ``to_ms``. Questions do it of themselves."""
        while self._generator.next_minute * MINUTE_MS <= to_ms:
            first = len(self._calls)
            calls = self._generator.minute()
            for incident in self.incidents:
                self._strike(calls, incident, incident.start_ms)
            self._calls.extend(calls)
            self._starts.extend(call.start for call in calls)
            self._index(first)

    def add_incident(self, incident: Incident, now_ms: int) -> None:
        """Let ``incident`` hit the calls in its span that start after ``now_ms``."""
        self.advance(now_ms)
        since = max(incident.start_ms, now_ms + 1)
        if since >= incident.end_ms:
            return
        incident = Incident(
            kind=incident.kind, start_ms=since, end_ms=incident.end_ms, share=incident.share
        )
        self.incidents.append(incident)
        first = bisect_left(self._starts, since // MINUTE_MS * MINUTE_MS)
        self._strike(self._calls[first:], incident, since)
        self._forget(first)
        self._index(first)

    def remove(self, call: CallLife, at_ms: int) -> None:
        """Delete the call's row at ``at_ms``, whatever its life had in mind."""
        self._touch(call, at_ms, there=False)

    def bring_back(self, call: CallLife, at_ms: int) -> None:
        """Serve the row of a removed call again from ``at_ms`` on."""
        self._touch(call, at_ms, there=True)

    def visible(self, call: CallLife, at_ms: int) -> bool:
        """Say whether the call's row is served at ``at_ms``."""
        touches = self._touched.get(self._place(call)) if self._touched else None
        return _there(call, touches or (), at_ms)

    def row(self, call: CallLife, at_ms: int) -> Row:
        """Return the call's row as of ``at_ms``, visible or not."""
        return self.letterhead.row(call, at_ms)

    def row_at(self, call: CallLife, at_ms: int) -> Row | None:
        """Return the call's row as of ``at_ms``; None before it appears and after its deletion."""
        return self.row(call, at_ms) if self.visible(call, at_ms) else None

    def calls(self, from_ms: int, to_ms: int) -> Sequence[CallLife]:
        """Return all calls that start in [from_ms, to_ms], visible ever or not, oldest first."""
        self.advance(to_ms)
        return self._calls[bisect_left(self._starts, from_ms) : bisect_right(self._starts, to_ms)]

    def rows(self, from_ms: int, to_ms: int, at_ms: int) -> list[Row]:
        """Return every row of the range as of ``at_ms``, oldest first, by looking at each call."""
        calls = self.calls(from_ms, min(to_ms, at_ms))
        return [self.row(call, at_ms) for call in calls if self.visible(call, at_ms)]

    def count(self, from_ms: int, to_ms: int, at_ms: int) -> int:
        """Return how many rows of the range are served at ``at_ms``."""
        first, end, gaps = self._span(from_ms, to_ms, at_ms)
        return end - first - len(gaps)

    def page(self, search: Search, at_ms: int) -> Page:
        """Answer ``search`` as of ``at_ms``. Newest first unless it asks for ascending."""
        if search.matches is not None:
            return self._page_by_row(search, at_ms)
        if search.statuses is not None:
            return self._page_by_status(search, at_ms)
        first, end, gaps = self._span(search.from_ms, search.to_ms, at_ms)
        count = end - first - len(gaps)
        low, high = _part(search, count)
        before = bisect_right(range(len(gaps)), low, key=lambda gap: gaps[gap] - first - gap)
        calls: list[CallLife] = []
        place = first + low + before
        while len(calls) < high - low:
            if before < len(gaps) and gaps[before] == place:
                before += 1
            else:
                calls.append(self._calls[place])
            place += 1
        return Page(count, calls if search.ascending else calls[::-1])

    def _page_by_row(self, search: Search, at_ms: int) -> Page:
        found = [
            call
            for call in self.calls(search.from_ms, min(search.to_ms, at_ms))
            if self.visible(call, at_ms) and _matches(search, self.row(call, at_ms))
        ]
        low, high = _part(search, len(found))
        return Page(len(found), found[low:high] if search.ascending else found[low:high][::-1])

    def _page_by_status(self, search: Search, at_ms: int) -> Page:
        statuses = search.statuses or frozenset()
        first, end = self._range(search.from_ms, search.to_ms, at_ms)
        open_calls = self._outcomes.open_at(first, end, at_ms, self._starts)
        open_calls.update(place for place in self._touched if first <= place < end)
        extra = sorted(
            place
            for place in open_calls
            if (call := self._calls[place]).status_at(at_ms) in statuses
            and _there(call, self._touched.get(place, ()), at_ms)
        )
        settled = self._outcomes.settled(statuses, (first, end), open_calls, self._calls)
        wanted = search.skip + search.limit
        places, count = settled.merged(extra, wanted, oldest=search.ascending)
        part = places[search.skip : wanted]
        return Page(count, [self._calls[place] for place in part])

    def _range(self, from_ms: int, to_ms: int, at_ms: int) -> tuple[int, int]:
        to_ms = min(to_ms, at_ms)
        self.advance(to_ms)
        first = bisect_left(self._starts, from_ms)
        return first, max(first, bisect_right(self._starts, to_ms))

    def _span(self, from_ms: int, to_ms: int, at_ms: int) -> tuple[int, int, list[int]]:
        """Return the places [first, end) of a range and, in order, those that are not served."""
        first, end = self._range(from_ms, to_ms, at_ms)
        coming = bisect_left(self._starts, at_ms - LATEST_APPEARANCE_MS)
        leaving = bisect_left(self._starts, at_ms - self._horizon_ms)
        gone = _within(self._deleted, first, min(end, leaving))
        unsure = _within(self._late, max(first, coming), end)
        unsure += _within(self._deleted, max(first, leaving), end)
        gaps = gone + [place for place in unsure if not self._calls[place].visible_at(at_ms)]
        if self._touched:
            touched = [place for place in self._touched if first <= place < end]
            missing = (p for p in touched if not _there(self._calls[p], self._touched[p], at_ms))
            gaps = [*(place for place in gaps if place not in self._touched), *missing]
        return first, end, sorted(set(gaps))

    def _strike(self, calls: Iterable[CallLife], incident: Incident, since: int) -> None:
        for call in calls:
            if since <= call.start < incident.end_ms:
                strike(call, incident)

    def _index(self, first: int) -> None:
        calls = self._calls
        for place in range(first, len(calls)):
            call = calls[place]
            if call.appear != call.start:
                self._late.append(place)
            if call.deleted != NEVER:
                self._deleted.append(place)
        self._outcomes.add(first, calls)

    def _forget(self, first: int) -> None:
        for places in (self._late, self._deleted):
            del places[bisect_left(places, first) :]
        self._outcomes.forget(first)

    def _place(self, call: CallLife) -> int:
        place = bisect_left(self._starts, call.start)
        while self._calls[place] is not call:
            place += 1
        return place

    def _touch(self, call: CallLife, at_ms: int, *, there: bool) -> None:
        touches = self._touched.setdefault(self._place(call), [])
        insort(touches, (at_ms, there), key=lambda touch: touch[0])


def _there(call: CallLife, touches: Sequence[tuple[int, bool]], at_ms: int) -> bool:
    """Say whether a call's row is served, given what was done to it from outside."""
    for since, there in reversed(touches):
        if since <= at_ms:
            return there
    return call.visible_at(at_ms)


def _matches(search: Search, row: Row) -> bool:
    if search.statuses is not None and row["conversationStatus"] not in search.statuses:
        return False
    return search.matches is None or search.matches(row)


def _part(search: Search, count: int) -> tuple[int, int]:
    """Return which of ``count`` rows, counted from the oldest, are on the page: [low, high)."""
    low, high = min(search.skip, count), min(search.skip + search.limit, count)
    return (low, high) if search.ascending else (count - high, count - low)


def _within(places: list[int], first: int, end: int) -> list[int]:
    return places[bisect_left(places, first) : bisect_left(places, end)] if first < end else []
