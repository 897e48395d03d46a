"""Which span of start times a poll must read: the window, and what an outage left behind it.

```
   low_watermark          unread_until        window start             now
────────┼───────────────────────┼──────────────────┼────────────────────┤
        │ unread since an outage│ left the window  │     the window     │
        │     (the backlog)     │ since last poll  │                    │
```

Calls left of the watermark are forgotten. Without an outage there is no backlog: what left the
window since the last good poll begins at the watermark.
"""

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.observation import Range
from pearl_exporter.counting.tracker import Tracker


def whole_read_start(tracker: Tracker, now: Instant) -> Instant:
    """Return the start from which a whole read at ``now`` must begin.

    The read covers the window, and what left it since the last good poll, which is read one last
    time. It does not cover the `backlog`.
    """
    rules = tracker.rules
    start = now - rules.window_ms
    if tracker.low_watermark is None or _is_cut_off(tracker, start):
        return start
    if tracker.unread_until is not None:
        return min(start, tracker.unread_until)
    return min(start, max(tracker.low_watermark, now - rules.catch_up_ms))


def backlog(tracker: Tracker, now: Instant) -> Range | None:
    """Return the range of the calls that left the window unread, None if there is none.

    They started in an outage, at most ``catch_up_ms`` before the first poll after it. Each poll
    reads some of them besides the window, oldest first.
    """
    rules = tracker.rules
    window_start = now - rules.window_ms
    if tracker.low_watermark is None:
        return None
    start, end = tracker.low_watermark, tracker.unread_until
    if _is_cut_off(tracker, window_start):
        # a second outage prolongs the backlog of the first, which is not cut at catch_up_ms again
        start = start if end is not None else max(start, now - rules.catch_up_ms)
        end = window_start
    return None if end is None or start >= min(end, window_start) else (start, end)


def _is_cut_off(tracker: Tracker, window_start: Instant) -> bool:
    """Return whether none of the last good poll's calls is in the window any more."""
    return tracker.polled_at is not None and tracker.polled_at < window_start
