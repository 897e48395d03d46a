"""A table of calls that answers searches in each way that the facts of the API leave open."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pearl_exporter.counting.calls import Call
from pearl_exporter.reading.plan import PollPlan, PollResult
from pearl_exporter.reading.range_read import RangeRead
from pearl_exporter.reading.search import Page, Search


@dataclass
class Table:
    """Rows by id. Between two searches ``on_search`` may change them."""

    rows: dict[str, Call] = field(default_factory=dict)
    inclusive_start: bool = True
    inclusive_end: bool = True
    clamp: int = 10_000
    order: Callable[[Call], object] | None = None
    """An order of the server's own, where it ignores the one that is asked for."""
    coarse_ms: int = 1
    """Dates are cut down to a multiple of this."""
    miscount: int = 0
    miscount_by_status: int = 0
    """So many more are counted where a search names statuses."""
    ignores_statuses: bool = False
    rejected: frozenset[str] = frozenset()
    """Rows that can't be used, with their ids or ``without_ids``."""
    without_ids: bool = False
    on_search: Callable[["Table"], None] = lambda _: None
    searches: list[Search] = field(default_factory=list)

    def put(self, *calls: Call) -> None:
        for call in calls:
            self.rows[call.id] = call

    def answer(self, search: Search) -> Page:
        self.searches.append(search)
        start = search.start // self.coarse_ms * self.coarse_ms
        end = search.end // self.coarse_ms * self.coarse_ms
        found = [
            call
            for call in self.rows.values()
            if (self.ignores_statuses or not search.statuses or call.status in search.statuses)
            and (start <= call.start if self.inclusive_start else start < call.start)
            and (call.start <= end if self.inclusive_end else call.start < end)
        ]
        if self.order is not None:
            found.sort(key=lambda call: (self.order(call), call.id))
        else:
            found.sort(key=lambda call: (call.start, call.id), reverse=not search.ascending)
        page = found[search.skip :][: min(search.limit, self.clamp)]
        usable = [call for call in page if call.id not in self.rejected]
        rejected = frozenset(call.id for call in page) & self.rejected
        told = frozenset[str]() if self.without_ids else rejected
        ends_usably = not page or page[-1].id not in rejected
        miscount = self.miscount + (self.miscount_by_status if search.statuses else 0)
        return Page(max(0, len(found) + miscount), usable, len(rejected), told, ends_usably)


def read_whole(read: RangeRead, table: Table, *, most: int = 10_000) -> dict[str, Call]:
    """Reads to the end; the rows by id. Fails if that takes more than ``most`` searches."""
    for _ in range(most):
        search = read.next_search()
        if search is None:
            return by_id(read.calls)
        read.apply(table.answer(search))
        table.on_search(table)
    raise AssertionError(f"still reading after {most} searches")


def by_id(calls: Iterable[Call]) -> dict[str, Call]:
    listed = list(calls)
    found = {call.id: call for call in listed}
    assert len(found) == len(listed), "a call was given twice"
    return found


def run_plan(plan: PollPlan, table: Table) -> PollResult:
    steps = plan.steps()
    try:
        search = next(steps)
        while True:
            page = table.answer(search)
            table.on_search(table)
            search = steps.send(page)
    except StopIteration as end:
        reading: PollResult = end.value
        return reading
