"""How the polls of one outbound fare, and what each that ends, well or not, makes of that. Pure."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from pearl_exporter.counting.calls import Instant
from pearl_exporter.errors import TOKEN_FORM_HINT, AuthError, PollError


class Health(msgspec.Struct, frozen=True):
    """How the polls of one outbound fare. Instants in milliseconds, spans in seconds.

    Attributes:
        had_page: Whether any page came yet.
        up: Whether the last poll succeeded; False before any.
        polls: Polls that ended, good or failed.
        failures: Polls that failed, by reason.
        skipped: Polls that fell due while the one before was still going on.
        last_success: End of the last good poll.
        interval_seconds: The interval in force, longer after a refused token or id, and while idle.
        duration_seconds: The last poll's.
        lateness_seconds: The last poll's start, its first turn included, against its schedule.
        catching_up: Whether calls of an outage are not counted yet.
        caught_up_at: When that last ended, or the first good poll.
        full_scan_at: End of the last good read of the whole window.
        last_reason: Why the last poll failed, or there was none; None if it did not.
        last_message: The same, for people.
    """

    had_page: bool = False
    up: bool = False
    polls: int = 0
    failures: Mapping[str, int] = msgspec.field(default_factory=dict)
    skipped: int = 0
    last_success: Instant | None = None
    interval_seconds: float = 0.0
    duration_seconds: float | None = None
    lateness_seconds: float | None = None
    catching_up: bool = False
    caught_up_at: Instant | None = None
    full_scan_at: Instant | None = None
    last_reason: str | None = None
    last_message: str | None = None

    def skipped_one(self) -> "Health":
        """A poll fell due while the one before was still going on."""
        return replace(self, skipped=self.skipped + 1, catching_up=self._may_be_behind)

    def succeeded(
        self,
        ended: Instant,
        *,
        interval_seconds: float,
        scanned: bool,
        missed: bool,
        catching_up: bool,
    ) -> "Health":
        """A poll succeeded; ``missed`` is whether one was due before it that there was not."""
        caught_up = self.catching_up or missed or self.caught_up_at is None
        return replace(
            self,
            up=True,
            last_success=ended,
            full_scan_at=ended if scanned else self.full_scan_at,
            interval_seconds=interval_seconds,
            catching_up=catching_up,
            caught_up_at=ended if caught_up and not catching_up else self.caught_up_at,
            last_reason=None,
            last_message=None,
        )

    def failed(self, error: PollError, *, interval_seconds: float) -> "Health":
        """A poll failed."""
        return replace(
            self,
            up=False,
            failures={**self.failures, error.reason: self.failures.get(error.reason, 0) + 1},
            interval_seconds=interval_seconds,
            catching_up=True,
            last_reason=error.reason,
            last_message=str(error),
        )

    def withheld(self, *, interval_seconds: float, outbounds: int) -> "Health":
        """It is not asked for while the API refuses the token of so many outbounds.

        When that is tried again is not said: other outbounds try it as well, and put it off.
        """
        return replace(
            self,
            up=False,
            interval_seconds=interval_seconds,
            catching_up=self._may_be_behind,
            last_reason=AuthError.reason,
            last_message=f"not asked: the API refuses the token, and one of its {outbounds} "
            f"outbounds at a time tries it again: {TOKEN_FORM_HINT}",
        )

    @property
    def _may_be_behind(self) -> bool:
        """Whether a poll that is left out may leave calls uncounted: not before the first one."""
        return self.catching_up or self.last_success is not None
