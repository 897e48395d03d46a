"""What the log says of first polls: that it works, once an outbound, or once of many."""

import logging
from collections.abc import Iterable

from pearl_exporter.polling.snapshot import OutboundSnapshot

MAX_LOGGED = 10
"""Of so many outbounds that begin together each has a line; of more the first, and one of all."""

_log = logging.getLogger(__name__)


class FirstPolls:
    """Hears of every outbound whose first poll is to come, and of what is published then.

    One that fails is told as any poll that fails, and so is its recovery.
    """

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._expected = 0
        self._succeeded = 0
        self._calls = 0

    def expect(self, outbound_ids: Iterable[str]) -> None:
        """These begin to be polled."""
        begun = set(outbound_ids) - self._waiting
        self._waiting |= begun
        self._expected += len(begun)

    def forget(self, outbound_id: str) -> None:
        """This one is polled no more."""
        if outbound_id in self._waiting:
            self._waiting.discard(outbound_id)
            self._expected -= 1
            self._conclude()

    def heard(self, outbound: OutboundSnapshot) -> None:
        """Something was published of an outbound."""
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
