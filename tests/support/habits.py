"""An API with one bad habit: right rows and counts, and what the habit makes of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx

from pearl_exporter.api.decode_calls import format_instant, parse_instant

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A search as it is asked, in milliseconds."""

    start: int
    end: int
    skip: int
    limit: int
    ascending: bool
    number: int
    """How many searches came before it."""


def _same_rows(rows: list[Row]) -> list[Row]:
    return rows


@dataclass(frozen=True)
class Habit:
    """What is done to a right answer.

    Attributes:
        count: Gets the right count, how many rows are shown, and the search.
        rows: What becomes of the rows of the page.
        null_results: Whether there are no rows, but null.
        label_ms: By how much the starts that are shown are moved.
        zone: Whether the starts that are shown have a zone.
        ends_ms: By how much the ends are moved that are looked for.
        coarse_ms: To what the ends are rounded down.
        order: The server's own order.
        ignores_end, ignores_start, ignores_skip: What is not looked at.
        endless: Whether there are more rows than exist, however many were asked for.
        max_page: The most rows of a page.
        retention_ms: How old calls become, before they are deleted.
        seconds_a_request: How long an answer takes.
        lag_ms: How late calls may be listed, at most, because of it.
        deletes: The number of the search before which the oldest half of the calls is deleted.
    """

    count: Callable[[int, int, Asked], int] = lambda right, _shown, _asked: right
    rows: Callable[[list[Row]], list[Row]] = _same_rows
    null_results: bool = False
    label_ms: int = 0
    zone: bool = True
    ends_ms: int = 0
    coarse_ms: int = 1
    order: Callable[[Row], object] | None = None
    ignores_end: bool = False
    ignores_start: bool = False
    ignores_skip: bool = False
    endless: bool = False
    max_page: int = 100
    retention_ms: int = 400 * DAY_MS
    seconds_a_request: float = 0.0
    lag_ms: int = 1_000
    deletes: int | None = None


WELL_BEHAVED = Habit()


def usable_rows(share: float, **changes: Any) -> Habit:
    """Return the habit that the given share of the rows is as it should be, by their ids."""

    def changed(row: Row) -> Row:
        return row if int(row["id"], 16) * 37 % 100 < share * 100 else {**row, **changes}

    return Habit(rows=lambda rows: [changed(row) for row in rows])


def each_row(change: Callable[[Row], Row]) -> Habit:
    return Habit(rows=lambda rows: [change(row) for row in rows])


