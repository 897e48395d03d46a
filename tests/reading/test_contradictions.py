"""What an answer says is weighed before it is read."""

import pytest
from msgspec.structs import replace

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.rows import Rows
from pearl_exporter.errors import BadResponseError, Inconsistent
from pearl_exporter.reading.contradictions import (
    LATE_MS,
    MAX_PAGE_TIMES,
    check_known,
    check_page,
    check_probe,
)
from pearl_exporter.reading.search import Page, Search

NOW = 1_795_000_000_000


def page_of(rows: int) -> Page:
    return Page(rows, [Call(f"call-{n}", NOW - n, 100, 4) for n in range(rows)])


@pytest.mark.parametrize(("limit", "rows"), [(1, 1_000), (100, 1_000), (500, 5_000)])
def test_a_page_may_be_ten_times_as_long_as_asked(limit, rows):
    """A server may ignore the limit. Beyond that its pages would fill the memory."""
    search = Search(NOW - 86_400_000, NOW + 1, 0, limit)
    assert rows == MAX_PAGE_TIMES * max(limit, 100)
    check_page(search, page_of(rows), NOW)
    with pytest.raises(BadResponseError, match=f"gives {rows + 1:,} rows in a page of {limit}: "):
        check_page(search, page_of(rows + 1), NOW)


def calls_of(count: int, *, start: int = NOW - 60_000, **values) -> list[Call]:
    given = {"status": 100, "call_status": 4, "duration": 30.0, **values}
    return [Call(f"call-{n}", start - n, **given) for n in range(count)]


def check_against(known: list[Call], calls: list[Call]) -> None:
    known_by_id = {call.id: call for call in known}
    check_known(Page(len(calls), calls), known_by_id.get)


def test_calls_that_stay_as_they_were_contradict_nothing():
    check_against(calls_of(100), calls_of(100))
    check_against([], calls_of(100))
    check_against(calls_of(100), [])


LOST = [
    ({"status": None}, "10 of 10 calls had a conversationStatus before"),
    ({"call_status": None}, "10 of 10 calls had a status before"),
    ({"duration": 0.0}, "10 of 10 calls had a duration before"),
]


@pytest.mark.parametrize(("without", "text"), LOST)
def test_calls_that_lose_a_value_all_at_once_are_a_contradiction(without, text):
    with pytest.raises(Inconsistent, match=text):
        check_against(calls_of(100), calls_of(100, **without))
    check_against(calls_of(100, **without), calls_of(100))
    check_against(calls_of(100, **without), calls_of(100, **without))


@pytest.mark.parametrize(("without", "_text"), LOST)
@pytest.mark.parametrize(("lost", "kept"), [(2, 0), (3, 1), (9, 1)])
def test_a_few_calls_may_lose_a_value(without, _text, lost, kept):
    known = calls_of(lost + kept)
    check_against(known, [*calls_of(lost, **without), *known[lost:]])


@pytest.mark.parametrize("live", [{"status": 40, "call_status": 3}, {"status": 20}])
def test_a_call_that_goes_on_has_nothing_to_lose(live):
    """It may be queued again, and its codes are those of the moment."""
    check_against(calls_of(10, **live), calls_of(10, status=None, call_status=None, duration=0.0))


@pytest.mark.parametrize("live", [{"status": 20}, {"status": None, "call_status": 3}])
def test_calls_that_are_dialled_again_lose_nothing(live):
    check_against(calls_of(10), calls_of(10, duration=0.0, **live))


def test_tags_may_be_removed_from_past_calls():
    check_against(calls_of(10, tags=("vip",)), calls_of(10))


@pytest.mark.parametrize("offset", [3_600_000, -3_600_000, 5_000])
def test_calls_that_move_all_at_once_are_a_contradiction(offset):
    with pytest.raises(Inconsistent, match="than they did before: is startTime UTC"):
        check_against(calls_of(10), calls_of(10, start=NOW - 60_000 + offset))


def test_calls_that_are_planned_may_lie_in_the_future():
    """But no call that is over."""
    future = NOW + 3_600_000
    planned = calls_of(10, start=future, status=1, call_status=None, duration=0.0)
    check_probe(Page(20, [*planned, *calls_of(10)]), [], read=Rows(calls_of(10)), now=NOW)
    check_probe(Page(10, planned), [], read=Rows(), now=NOW)
    with pytest.raises(Inconsistent, match="after the end asked for: is startTime UTC"):
        check_probe(
            Page(20, [*planned, *calls_of(10, start=future)]), [], read=Rows(calls_of(10)), now=NOW
        )


def check_ends(calls: list[Call]) -> None:
    check_page(Search(NOW - 86_400_000, NOW + 1, 0, 100), Page(len(calls), calls), NOW)


def test_calls_that_are_over_cannot_end_after_the_present():
    """As with durations in milliseconds."""
    with pytest.raises(Inconsistent, match=r"up to 30,000 s: is duration in seconds\?"):
        check_ends(calls_of(3, duration=30_000.0))
    check_ends(calls_of(2, duration=30_000.0))
    check_ends(calls_of(3, duration=30_000.0, start=NOW - 8 * 3_600_000))
    check_ends(calls_of(100, duration=LATE_MS / 1000))


def test_a_few_ends_after_the_present_are_a_mistake_in_a_row():
    check_ends([*calls_of(10), *(replace(c, duration=30_000.0) for c in calls_of(10))])


def test_the_duration_of_a_call_that_goes_on_is_not_judged():
    check_ends(calls_of(100, status=40, call_status=3, duration=30_000.0))
