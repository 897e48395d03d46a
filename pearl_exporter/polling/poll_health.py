"""The health of one outbound's polls, and what each poll changes about it. Pure."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from pearl_exporter.counting.calls import Instant
from pearl_exporter.errors import TOKEN_FORM_HINT, PollError, Reason
from pearl_exporter.polling.outcome import PollOutcome, PollSuccess


class Health(msgspec.Struct, frozen=True):
    """The health of one outbound's polls. Instants in milliseconds, spans in seconds.

    Attributes:
        had_page: Whether a page has come yet.
        up: Whether the last poll succeeded; False before any.
        polls: Polls that ended, good or failed.
        failures: Polls that failed, by reason.
        skipped: Polls that fell due while the previous poll was still running.
        last_success: End of the last good poll.
        interval_seconds: The interval in force, longer after a refused token or id, and while idle.
        duration_seconds: How long the last poll took.
        lateness_seconds: How long after the last poll was due its first request was sent.
        catching_up: Whether calls of an outage are not counted yet.
        caught_up_at: When counting last caught up with an outage, or began.
        full_scan_at: End of the last good read of the whole window.
        unreadable_rows: Rows that the API counts and that the last good poll could not read.
        reads_by_offset: Whether the last good poll found that the server's order or dates forbid
            reading downward; None before any.
        last_reason: Why the last poll failed, or did not happen; None if it succeeded.
        last_message: The same, for people.
    """

    had_page: bool = False
    up: bool = False
    polls: int = 0
    failures: Mapping[Reason, int] = msgspec.field(default_factory=dict)
    skipped: int = 0
    last_success: Instant | None = None
    interval_seconds: float = 0.0
    duration_seconds: float | None = None
    lateness_seconds: float | None = None
    catching_up: bool = False
    caught_up_at: Instant | None = None
    full_scan_at: Instant | None = None
    unreadable_rows: int | None = None
    reads_by_offset: bool | None = None
    last_reason: Reason | None = None
    last_message: str | None = None

    def after(self, outcome: PollOutcome) -> "Health":
        """Return the health after a poll."""
        health = replace(
            self,
            polls=self.polls + 1,
            interval_seconds=outcome.interval_seconds,
            duration_seconds=outcome.duration_seconds,
            lateness_seconds=outcome.lateness_seconds,
        )
        if outcome.error is not None:
            return _after_failure(health, outcome.error)
        if outcome.success is not None:
            return _after_success(health, outcome.success, outcome.ended)
        return health

    def skipped_one(self) -> "Health":
        """Return the health after a poll fell due while the previous poll was still running."""
        return replace(self, skipped=self.skipped + 1, catching_up=self._may_be_behind)

    def blocked(self, *, interval_seconds: float, outbounds: int) -> "Health":
        """Return the health while the API refuses the token, so that the outbound is not polled.

        When the token is tried again is not said: other outbounds try it as well, and put it off.

        Args:
            interval_seconds: The interval in force.
            outbounds: How many outbounds share the token.
        """
        return replace(
            self,
            up=False,
            interval_seconds=interval_seconds,
            catching_up=self._may_be_behind,
            last_reason=Reason.AUTH,
            last_message=f"not asked: the API refuses the token, and one of its {outbounds} "
            f"outbounds at a time tries it again: {TOKEN_FORM_HINT}",
        )

    @property
    def _may_be_behind(self) -> bool:
        """Whether a poll that does not happen may leave calls uncounted: not before the first."""
        return self.catching_up or self.last_success is not None


def _after_success(health: Health, success: PollSuccess, ended: Instant) -> Health:
    catching_up = success.unread is not None
    was_behind = health.catching_up or success.missed or health.caught_up_at is None
    return replace(
        health,
        up=True,
        last_success=ended,
        full_scan_at=ended if success.scanned else health.full_scan_at,
        unreadable_rows=success.unreadable_rows,
        reads_by_offset=success.reads_by_offset,
        catching_up=catching_up,
        caught_up_at=ended if was_behind and not catching_up else health.caught_up_at,
        last_reason=None,
        last_message=None,
    )


def _after_failure(health: Health, error: PollError) -> Health:
    return replace(
        health,
        up=False,
        failures={**health.failures, error.reason: health.failures.get(error.reason, 0) + 1},
        catching_up=True,
        last_reason=error.reason,
        last_message=str(error),
    )
