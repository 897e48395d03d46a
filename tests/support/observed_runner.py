"""The runner of a poll's plan, observed: what a poll has read, before it is counted."""

from collections.abc import Callable
from typing import Any

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.polling.plan_runner import PlanRunner
from pearl_exporter.reading.plan import PlanState, PollResult


class ObservedRunner(PlanRunner):
    """Calls ``has_read`` with T and with what was read; give it to `Poller` as ``new_runner``."""

    def __init__(
        self, has_read: Callable[[Instant, PollResult], None], *given: Any, **more: Any
    ) -> None:
        super().__init__(*given, **more)
        self._has_read = has_read

    async def read(self, tracker: Tracker, state: PlanState) -> tuple[Instant, PollResult]:
        now, result = await super().read(tracker, state)
        self._has_read(now, result)
        return now, result
