"""The rules by which calls are counted: when a call settles, and which calls are history. Pure.

A finished call *settles* some time after it ended, because the platform may still write its outcome
and its tags. A call is *history*, and is never counted, if it had settled before tracking began.
"""

from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import (
    Call,
    CallValues,
    Instant,
    ended_at,
    is_answered,
    is_live,
    planned_end,
)
from pearl_exporter.counting.labels import TagRules


class Cutoffs(NamedTuple):
    """The instants by which one poll judges calls.

    Attributes:
        now: T of the poll.
        window_start: Where the window begins; it ends at ``now``, both included.
        tracking_since: T0, when the first good poll began.
        low_watermark: Start before which calls may have been forgotten.
    """

    now: Instant
    window_start: Instant
    tracking_since: Instant
    low_watermark: Instant

    def in_window(self, start: Instant) -> bool:
        """Return whether a call of this start is in the window."""
        return self.window_start <= start <= self.now


class CountingRules(msgspec.Struct, frozen=True):
    """How the calls of one outbound are counted.

    Attributes:
        window_ms: How long a call stays in the window, from its start.
        settle_ms: How long after its end an answered call settles.
        settle_unanswered_ms: How long after its end an unanswered call settles.
        follow_ms: How long after its start an unsettled call is given up, if it has left the
            window.
        catch_up_ms: How far back the calls of an outage are read.
        scan_every_ms: How often a scan reads the whole window.
        buckets: Upper bounds of the duration buckets, in seconds.
        tags: Which tags have a label of their own.
        interval_ms: How far apart polls are, as configured.
    """

    window_ms: int
    settle_ms: int
    settle_unanswered_ms: int
    follow_ms: int
    catch_up_ms: int
    scan_every_ms: int
    buckets: tuple[float, ...]
    tags: TagRules = TagRules()
    interval_ms: int = 0

    def settles_at(self, call: Call, seen_live_at: Instant | None) -> Instant:
        """Return when a finished call's values are taken as final.

        Args:
            call: A call that is not live any more.
            seen_live_at: T of the last poll that saw it live; None if no poll did.
        """
        return ended_at(call, seen_live_at) + self._wait_ms(call)

    def history_until(self, values: CallValues, cutoffs: Cutoffs) -> Instant:
        """Return the latest start at which a call that is read for the first time is history.

        Such a call may have been counted and forgotten if it started before the low watermark. If
        it had settled before tracking began, it is older than the counters.
        """
        forgotten = cutoffs.low_watermark - 1
        if is_live(values):
            return forgotten
        # the latest start with `settles_at(call, None) <= tracking_since`
        settled = cutoffs.tracking_since - planned_end(0, values.duration) - self._wait_ms(values)
        return max(forgotten, settled)

    @property
    def gone_after_ms(self) -> int:
        """How far apart two reads must be that have missed a call, for it to be gone.

        It is as long for unanswered calls, which settle sooner: some answers in a row that come
        from a replica that is behind must not end a call.
        """
        return max(self.settle_ms, self.interval_ms)

    def _wait_ms(self, call: Call | CallValues) -> int:
        return self.settle_ms if is_answered(call) else self.settle_unanswered_ms
