"""A table of calls that answers searches in each way that the API's documentation leaves open."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pearl_exporter.counting.calls import Call
from pearl_exporter.polling.plan_runner import drive
from pearl_exporter.reading.plan import PollPlan, PollResult
from pearl_exporter.reading.range_read import RangeRead, RangeResult
from pearl_exporter.reading.search import Page, Purpose, Search, Step

T = TypeVar("T")

MAX_SEARCHES = 10_000
"""One read takes fewer; it fails if it does not, instead of reading for ever."""


@dataclass
class Table:
    """Rows by id; ``on_search`` is called after each answer, and may change them."""

    rows: dict[str, Call] = field(default_factory=dict)
    inclusive_start: bool = True
    inclusive_end: bool = True
    clamp: int = 10_000
    order: Callable[[Call], object] | None = None
    """The server's own order, if it ignores the one that is asked for."""
    coarse_ms: int = 1
    """The server rounds dates down to a multiple of this."""
    miscount: int = 0
    """Added to the count of each answer."""
    miscount_by_status: int = 0
    """Added to the count of a search that names statuses."""
    ignores_statuses: bool = False
    max_statuses: int | None = None
    """How many of the outcomes that are searched for the server looks for; None for all."""
    rejected: frozenset[str] = frozenset()
    """Ids of the rows that cannot be used; the rows lack the id too if ``without_ids``."""
    without_ids: bool = False
    shown: Callable[[Mapping[str, Call]], Mapping[str, Call]] = dict
    """What of the rows the server knows that answers: by default all of them."""
    on_search: Callable[["Table"], None] = lambda _: None
    searches: list[Search] = field(default_factory=list)
    purposes: list[Purpose] = field(default_factory=list)
    """What the searches of the last plan were for."""

    def put(self, *calls: Call) -> None:
        for call in calls:
            self.rows[call.id] = call

    def answer(self, search: Search) -> Page:
        self.searches.append(search)
        statuses = search.statuses[: self.max_statuses]
        start = search.start // self.coarse_ms * self.coarse_ms
        end = search.end // self.coarse_ms * self.coarse_ms
        found = [
            call
            for call in self.shown(self.rows).values()
            if (self.ignores_statuses or not search.statuses or call.status in statuses)
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
        rejected_ids = frozenset[str]() if self.without_ids else rejected
        ends_usably = not page or page[-1].id not in rejected
        miscount = self.miscount + (self.miscount_by_status if search.statuses else 0)
        return Page(max(0, len(found) + miscount), usable, len(rejected), rejected_ids, ends_usably)


def by_id(calls: Iterable[Call]) -> dict[str, Call]:
    listed = list(calls)
    found = {call.id: call for call in listed}
    assert len(found) == len(listed), "a call was given twice"
    return found


def run_plan(plan: PollPlan, table: Table) -> PollResult:
    """Run a plan over a table by the driver of real polls; ``table`` notes what it asked for."""
    ask = _asking(table)
    table.purposes.clear()

    def answer(step: Step) -> Coroutine[Any, Any, Page]:
        table.purposes.append(step.purpose)
        return ask(step.search)

    return _completed(drive(plan.steps(), answer))


def read_range(read: RangeRead, table: Table) -> RangeResult:
    """Run one range read over a table by the same driver."""
    return _completed(drive(read.searches(), _asking(table)))


def read_whole(read: RangeRead, table: Table) -> dict[str, Call]:
    """Run one range read over a table; return the rows by id."""
    return by_id(read_range(read, table).calls)


def _asking(table: Table) -> Callable[[Search], Coroutine[Any, Any, Page]]:
    before = len(table.searches)

    async def ask(search: Search) -> Page:
        assert len(table.searches) - before < MAX_SEARCHES, "still reading"
        page = table.answer(search)
        table.on_search(table)
        return page

    return ask


def _completed(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the coroutine waits")
