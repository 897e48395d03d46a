"""What is tracked, what is counted, and when: the contract's sentences by example."""

import pytest
from msgspec import structs

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Applied, Tracker, TrackerSnapshot
from pearl_exporter.patterns import Pattern
from tests.support.oracle import positive
from tests.support.saving import apply_rows

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
T0 = 1_795_000_000_000
RULES = CountingRules(
    window_ms=HOUR,
    settle_ms=2 * MINUTE,
    settle_unanswered_ms=30 * SECOND,
    follow_ms=24 * HOUR,
    catch_up_ms=24 * HOUR,
    scan_every_ms=900_000,
    buckets=(10.0, 60.0),
)


class Outbound:
    """A tracker that is fed whole reads of the window, at seconds after T0."""

    def __init__(self, rules: CountingRules = RULES, *first: Call) -> None:
        self.tracker = Tracker(rules)
        self.reads_from = 2 * HOUR
        self.poll(0, *first)

    def apply(self, seconds: float, *calls: Call) -> Applied:
        now = T0 + round(seconds * SECOND)
        return apply_rows(self.tracker, calls, ranges=[(now - self.reads_from, now + 1)], now=now)

    def poll(self, seconds: float, *calls: Call) -> TrackerSnapshot:
        return self.apply(seconds, *calls).snapshot


def ringing(key: str = "call", *, at: float = -5) -> Call:
    return Call(key, T0 + round(at * SECOND), status=40, call_status=3)


def success(key: str = "call", *, at: float = -5, duration: float = 20.0, tags=()) -> Call:
    return Call(key, T0 + round(at * SECOND), 100, 4, duration, tags)


def unreachable(key: str = "call", *, at: float = -5) -> Call:
    return Call(key, T0 + round(at * SECOND), 150, 7)


def counted(snapshot: TrackerSnapshot) -> dict[str, int]:
    return positive(snapshot.ledger.by_status)


def test_an_unreadable_row_comes_back_into_the_window():
    """Its start had been in the future of a clock that had gone back."""
    outbound = Outbound(RULES, unreachable(at=0))
    assert outbound.poll(-60).window.calls == 0  # its start is yet to come
    now = T0 + MINUTE
    apply_rows(
        outbound.tracker,
        [],
        ranges=[(now - HOUR, now + 1)],
        now=now,
        unreadable_ids=frozenset({"call"}),
    )
    assert outbound.tracker.snapshot().window.calls == 1


def test_a_call_is_live_then_pending_then_settled():
    outbound = Outbound()
    live = outbound.poll(0, ringing())
    assert (live.live, live.pending, counted(live)) == (1, 0, {})
    pending = outbound.poll(30, success(duration=35))
    assert (pending.live, pending.pending, counted(pending)) == (0, 1, {})
    settled = outbound.poll(151, success(duration=35))
    assert (settled.live, settled.pending, counted(settled)) == (0, 0, {"success": 1})


@pytest.mark.parametrize(
    ("call", "settles_after"),
    [(success(at=1, duration=20), 1 + 20 + 120), (unreachable(at=1), 1 + 30)],
    ids=["answered", "unanswered"],
)
def test_a_call_counts_from_its_settling_moment_on(call, settles_after):
    outbound = Outbound()
    assert counted(outbound.poll(settles_after - 0.001, call)) == {}
    assert sum(counted(outbound.poll(settles_after, call)).values()) == 1


def test_a_call_that_was_seen_live_ended_no_sooner_than_that():
    """Time in a queue is not part of the duration."""
    outbound = Outbound()
    outbound.poll(100, ringing(at=1))
    assert counted(outbound.poll(129, unreachable(at=1))) == {}
    assert counted(outbound.poll(130, unreachable(at=1))) == {"unreachable": 1}


def test_a_call_counts_with_the_values_that_settle_it():
    outbound = Outbound()
    outbound.poll(30, success(at=1, duration=20, tags=("early",)))
    settled = outbound.poll(200, success(at=1, duration=25, tags=("final",)))
    assert positive(settled.ledger.by_tag) == {"final": 1}
    assert settled.ledger.durations["success"].total_seconds == 25


