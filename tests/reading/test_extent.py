"""Where a whole read begins, and what an outage has left unread behind the window."""

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.reading.extent import backlog, whole_read_start
from tests.support.saving import apply_rows

RULES = CountingRules(
    window_ms=3_600_000,
    settle_ms=120_000,
    settle_unanswered_ms=30_000,
    follow_ms=86_400_000,
    catch_up_ms=21_600_000,
    scan_every_ms=900_000,
    buckets=(10.0,),
)
NOW = 1_795_000_000_000
HOUR = 3_600_000


def polled(*calls: Call, now: int = NOW) -> Tracker:
    tracker = Tracker(RULES)
    apply_rows(tracker, calls, ranges=[(now - HOUR, now + 1)], now=now)
    return tracker


def test_the_first_poll_reads_the_window():
    assert whole_read_start(Tracker(RULES), NOW) == NOW - HOUR


def test_what_left_the_window_is_read_one_last_time():
    assert whole_read_start(polled(), NOW + 30_000) == NOW - HOUR


def test_a_live_call_before_the_window_widens_no_read():
    tracker = polled(Call("live", NOW - 5, status=40, call_status=3))
    now = NOW + HOUR
    assert whole_read_start(tracker, now) == NOW - HOUR


def test_an_outage_shorter_than_the_window_leaves_no_backlog():
    """All that left the window meanwhile is read one last time."""
    now = NOW + HOUR
    assert whole_read_start(polled(), now) == NOW - HOUR
    assert backlog(polled(), now) is None


def test_a_longer_outage_leaves_a_backlog_behind_the_window():
    """The window is read; what left it meanwhile is the backlog."""
    now = NOW + 5 * HOUR
    assert whole_read_start(polled(), now) == now - HOUR
    assert backlog(polled(), now) == (NOW - HOUR, now - HOUR)


def test_what_is_unread_begins_catch_up_ago():
    now = NOW + 24 * HOUR
    assert backlog(polled(), now) == (now - RULES.catch_up_ms, now - HOUR)


def test_while_catching_up_what_was_read_since_is_not_unread():
    now = NOW + 5 * HOUR
    tracker = polled()
    left = (NOW, now - HOUR)
    apply_rows(tracker, [], ranges=[(now - HOUR, now + 1)], now=now, unread=left)
    assert backlog(tracker, now + 30_000) == left
    assert whole_read_start(tracker, now + 30_000) == now - HOUR


def test_a_second_outage_adds_to_what_is_unread():
    now = NOW + 5 * HOUR
    tracker = polled()
    apply_rows(tracker, [], ranges=[(now - HOUR, now + 1)], now=now, unread=(NOW, now - HOUR))
    again = now + 3 * HOUR
    assert backlog(tracker, again) == (NOW, again - HOUR)


def test_a_window_longer_than_catch_up_is_read_whole():
    rules = replace_window(RULES, 12 * HOUR)
    tracker = Tracker(rules)
    apply_rows(tracker, [], ranges=[(NOW - 12 * HOUR, NOW + 1)], now=NOW)
    now = NOW + 24 * HOUR
    assert whole_read_start(tracker, now) == now - 12 * HOUR


def replace_window(rules: CountingRules, window_ms: int) -> CountingRules:
    return CountingRules(
        **{name: getattr(rules, name) for name in rules.__struct_fields__}
        | {"window_ms": window_ms}
    )
