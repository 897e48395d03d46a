"""One page of the calls search, as a value: the request, its answer, and what it is asked for."""

from collections.abc import Generator, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

from pearl_exporter.counting.calls import Call, Instant

T = TypeVar("T")


class Search(NamedTuple):
    """A request for one page of the calls that start in ``[start, end)``, in order of start.

    Attributes:
        start: The earliest start, in milliseconds since 1970.
        end: The end of the range, exclusive.
        skip: How many rows of the range to leave out before the page.
        limit: The page's size in rows; the API may send fewer.
        ascending: Whether the oldest row comes first, instead of the newest.
        statuses: The outcome codes to search for; empty for all.
    """

    start: Instant
    end: Instant
    skip: int
    limit: int
    ascending: bool = False
    statuses: tuple[int, ...] = ()


UNUSABLE_FIELDS = ("id", "start_time", "conversation_status", "status", "duration", "tags")
"""The fields of a row that may be unusable, as `UnusableRow` names them."""


class UnusableRow(NamedTuple):
    """A row with fields that cannot be used: of a wrong type, or beyond what is believed.

    Attributes:
        key: Tells the row from others as long as this process runs, by its id where it has one.
        fields: Its unusable fields, of `UNUSABLE_FIELDS`. A null or absent one is usable, but a
            row needs an id and a start.
    """

    key: int
    fields: tuple[str, ...]


class Page(msgspec.Struct, frozen=True):
    """The answer to a `Search`.

    Attributes:
        count: How many calls the whole range holds, as the API says.
        calls: The usable rows, in the answer's order.
        rejected: How many rows had no usable id or start.
        rejected_ids: The ids of the rejected rows that have one.
        ends_usably: Whether the last row is one of ``calls``.
        unusable: The rows with a field that cannot be used, among them the rejected ones.
    """

    count: int
    calls: Sequence[Call]
    rejected: int = 0
    rejected_ids: frozenset[str] = frozenset()
    ends_usably: bool = True
    unusable: Sequence[UnusableRow] = ()

    @property
    def received(self) -> int:
        """All rows of the page, rejected ones included."""
        return len(self.calls) + self.rejected

    @property
    def unusable_count(self) -> int:
        """Rows with a field that cannot be used, rejected ones included."""
        return max(self.rejected, len(self.unusable))


class Purpose(StrEnum):
    """What a search of a poll is for, in words for the status page."""

    NEW_CALLS = "new calls"
    DIFFERENCE = "search for a difference"
    UNSETTLED = "unsettled calls"
    MISSING = "missing calls"
    OUTCOME_COUNT = "count of outcomes"
    SCAN = "slice of the full scan"
    WHOLE_WINDOW = "whole window"
    OLDER_LIVE = "older live calls"
    CATCH_UP = "catching up"
    PROBE = "wider range"


class ReadProgress(NamedTuple):
    """How far a whole read of many pages has come: calls received, and calls expected."""

    received: int
    expected: int


class Step(NamedTuple):
    """What a plan yields: one search to make, and what to show of the poll meanwhile.

    Attributes:
        search: The page to ask for; the plan must be sent it.
        purpose: What the search is for.
        progress: How far the poll's read of the whole window has come, None if it has none.
    """

    search: Search
    purpose: Purpose
    progress: ReadProgress | None = None


Searches: TypeAlias = Generator[Search, Page, T]
"""A part of a plan: yields searches, is sent the page of each, returns a ``T``."""

Steps: TypeAlias = Generator[Step, Page, T]
"""A plan: yields steps, is sent the page of each step's search, returns a ``T``."""
