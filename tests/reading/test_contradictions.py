"""What an answer says is weighed before it is read."""

import pytest

from pearl_exporter.counting.calls import Call
from pearl_exporter.errors import BadResponseError
from pearl_exporter.reading.contradictions import MAX_PAGE_TIMES, check_page
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