def test_what_settled_before_t0_is_in_the_window_alone():
    outbound = Outbound(RULES, success("old", at=-600), success("new", at=-30))
    snapshot = outbound.poll(300, success("old", at=-600), success("new", at=-30))
    assert snapshot.window is not None
    assert snapshot.window.calls == 2
    assert counted(snapshot) == {"success": 1}
    assert snapshot.ledger.started == 1


def test_an_old_row_that_comes_late_does_not_look_like_a_spike():
    outbound = Outbound()
    snapshot = outbound.poll(60, *(success(f"late-{n}", at=-900) for n in range(50)))
    assert snapshot.ledger.started == 0
    assert counted(snapshot) == {}


def test_a_late_row_that_settles_after_t0_is_counted():
    outbound = Outbound()
    assert counted(outbound.poll(300, success("late", at=10))) == {"success": 1}


def test_a_call_is_never_counted_twice():
    outbound = Outbound()
    for seconds in range(150, 3000, 30):
        snapshot = outbound.poll(seconds, success(at=1))
        assert counted(snapshot) == {"success": 1}


def test_a_settled_call_that_comes_back_is_not_recounted():
    outbound = Outbound()
    outbound.poll(200, success(at=1))
    outbound.poll(230)
    gone = outbound.poll(350)
    assert gone.window is not None
    assert gone.window.calls == 0
    back = outbound.poll(380, success(at=1))
    assert back.window is not None
    assert (back.window.calls, counted(back)) == (1, {"success": 1})


def test_a_settled_call_read_behind_the_window_is_not_recounted():
    """A live call of long ago widens the read to before what was forgotten."""
    outbound = Outbound()
    outbound.poll(200, ringing("stuck", at=0.5), success(at=1))
    outbound.poll(3700, ringing("stuck", at=0.5), success(at=1))
    snapshot = outbound.poll(3800, ringing("stuck", at=0.5), success(at=1))
    assert counted(snapshot) == {"success": 1}
    assert snapshot.live == 1


def test_a_step_back_of_the_clock_counts_nothing_again():
    outbound = Outbound()
    outbound.poll(200, success(at=1))
    outbound.poll(9000)
    snapshot = outbound.poll(300, success(at=1))
    assert snapshot.window is not None
    assert (snapshot.window.calls, counted(snapshot)) == (1, {"success": 1})


def test_the_watermark_stays_when_the_clock_goes_back():
    """A call that was counted and forgotten, and comes back later, does not count again."""
    outbound = Outbound()
    outbound.poll(200, success(at=1))
    outbound.poll(9000)
    outbound.poll(300)
    assert counted(outbound.poll(330, success(at=1))) == {"success": 1}


def test_a_deleted_unsettled_call_is_uncounted_for_good():
    outbound = Outbound()
    outbound.poll(10, ringing(at=1))
    assert outbound.poll(40).ledger.uncounted == {"deleted": 0, "follow_expired": 0}
    assert outbound.poll(160).ledger.uncounted == {"deleted": 1, "follow_expired": 0}
    back = outbound.poll(300, success(at=1))
    assert counted(back) == {}
    assert back.ledger.uncounted["deleted"] == 1


def test_a_row_that_is_there_but_unreadable_was_not_deleted():
    outbound = Outbound()
    outbound.poll(10, ringing(at=1))
    now = T0 + 40 * SECOND
    apply_rows(
        outbound.tracker,
        [],
        ranges=[(now - HOUR, now + 1)],
        now=now,
        unreadable_ids=frozenset({"call"}),
    )
    assert outbound.tracker.snapshot().live == 1


def test_a_call_outside_the_range_that_was_read_was_not_deleted():
    outbound = Outbound()
    outbound.poll(10, ringing(at=1))
    now = T0 + 40 * SECOND
    apply_rows(outbound.tracker, [], ranges=[(T0 + 2 * SECOND, now + 1)], now=now)
    assert outbound.tracker.snapshot().live == 1


