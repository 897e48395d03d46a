"""What the endpoints and pages see of the exporter."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pearl_exporter.api.budget import Budget
from pearl_exporter.counting.calls import Instant
from pearl_exporter.exposition.render import Exposition

Reload = Callable[[], Awaitable[tuple[str, ...]]]
"""Reads the configuration again and returns its problems; none if the configuration is in force."""


@dataclass(frozen=True)
class View:
    """What the endpoints and pages see of the exporter.

    Attributes:
        exposition: What a scrape gets.
        is_alive: Whether the scheduler's heartbeat is in time.
        is_ready: Whether every outbound has had its first page or first failure.
        seconds_to_next_poll: Until the next poll of the outbound with this id; None if none is
            planned.
        now: The present by the API's clock.
        reload: Reads the configuration again; None where that is not allowed over HTTP.
        beat_age: Seconds since the scheduler's last heartbeat; None before the first one.
        is_discovering: Whether discovery is on and has had no answer yet.
        budget_of: What the token of the outbound with this id allows right now; None if unknown.
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
