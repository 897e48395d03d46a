"""The page of all outbounds, at ``/``: one table, readable on a phone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from pearl_exporter.config.durations import format_duration
from pearl_exporter.counting.calls import Instant
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.web.pages.charts import Sparkline, last_hours, sparkline
from pearl_exporter.web.pages.failure_reasons import reason_in_words
from pearl_exporter.web.pages.formatting import (
    NO_VALUE,
    last_success,
    percent,
    plural,
    read_progress,
    until,
)
from pearl_exporter.web.pages.layout import frame_of, outbound_path
from pearl_exporter.web.pages.rendering import render


@dataclass(frozen=True, slots=True)
class OutboundState:
    """How the polls of an outbound go, in a few words.

    Attributes:
        text: The words.
        mood: Their class in the stylesheet: ``good``, ``bad``, ``dim``, or ``plain``, which has no
            style.
        notes: More lines, smaller.
    """

    text: str
    mood: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """The row of one outbound, as text but for the chart.

    ``window_calls`` is None where the window is not known.
    """

    name: str
    path: str
    state: OutboundState
    last_success: str
    window_calls: str | None
    window_span: str
    error_share: str
    unreachable_share: str
    live: str
    chart: Sparkline
    next_poll: str


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """What ``templates/overview.html`` shows."""

    summary: str
    rows: tuple[OverviewRow, ...]


def render_overview(
    outbounds: tuple[OutboundSnapshot, ...],
    seconds_to_next_poll: Mapping[str, float | None],
    now: Instant,
    *,
    is_discovering: bool = False,
    reloads: bool = True,
) -> str:
    """Return the page as HTML.

    Args:
        outbounds: What is known of each outbound.
        seconds_to_next_poll: Until the next poll, by the outbound's id; None if none is planned.
        now: The present.
        is_discovering: Whether discovery has had no answer yet.
        reloads: Whether the page reloads itself.
    """
    page = OverviewPage(
        summary=_summary(outbounds, is_discovering=is_discovering),
        rows=tuple(
            _row(each, seconds_to_next_poll.get(each.outbound_id), now)
            for each in sorted(outbounds, key=lambda each: _worst_first(each, now))
        ),
    )
    frame = frame_of("pearl-exporter", "./", now, reloads=reloads)
    return render("overview.html", frame, page)


def _worst_first(outbound: OutboundSnapshot, now: Instant) -> tuple[bool, bool, float, str]:
    is_failing, is_stale = outbound.health.last_reason is not None, outbound.is_stale(now)
    return (not is_failing, not is_stale, -(share_of(outbound, "error") or 0.0), outbound.name)


def _summary(outbounds: tuple[OutboundSnapshot, ...], *, is_discovering: bool) -> str:
    if not outbounds:
        if is_discovering:
            return "Waiting for the platform's list of outbounds."
        return "No outbound is polled: none is configured, and none was discovered."
    failing = sum(each.health.last_reason is not None for each in outbounds)
    if failing:
        return f"{failing} of {len(outbounds)} outbounds can't be polled."
    waiting = sum(not each.health.up for each in outbounds)
    tail = f", {waiting} yet to be read for the first time since the start" if waiting else ""
    return f"{plural(len(outbounds), 'outbound')}, no poll failing{tail}."


def _row(
    outbound: OutboundSnapshot, seconds_to_next_poll: float | None, now: Instant
) -> OverviewRow:
    is_stale = outbound.is_stale(now)
    window = None if is_stale else outbound.calls.window
    return OverviewRow(
        name=outbound.name,
        path=outbound_path(outbound.name),
        state=state_of(outbound, now),
        last_success=last_success(outbound, now),
        window_calls=None if window is None else f"{window.calls:,}",
        window_span=format_duration(outbound.window_seconds),
        error_share=NO_VALUE if is_stale else percent(share_of(outbound, "error")),
        unreachable_share=NO_VALUE if is_stale else percent(share_of(outbound, "unreachable")),
        live=NO_VALUE if window is None else f"{outbound.calls.live:,}",
        chart=sparkline(last_hours(outbound, now), now, outbound.name),
        next_poll=until(seconds_to_next_poll),
    )


def state_of(outbound: OutboundSnapshot, now: Instant) -> OutboundState:
    """Return how the polls of an outbound go."""
    health, is_stale = outbound.health, outbound.is_stale(now)
    reading = read_progress(outbound)
    if health.last_reason is not None:
        age = " (its window is too old to be shown)" if is_stale and health.last_success else ""
        notes = ((health.last_message or "") + age, reading)
        return OutboundState(
            reason_in_words(health.last_reason), "bad", tuple(each for each in notes if each)
        )
    if reading is not None:
        return OutboundState(reading, "plain")
    if not health.up:
        return OutboundState("waiting for the first poll", "dim")
    if is_stale:
        return OutboundState("stale", "bad")
    return OutboundState("up", "good")


def share_of(outbound: OutboundSnapshot, outcome: str) -> float | None:
    """Return the share of an outcome in the window, from 0 to 1; None where there is no call."""
    window = outbound.calls.window
    if window is None or not window.calls:
        return None
    return window.by_status.get(outcome, 0) / window.calls
