"""What endpoints and pages look at."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pearl_exporter.api.budget import Budget
from pearl_exporter.counting.calls import Instant
from pearl_exporter.exposition.render import Exposition

Reload = Callable[[], Awaitable[tuple[str, ...]]]
"""Reads the configuration anew; gives what is wrong with it, nothing if well."""


@dataclass(frozen=True)
class View:
    """What the endpoints look at.

    Attributes:
        exposition: What a scrape sees.
        is_alive: Whether the scheduler's heart beats.
        is_ready: Whether every outbound has had its first page or first failure.
        seconds_to_next_poll: Until an outbound, by its id, is polled next.
        now: The present, as the API would say.
        reload: Reads the configuration anew; None where that is not allowed over HTTP.
        beat_age: Seconds since the scheduler's last heartbeat; None before any.
        is_discovering: Whether discovery is on and has had no answer yet.
        budget_of: What the token of an outbound, by its id, allows right now; None if unknown.
    """

    exposition: Exposition
    is_alive: Callable[[], bool]
    is_ready: Callable[[], bool]
    seconds_to_next_poll: Callable[[str], float | None]
    now: Callable[[], Instant]
    reload: Reload | None = None
    beat_age: Callable[[], float | None] = lambda: None
    is_discovering: Callable[[], bool] = lambda: False
    budget_of: Callable[[str], Budget | None] = lambda _: None
