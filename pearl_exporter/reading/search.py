"""One page of the calls search: the request and its answer. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Call, Instant


class Search(NamedTuple):
    """One page to ask for: calls that start in ``[start, end)``, ordered by ``startTime``."""

    start: Instant
    end: Instant
    skip: int
    limit: int
    ascending: bool = False
    statuses: tuple[int, ...] = ()
    """Calls with these outcomes alone, if any are named."""


class Page(msgspec.Struct, frozen=True):
    """The answer to a `Search`.

    Attributes:
        count: How many calls the whole range holds, as the API says.
        calls: The usable rows, in the answer's order.
        rejected: Rows without a usable id or start.
        rejected_ids: The ids of those of them that have one.
        ends_usably: Whether the last row is one of ``calls``.
    """

    count: int
    calls: Sequence[Call]
    rejected: int = 0
    rejected_ids: frozenset[str] = frozenset()
    ends_usably: bool = True

    @property
    def received(self) -> int:
        """All rows of the page, rejected ones included."""
        return len(self.calls) + self.rejected
