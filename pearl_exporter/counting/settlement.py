"""How the calls of one outbound are counted: when one settles, and which is history. Pure."""

import msgspec

from pearl_exporter.counting.calls import Call, Instant, ended_at, is_answered
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.packing import CallKind


class CountingRules(msgspec.Struct, frozen=True):
    """How the calls of one outbound are counted; spans are in milliseconds, buckets in seconds."""

    window_ms: int
    settle_ms: int
    settle_unanswered_ms: int
    follow_ms: int
    catch_up_ms: int
    scan_every_ms: int
    buckets: tuple[float, ...]
    tags: TagRules = TagRules()

    def settles_at(self, call: Call, seen_live_at: Instant | None) -> Instant:
        """When a finished call's outcome is taken for final; ``seen_live_at`` as in `Tracked`."""
        return ended_at(call, seen_live_at) + self._wait_ms(is_answered=is_answered(call))

    def settled_before(self, kind: CallKind, moment: Instant) -> Instant:
        """Up to this start, a finished call of this kind was settled at a moment."""
        return moment - kind.lasts_ms - self._wait_ms(is_answered=kind.is_answered)

    def _wait_ms(self, *, is_answered: bool) -> int:
        return self.settle_ms if is_answered else self.settle_unanswered_ms