def test_a_live_call_is_followed_out_of_the_window():
    outbound = Outbound()
    outbound.reads_from = 3 * HOUR
    outbound.poll(10, ringing(at=1))
    after = outbound.poll(2 * 3600, ringing(at=1))
    assert after.window is not None
    assert (after.window.calls, after.live) == (0, 1)
    assert counted(outbound.poll(2 * 3600 + 300, success(at=1, duration=7000))) == {"success": 1}


def test_a_call_followed_for_too_long_is_given_up():
    outbound = Outbound()
    outbound.reads_from = 30 * HOUR
    outbound.poll(10, ringing(at=1))
    snapshot = outbound.poll(24 * 3600 + 2, ringing(at=1))
    assert snapshot.ledger.uncounted["follow_expired"] == 1
    assert (snapshot.live, snapshot.tracked) == (0, 0)


@pytest.mark.parametrize(
    ("after", "fields"),
    [
        (Call("call", T0 + SECOND, 110, 4, 20.0, ("vip",)), {"status"}),
        (Call("call", T0 + SECOND, 100, 6, 20.0, ("vip",)), {"call_status"}),
        (Call("call", T0 + SECOND, 100, 4, 21.0, ("vip",)), {"duration"}),
        (Call("call", T0 + SECOND, 100, 4, 20.0, ()), {"tags"}),
        (Call("call", T0 + SECOND, 500, 6, 0.0, ()), {"status", "call_status", "duration", "tags"}),
    ],
)
def test_a_change_after_settling_is_a_revision(after, fields):
    """It changes the window, but not what was counted."""
    outbound = Outbound()
    before = outbound.poll(200, success(at=1, tags=("vip",)))
    changed = outbound.poll(230, after)
    assert set(positive(changed.ledger.revisions)) == fields
    assert counted(changed) == counted(before) == {"success": 1}
    assert positive(changed.ledger.by_tag) == {"vip": 1}
    again = outbound.poll(260, after)
    assert again.ledger.revisions == changed.ledger.revisions
    assert again.window is not None
    assert again.window.by_tag["vip"] == len(after.tags)


def test_a_change_before_settling_is_no_revision():
    outbound = Outbound()
    outbound.poll(10, ringing(at=1))
    outbound.poll(20, success(at=1))
    assert positive(outbound.poll(200, success(at=1)).ledger.revisions) == {}


def test_time_that_no_poll_reached_is_counted():
    outbound = Outbound()
    snapshot = outbound.poll(30 * 3600)
    assert snapshot.ledger.uncounted_seconds == 6 * 3600


def test_an_outage_within_reach_loses_no_time():
    assert Outbound().poll(24 * 3600).ledger.uncounted_seconds == 0


def test_an_unknown_code_is_counted_once_a_call():
    outbound = Outbound()
    unknown = Call("call", T0, status=777, call_status=12)
    read = [unknown, Call("call", T0, status=100, call_status=4), unknown]
    counts = [outbound.apply(at, row).unknown_code_counts for at, row in enumerate(read, 1)]
    met, none = {"status": 1, "call_status": 1}, {"status": 0, "call_status": 0}
    assert counts == [met, none, none]


def test_a_label_has_its_series_from_its_first_row_on():
    """At 0, so that Prometheus can see the first increase."""
    outbound = Outbound()
    snapshot = outbound.poll(1, Call("call", T0, 777, 4, 3.0, ("vip",)))
    ledger = snapshot.ledger
    assert (ledger.by_status["unknown_777"], ledger.by_tag["vip"]) == (0, 0)
    assert sum(ledger.durations["unknown_777"].counts) == 0


def test_folded_tags_are_kept_as_other_alone():
    outbound = Outbound(
        CountingRules(
            **{name: getattr(RULES, name) for name in RULES.__struct_fields__}
            | {"tags": TagRules(max_tags=1)}
        )
    )
    snapshot = outbound.poll(200, success(at=1, tags=("vip", "second", "+49 170 1234567")))
    assert positive(snapshot.ledger.by_tag) == {"vip": 1, "_other": 1}
    assert snapshot.folded_tags == 1
    assert "170" not in repr(outbound.tracker.saved())


