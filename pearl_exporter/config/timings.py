"""The timings: how often an outbound is polled, how far back, and when a call counts.

Their keys, bounds and defaults are written once, in `Timings`::

    section `poll`             PollSettings        all keys, by inheritance
    an entry of `outbounds`    OutboundEntry       some keys, each an optional `override`
    an outbound, resolved      OutboundSettings    all keys, by inheritance

`resolve_timings` makes the third of the first two. All values are in seconds.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from pearl_exporter.config import fields
from pearl_exporter.config.sections import Section

DAY = 86_400.0
MONTH = 31 * DAY
DEFAULT_API_TIMEOUT = 30.0

Interval = Annotated[float, fields.duration(1, DAY)]
Window = Annotated[float, fields.duration(1, MONTH)]
Settle = Annotated[float, fields.duration(0, DAY)]
StaleAfter = Annotated[float, fields.duration(2, MONTH)]


def default_stale_after(longest_interval: float) -> float:
    """Return how long something read at most every ``longest_interval`` seconds stays fresh."""
    return max(300.0, 3 * longest_interval)


def default_give_up(interval: float, api_timeout: float = DEFAULT_API_TIMEOUT) -> float:
    """Return the default of ``give_up`` for an interval and the timeout of one request."""
    return max(interval, 2 * api_timeout)


def _settle_unanswered(given: Mapping[str, Any]) -> float:
    settle: float = given.get("settle", 0.0)
    return min(30.0, settle)


def _stale_after(given: Mapping[str, Any]) -> float:
    longest = max(given.get("interval", 0.0), given.get("idle_interval") or 0.0)
    return default_stale_after(longest)


def _give_up(given: Mapping[str, Any]) -> float:
    return default_give_up(given.get("interval", 0.0))


class Timings(Section):
    """The timing keys. A default that depends on another key follows that key.

    In a default factory a key is missing if its value was refused: what the factory then returns
    is never used.
    """

    interval: Interval = Field(default=30.0, description="How often each outbound is polled.")
    idle_interval: Interval | None = Field(
        default=None,
        description="Longest poll interval of an idle outbound. "
        "Unset: idle outbounds are polled at `interval`.",
    )
    window: Window = Field(
        default=3600.0,
        description="How far back the window gauges reach; at least `interval` and "
        "`idle_interval`.",
    )
    settle: Settle = Field(
        default=120.0, description="How long after its end an answered call is counted."
    )
    settle_unanswered: Settle = Field(
        default_factory=_settle_unanswered,
        description="The same for a call of duration 0; at most `settle`.",
        json_schema_extra={"default_text": "the smaller of 30s and `settle`"},
    )
    stale_after: StaleAfter = Field(
        default_factory=_stale_after,
        description="After this long without a successful poll the window series disappear; "
        "at least twice `interval` and twice `idle_interval`.",
        json_schema_extra={"default_text": "the larger of 5m and three of the longest interval"},
    )
    give_up: Interval = Field(
        default_factory=_give_up,
        description="A poll that received no good page for this long fails.",
        json_schema_extra={"default_text": "the larger of `interval` and twice `api.timeout`"},
    )

    def given(self) -> dict[str, float]:
        """Return the timing keys that were given, without defaults."""
        keys = Timings.model_fields.keys() & self.model_fields_set
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


def override(key: str) -> Any:
    """Return the optional field of an outbound that replaces ``key`` of the section `poll`."""
    return Field(
        default=None,
        description=f"Instead of `poll.{key}`.",
        json_schema_extra={"default_text": f"`poll.{key}`"},
    )


def resolve_timings(
    poll: Timings, own: Mapping[str, float], api_timeout: float = DEFAULT_API_TIMEOUT
) -> Timings:
    """Return the timings of one outbound: its own, else those of ``poll``, else defaults.

    Args:
        poll: The section `poll`.
        own: The keys that the outbound has of its own.
        api_timeout: The timeout of one request, on which the default of ``give_up`` depends.

    Returns:
        Timings in which ``idle_interval`` has a value too.
    """
    given = {**poll.given(), **own}
    timings = Timings(**given)
    # An outbound's own interval may be longer than the idle_interval of `poll`, and its own settle
    # shorter than the settle_unanswered of `poll`. Then the outbound's own value holds.
    update = {"idle_interval": max(timings.interval, timings.idle_interval or 0.0)}
    if "settle_unanswered" not in own:
        update["settle_unanswered"] = min(timings.settle_unanswered, timings.settle)
    if "give_up" not in given:
        update["give_up"] = default_give_up(timings.interval, api_timeout)
    return timings.model_copy(update=update)