@dataclass
class HabitApi(httpx.AsyncBaseTransport):
    """Answers searches for calls that begin at a steady pace, by the habit in force.

    Attributes:
        now_ms: The present.
        wait: Lets time pass, in seconds.
        every_ms: How much time lies between two calls.
        since_ms: When the first call began.
        habit: The habit in force.
        searches: How many searches were answered.
    """

    now_ms: Callable[[], int]
    wait: Callable[[float], Any]
    every_ms: int
    since_ms: int
    habit: Habit = WELL_BEHAVED
    searches: int = 0
    deleted_until: int = 0
    seen: list[Asked] = field(default_factory=list)

    def rows(self, start: int, end: int) -> list[Row]:
        """Return the calls that start in ``[start, end]`` and are listed right now."""
        now = self.now_ms()
        low = max(start, self.since_ms, now - self.habit.retention_ms, self.deleted_until)
        first = -(-low // self.every_ms) * self.every_ms
        return [
            _row(at // self.every_ms, at) for at in range(first, min(end, now) + 1, self.every_ms)
        ]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body, habit = json.loads(await request.aread()), self.habit
        asked = Asked(
            parse_instant(body["fromDate"]) or 0,
            parse_instant(body["toDate"]) or 0,
            body["skip"],
            body["limit"],
            body["isAscending"],
            self.searches,
        )
        self.searches += 1
        self.seen.append(asked)
        if habit.seconds_a_request:
            await self.wait(habit.seconds_a_request)
        if habit.deletes == asked.number:
            self.deleted_until = (asked.start + self.now_ms()) // 2
        found = self._found(asked)
        if statuses := body.get("statuses"):
            found = [row for row in found if row["conversationStatus"] in statuses]
        skip = 0 if habit.ignores_skip else asked.skip
        size = min(asked.limit, habit.max_page)
        page = habit.rows([dict(row) for row in found[skip:][:size]])
        if habit.endless and not body.get("statuses"):
            page += [
                _row(-(asked.number * 1000 + place) % 2**90, asked.end - 1 - asked.number * 1000)
                for place in range(size - len(page))
            ]
        for row in page:
            if row:
                row["startTime"] = self._shown(row["startTime"])
        answer = {
            "count": habit.count(len(found), len(page), asked),
            "results": None if habit.null_results else page,
        }
        date = format_datetime(datetime.fromtimestamp(self.now_ms() / 1000, UTC), usegmt=True)
        stream = httpx.ByteStream(json.dumps(answer).encode())
        return httpx.Response(200, headers={"date": date}, stream=stream)

    def _found(self, asked: Asked) -> list[Row]:
        habit = self.habit
        start, end = (
            (at + habit.ends_ms) // habit.coarse_ms * habit.coarse_ms
            for at in (asked.start, asked.end)
        )
        found = self.rows(0 if habit.ignores_start else start, 2**50 if habit.ignores_end else end)
        if habit.order is not None:
            return sorted(found, key=lambda row: (habit.order(row), row["id"]))
        return sorted(found, key=lambda row: row["startTime"], reverse=not asked.ascending)

    def _shown(self, at: Any) -> Any:
        if not isinstance(at, int):
            return at
        shown = format_instant(at + self.habit.label_ms)
        return shown if self.habit.zone else shown[:-1]


def _row(number: int, at: int) -> Row:
    is_answered = number % 2 == 1
    return {
        "id": f"{number:024x}",
        "startTime": at,
        "conversationStatus": 130 if is_answered else 150,
        "status": 4 if is_answered else 7,
        "duration": 12 if is_answered else 0,
        "tags": ["vip"] if number % 5 == 0 else None,
    }


def counts(count: Callable[[int, int, Asked], int]) -> Habit:
    return Habit(count=count)


def _by_place(row: Row) -> object:
    return row["id"][::-1]


def _zone(hours: float, **more: Any) -> Habit:
    return Habit(label_ms=round(hours * HOUR_MS), zone=False, **more)


HABITS: Mapping[str, Habit] = {
    "well behaved": WELL_BEHAVED,
    "count one too high": counts(lambda right, _, __: right + 1),
    "count one too low": counts(lambda right, _, __: max(0, right - 1)),
    "count 50 too high": counts(lambda right, _, __: right + 50),
    "count 50 too low": counts(lambda right, _, __: max(0, right - 50)),
    "count capped at 250": counts(lambda right, _, __: min(right, 250)),
    "count is the page's length": counts(lambda _, shown, __: shown),
    "count is the page's length, pages of 50": Habit(count=lambda _, shown, __: shown, max_page=50),
    "count is the page size": counts(lambda _, __, asked: asked.limit),
    "count is 10^12": counts(lambda _, __, ___: 10**12),
    "count is 0": counts(lambda _, __, ___: 0),
    "count jumps": counts(lambda right, _, asked: max(0, right + asked.number * 7919 % 200 - 100)),
    "rows without end": Habit(endless=True),
    "rows and count without end": Habit(
        endless=True, count=lambda right, _, a: right + 100 * (a.number % 20)
    ),
    "the same page again and again": Habit(ignores_skip=True, ignores_end=True, ignores_start=True),
    "results null": Habit(null_results=True),
    "every second row missing": Habit(rows=lambda rows: rows[::2]),
    "no rows, and a count": Habit(rows=lambda _: []),
    **{f"starts {hours:+g} h": _zone(hours) for hours in (3, -5, 5.5, -0.5, 12, -11)},
    **{
        f"starts and ends {hours:+g} h": _zone(hours, ends_ms=round(-hours * HOUR_MS))
        for hours in (3,)
    },
    **{
        f"ends {hours:+g} h": Habit(ends_ms=round(-hours * HOUR_MS)) for hours in (3, -5, 5.5, -0.5)
    },
    "ends cut to seconds": Habit(coarse_ms=1000),
    "ends cut to minutes": Habit(coarse_ms=MINUTE_MS, lag_ms=MINUTE_MS),
    "ends cut to days": Habit(coarse_ms=DAY_MS),
    "sorted by another field": Habit(order=_by_place),
    "always oldest first": Habit(order=lambda row: row["startTime"]),
    "the end ignored": Habit(ignores_end=True),
    "the start ignored": Habit(ignores_start=True),
    "no usable id": each_row(lambda row: {"callId": row["id"], **row, "id": None}),
    "no usable start": each_row(lambda row: {**row, "startTime": "yesterday"}),
    "one row in 200 unusable": Habit(
        rows=lambda rows: [{**r, "id": None} if r["startTime"] % 200_000 == 0 else r for r in rows]
    ),
    "a third of the rows unusable": usable_rows(0.67, id=None),
    "two thirds of the rows unusable": usable_rows(0.33, id=None),
    "words for outcomes": each_row(lambda row: {**row, "conversationStatus": "Complete"}),
    "words for durations": each_row(lambda row: {**row, "duration": "12 s"}),
    "durations in milliseconds": each_row(lambda row: {**row, "duration": row["duration"] * 1000}),
    "one row of each page null": Habit(rows=lambda rows: [*rows[:7], {}, *rows[8:]]),
    "tags as one text": each_row(lambda row: {**row, "tags": "vip"}),
    "numbers in quotes": each_row(
        lambda row: {
            **row,
            "conversationStatus": str(row["conversationStatus"]),
            "status": str(row["status"]),
            "duration": str(row["duration"]),
        }
    ),
    "fields null": each_row(lambda row: {**row, "tags": None}),
    "the window at the retention's edge": Habit(retention_ms=10 * MINUTE_MS, seconds_a_request=1.0),
    "a bulk deletion": Habit(deletes=3),
}


def retention_of(habit: Habit, window_ms: int) -> Habit:
    """Return the habit with the retention, if it has one, as long as a window."""
    return replace(habit, retention_ms=window_ms) if habit.retention_ms < DAY_MS else habit