def test_the_oldest_live_call_is_reported():
    outbound = Outbound()
    snapshot = outbound.poll(60, ringing("a", at=30), ringing("b", at=10), success("c", at=1))
    assert snapshot.oldest_live_start == T0 + 10 * SECOND
    assert outbound.poll(61).oldest_live_start == T0 + 10 * SECOND  # both are missing, not gone
    assert outbound.poll(61 + 120).oldest_live_start is None


def test_nothing_can_be_saved_before_the_first_read():
    assert Tracker(RULES).saved() is None


def test_what_was_deleted_stays_deleted_over_a_restart():
    outbound = Outbound()
    outbound.poll(100, success("done", at=1), success("lost", at=99, duration=60.0))
    outbound.poll(101)
    outbound.poll(221)
    again = Tracker(RULES, outbound.tracker.saved())
    assert again.calls.missing() == []
    assert [each.is_absent for each in again.calls.between(T0, T0 + HOUR)] == [True, True]
    assert again.calls.present(T0, T0 + HOUR) == 0


def test_changed_buckets_start_the_histogram_again():
    outbound = Outbound()
    outbound.poll(200, success(at=1), success("other", at=199))
    saved = outbound.tracker.saved()
    rules = CountingRules(
        **{name: getattr(RULES, name) for name in RULES.__struct_fields__} | {"buckets": (5.0,)}
    )
    tracker = Tracker(rules, saved)
    now = T0 + 500 * SECOND
    apply_rows(
        tracker, [success(at=1), success("other", at=199)], ranges=[(now - HOUR, now + 1)], now=now
    )
    ledger = tracker.snapshot().ledger
    assert ledger.durations["success"].counts == (0, 1)
    assert counted(tracker.snapshot()) == {"success": 2}


DAYS_AHEAD = 3 * 24 * 3600


def test_each_call_counts_once_after_a_clock_days_ahead():
    """New calls count although the watermark had passed them; counted calls do not count again."""
    outbound = Outbound()
    outbound.poll(200, success(at=1))
    outbound.poll(DAYS_AHEAD)  # nothing is left in such a window
    outbound.tracker = Tracker(RULES, outbound.tracker.saved())
    calls = success(at=1), success("meanwhile", at=500), success("new", at=900)
    assert counted(outbound.poll(600, *calls[:2])) == {"success": 1}
    assert counted(outbound.poll(1100, *calls)) == {"success": 3}


def test_what_a_clock_ahead_passed_over_is_read_again():
    """As after an outage: the watermark falls to just above the newest call ever read."""
    outbound = Outbound()
    outbound.poll(200, success(at=1))
    outbound.poll(DAYS_AHEAD)
    outbound.poll(5 * 3600)
    assert outbound.tracker.low_watermark == T0 + SECOND + 1
    assert outbound.tracker.unread_until == T0 + 4 * HOUR
    settled = outbound.poll(5 * 3600 + 1, success("meanwhile", at=1800))
    assert counted(settled) == {"success": 2}


def test_calls_after_a_clock_that_went_back_leave_the_window():
    """They come back when T has reached their start."""
    outbound = Outbound()
    assert outbound.poll(600, success(at=550)).window.calls == 1
    assert outbound.poll(300).window.calls == 0
    assert outbound.poll(301, success(at=550)).window.calls == 0
    assert outbound.poll(600, success(at=550)).window.calls == 1
    assert counted(outbound.poll(700, success(at=550))) == {"success": 1}


def test_a_call_seen_live_in_the_future_settles_no_later():
    outbound = Outbound()
    outbound.poll(20, ringing(at=1))
    outbound.poll(7200, ringing(at=1))
    outbound.poll(30, success(at=1))
    assert counted(outbound.poll(30 + 119, success(at=1))) == {}
    assert counted(outbound.poll(30 + 120, success(at=1))) == {"success": 1}


