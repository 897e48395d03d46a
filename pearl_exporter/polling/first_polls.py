"""What the log says of first polls: that it works, once an outbound, or once for many."""

import logging
from collections.abc import Iterable

from pearl_exporter.polling.snapshot import OutboundSnapshot

MAX_LOGGED = 10
"""Up to this many outbounds that start together have a line each; of more, only the first has one,
and all together have another."""

_log = logging.getLogger(__name__)


class FirstPolls:
    """Logs the first successful poll of each outbound.

    A first poll that fails is logged as any poll that fails, and so is its recovery.
    """

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._expected = 0
        self._succeeded = 0
        self._calls = 0

    def expect(self, outbound_ids: Iterable[str]) -> None:
        """Wait for the first polls of these outbounds."""
        begun = set(outbound_ids) - self._waiting
        self._waiting |= begun
        self._expected += len(begun)

    def forget(self, outbound_id: str) -> None:
        """Wait no longer for an outbound, which is no longer polled."""
        if outbound_id in self._waiting:
            self._waiting.discard(outbound_id)
            self._expected -= 1
            self._conclude()

    def published(self, outbound: OutboundSnapshot) -> None:
        """Look at what was published of an outbound."""
        if not outbound.health.polls or outbound.outbound_id not in self._waiting:
            return
        self._waiting.discard(outbound.outbound_id)
        window = outbound.calls.window
        if outbound.health.up and window is not None:
            self._succeeded += 1
            self._calls += window.calls
            if self._succeeded == 1 or self._expected <= MAX_LOGGED:
                _log.info(
                    "the first poll succeeded",
                    extra={"outbound": outbound.name, "calls_in_window": window.calls},
                )
        self._conclude()

    def _conclude(self) -> None:
        if self._waiting:
            return
        if self._expected > MAX_LOGGED:
            _log.info(
                "every outbound had its first poll",
                extra={
                    "outbounds": self._expected,
                    "succeeded": self._succeeded,
                    "calls_in_window": self._calls,
                },
            )
        self._expected = self._succeeded = self._calls = 0
