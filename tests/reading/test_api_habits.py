"""`try_habits` raises no alarm over a healthy API whose calls come, change and go as it asks."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pearl_exporter.counting.calls import Call
from pearl_exporter.reading.habits import Judgement, try_habits
from pearl_exporter.reading.search import Page, Search

NOW = 1_800_000_000_000
WINDOW_MS = 3_600_000
LIMIT = 20
LATE_MS = 30_000
"""How late a call may be listed."""

ALARMS = ("cuts long ranges short", "in another order with", "another id", "that had none")


@dataclass
class Table:
    """A healthy API's calls by id, and what becomes of them before each answer."""

    calls: dict[int, Call]
    changes: list[tuple[int, int]]

    def change(self) -> None:
        """List a call late, let one go on and one be deleted, if it is time for it."""
        if not self.changes:
            return
        known, late = self.changes.pop()
        ids = sorted(self.calls)
        deleted, changed = ids[known % len(ids)], ids[(known // 7) % len(ids)]
        self.calls[changed] = replace(self.calls[changed], status=100, duration=9.0)
        if len(ids) > 1:
            del self.calls[deleted]
        number = 1000 + len(self.changes)
        self.calls[number] = call_of(number, NOW - late)

    def answer(self, search: Search) -> Page:
        """Return the page; calls of the same start are in the order of their ids."""
        found = sorted(
            (
                call
                for call in self.calls.values()
                if search.start <= call.start <= search.end
                and (not search.statuses or call.status in search.statuses)
            ),
            key=lambda call: (call.start, call.id),
            reverse=not search.ascending,
        )
        return Page(len(found), found[search.skip :][: search.limit])


def call_of(number: int, start: int) -> Call:
    return Call(f"{number:024x}", start, 10, None, 0.0, ())


def judged(table: Table) -> list[Judgement]:
    searches = try_habits(NOW - WINDOW_MS, NOW, LIMIT)
    try:
        search = next(searches)
        while True:
            page = table.answer(search)
            table.change()
            search = searches.send(page)
    except StopIteration as end:
        return end.value


any_start = st.integers(NOW - WINDOW_MS - 60_000, NOW - 1)


@settings(max_examples=300, deadline=None)
@given(
    starts=st.lists(
        any_start | any_start.map(lambda start: start // 60_000 * 60_000), min_size=1, max_size=90
    )
    | st.lists(st.integers(NOW - WINDOW_MS // 2, NOW - WINDOW_MS // 2 + 99), min_size=1),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, LATE_MS)), max_size=8),
)
def test_a_healthy_api_raises_no_alarm(starts, changes):
    calls = {number: call_of(number, start) for number, start in enumerate(starts)}
    texts = [judgement.text for judgement in judged(Table(calls, changes))]
    assert not [text for text in texts if any(alarm in text for alarm in ALARMS)]