def test_tracking_did_not_begin_in_the_future():
    outbound = Outbound(RULES)
    outbound.poll(-7200)
    assert outbound.tracker.snapshot().tracking_since == T0 - 2 * HOUR
    assert counted(outbound.poll(-7000, success(at=-7190))) == {"success": 1}


def with_tags(**rules) -> CountingRules:
    return structs.replace(RULES, tags=TagRules(**rules))


def carried_on(outbound: Outbound, rules: CountingRules) -> Outbound:
    """The same outbound after a start or a reload with other rules."""
    outbound.tracker = Tracker(rules, outbound.tracker.saved())
    return outbound


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"max_tags": 1}, {"max_tags": 2}),
        ({"include": Pattern("vip")}, {}),
        ({"exclude": Pattern("l.*")}, {}),
    ],
)
def test_changed_tag_rules_revise_no_call(before, after):
    outbound = Outbound(with_tags(**before))
    calls = success(at=1, tags=("vip",)), success("other", at=2, tags=("late",))
    assert positive(outbound.poll(200, *calls).ledger.by_tag) == {"vip": 1, "_other": 1}
    snapshot = carried_on(outbound, with_tags(**after)).poll(201, *calls)
    assert positive(snapshot.ledger.revisions) == {}
    assert positive(snapshot.window.by_tag) == {"vip": 1, "late": 1}
    assert positive(snapshot.ledger.by_tag) == {"vip": 1, "_other": 1}
    changed = success(at=1), success("other", at=2, tags=("vip",))
    assert positive(outbound.poll(202, *changed).ledger.revisions) == {"tags": 2}


def test_changed_tag_rules_hide_no_other_change():
    outbound = Outbound(with_tags(max_tags=1))
    outbound.poll(200, success(at=1, tags=("vip",)), success("other", at=2, tags=("late",)))
    outbound = carried_on(outbound, with_tags(max_tags=2))
    changed = success(at=1, tags=("vip",)), success("other", at=2, duration=9, tags=("late",))
    assert positive(outbound.poll(201, *changed).ledger.revisions) == {"duration": 1}


def test_changed_tag_rules_are_pending_until_all_calls_are_read():
    outbound = Outbound(with_tags(max_tags=1))
    outbound.poll(200, success(at=1, tags=("vip",)), success("other", at=2, tags=("late",)))
    new = with_tags(max_tags=2)
    outbound = carried_on(outbound, new)
    now = T0 + 201 * SECOND
    apply_rows(outbound.tracker, [success(at=1, tags=("vip",))], ranges=[], now=now)
    outbound = carried_on(outbound, new)
    calls = success(at=1, tags=("vip",)), success("other", at=2, tags=("late",))
    assert positive(outbound.poll(202, *calls).ledger.revisions) == {}
    outbound = carried_on(outbound, new)
    calls = success(at=1, tags=("vip",)), success("other", at=2, tags=("vip",))
    assert positive(outbound.poll(203, *calls).ledger.revisions) == {"tags": 1}


def test_tag_rules_changed_back_too_soon_revise_no_call():
    few, all_ = with_tags(exclude=Pattern("vip")), with_tags()
    calls = [success(f"call-{number}", at=number, tags=("vip",)) for number in range(4)]
    outbound = Outbound(few)
    outbound.poll(200, *calls)
    outbound = carried_on(outbound, all_)
    apply_rows(outbound.tracker, calls[:2], ranges=[], now=T0 + 201 * SECOND)
    snapshot = carried_on(outbound, few).poll(202, *calls)
    assert positive(snapshot.ledger.revisions) == {}


def test_tags_in_another_order_are_no_revision():
    outbound = Outbound()
    outbound.poll(200, success(at=1, tags=("vip", "late")))
    snapshot = outbound.poll(201, success(at=1, tags=("late", "vip")))
    assert positive(snapshot.ledger.revisions) == {}
