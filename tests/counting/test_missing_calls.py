"""A call that a read misses is missing, not deleted: one answer never ends a call."""

import pytest
from msgspec import structs

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Applied, Tracker, TrackerSnapshot
from tests.support.oracle import positive
from tests.support.saving import RULES, T0, apply_rows, copied, merged

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
FIRST_MISS = 230


def live(key: str = "call") -> Call:
    return Call(key, T0 + SECOND, 40, 3)


def answered(key: str = "call", *, duration: float = 20.0) -> Call:
    return Call(key, T0 + SECOND, 100, 4, duration)


def unanswered(key: str = "call") -> Call:
    return Call(key, T0 + SECOND, 150, 7)


PENDING = answered(duration=400.0)


class Outbound:
    """A tracker that is fed reads of two hours, at seconds after T0."""

    def __init__(self, rules: CountingRules = RULES) -> None:
        self.rules = rules
        self.tracker = Tracker(rules)
        self.saved = None
        self.poll(0)

    def apply(self, seconds: float, *calls: Call, **more) -> Applied:
        now = T0 + round(seconds * SECOND)
        given = {"ranges": [(now - 2 * HOUR, now + 1)], **more}
        applied = apply_rows(self.tracker, calls, now=now, **given)
        self.saved = merged(self.saved, applied.delta)
        found = applied.snapshot
        unsettled = found.live + found.pending
        ledger = found.ledger
        assert ledger.started == ledger.settled + unsettled + sum(ledger.uncounted.values())
        return applied

    def poll(self, seconds: float, *calls: Call, **more) -> TrackerSnapshot:
        return self.apply(seconds, *calls, **more).snapshot

    def restart(self, rules: CountingRules | None = None) -> None:
        self.tracker = Tracker(rules or self.rules, copied(self.saved))


@pytest.mark.parametrize("call", [live(), PENDING, answered(), unanswered()], ids=str)
def test_one_read_that_misses_a_call_changes_no_figure(call):
    outbound = Outbound()
    before = outbound.poll(200, call)
    missing = outbound.poll(FIRST_MISS)
    assert missing.missing == 1
    assert missing.window == before.window
    assert missing.ledger == before.ledger
    assert (missing.live, missing.pending) == (before.live, before.pending)
    assert missing.oldest_live_start == before.oldest_live_start
    assert outbound.tracker.calls.present(T0, T0 + HOUR) == 0


@pytest.mark.parametrize(
    ("call", "rules", "gone_after"),
    [
        (live(), {}, 120),
        (PENDING, {}, 120),
        (answered(), {}, 120),
        (unanswered(), {}, 120),
        (live(), {"settle_ms": 30 * SECOND, "interval_ms": 31 * SECOND}, 31),
        (answered(), {"interval_ms": 10 * MINUTE}, 600),
    ],
    ids=str,
)
def test_a_second_read_far_enough_after_the_first_ends_a_call(call, rules, gone_after):
    outbound = Outbound(structs.replace(RULES, **rules))
    before = outbound.poll(200, call)
    outbound.poll(FIRST_MISS)
    still = outbound.poll(FIRST_MISS + gone_after - 0.001)
    assert (still.missing, still.window) == (1, before.window)
    gone = outbound.poll(FIRST_MISS + gone_after)
    assert (gone.missing, gone.live, gone.pending, gone.window.calls) == (0, 0, 0, 0)
    unsettled = before.live + before.pending
    assert positive(gone.ledger.uncounted) == ({"deleted": 1} if unsettled else {})


def test_being_seen_resets():
    outbound = Outbound()
    outbound.poll(10, live())
    for seconds in range(40, 2000, 100):
        assert outbound.poll(seconds).missing == 1
        assert outbound.poll(seconds + 90).missing == 1
        assert outbound.poll(seconds + 99, live()).missing == 0
    assert positive(outbound.tracker.snapshot().ledger.uncounted) == {}


def test_a_row_that_cannot_be_read_was_seen():
    outbound = Outbound()
    outbound.poll(10, live())
    outbound.poll(40)
    assert outbound.poll(70, unreadable_ids=frozenset({"call"})).missing == 0
    assert outbound.poll(200).missing == 1
    assert positive(outbound.poll(319).ledger.uncounted) == {}


def test_a_read_elsewhere_neither_confirms_nor_resets():
    outbound = Outbound()
    outbound.poll(10, live())
    outbound.poll(40)
    elsewhere = [(T0 + 2 * SECOND, T0 + HOUR)]
    assert outbound.poll(300, ranges=elsewhere).missing == 1
    assert positive(outbound.tracker.snapshot().ledger.uncounted) == {}
    assert positive(outbound.poll(310).ledger.uncounted) == {"deleted": 1}


def test_a_range_that_was_read_twice_is_one_read():
    outbound = Outbound(structs.replace(RULES, settle_ms=0, settle_unanswered_ms=0))
    outbound.poll(10, live())
    twice = [(T0, T0 + HOUR), (T0 - HOUR, T0 + 2 * SECOND)]
    assert outbound.poll(40, ranges=twice).missing == 1
    assert positive(outbound.poll(40.001).ledger.uncounted) == {"deleted": 1}


def test_a_missing_call_settles_when_it_is_back():
    """Meanwhile it does not, however long it has been over."""
    outbound = Outbound(structs.replace(RULES, settle_ms=30 * SECOND, interval_ms=10 * MINUTE))
    outbound.poll(10, live())
    outbound.poll(30, answered())
    for seconds in range(60, 600, 30):
        missing = outbound.poll(seconds)
        assert (missing.pending, missing.ledger.settled) == (1, 0)
    back = outbound.poll(629, answered())
    assert (back.pending, back.missing, back.ledger.settled) == (0, 0, 1)
    assert outbound.poll(660, answered()).ledger.settled == 1


def test_a_call_that_was_gone_and_is_back_counts_once():
    outbound = Outbound()
    counted = outbound.poll(200, answered()).ledger
    for seconds in range(230, 3000, 30):
        outbound.poll(seconds)
    back = outbound.poll(3000, answered())
    assert (back.ledger, back.window.calls, back.missing) == (counted, 1, 0)


def test_a_missing_settled_call_leaves_at_the_windows_edge():
    outbound = Outbound()
    outbound.poll(200, answered())
    outbound.poll(3590)
    after = outbound.poll(3602)
    assert (after.missing, after.window.calls, after.tracked) == (0, 0, 0)


def test_a_missing_call_is_followed_and_expires():
    outbound = Outbound(structs.replace(RULES, follow_ms=90 * MINUTE, interval_ms=HOUR))
    outbound.poll(3000, live())
    missing = outbound.poll(3700)
    assert (missing.missing, missing.live, missing.window.calls) == (1, 1, 0)
    expired = outbound.poll(5402)
    assert (expired.missing, expired.live, expired.tracked) == (0, 0, 0)
    assert positive(expired.ledger.uncounted) == {"follow_expired": 1}


@pytest.mark.parametrize("call", [live(), PENDING, answered()], ids=str)
def test_missing_calls_survive_a_restart(call):
    outbound = Outbound()
    before = outbound.poll(200, call)
    missing = outbound.poll(FIRST_MISS)
    outbound.restart()
    again = outbound.tracker.snapshot()
    assert (again.missing, again.window, again.live) == (1, before.window, missing.live)
    assert outbound.poll(FIRST_MISS + 119).missing == 1
    outbound.restart()
    assert outbound.poll(FIRST_MISS + 120).missing == 0
    outbound.restart()
    assert outbound.tracker.snapshot().window.calls == 0
    assert outbound.poll(FIRST_MISS + 130, call).window.calls == 1


def test_one_empty_read_after_a_restart_loses_nothing():
    outbound = Outbound()
    calls = [live("a"), PENDING, answered("b"), unanswered("c")]
    before = outbound.poll(200, *calls)
    outbound.restart()
    empty = outbound.poll(FIRST_MISS)
    assert (empty.window, empty.missing) == (before.window, 4)
    back = outbound.poll(FIRST_MISS + 30, *calls)
    assert (back.window, back.missing, back.ledger) == (before.window, 0, before.ledger)


def test_a_clock_that_was_ahead_puts_off_no_confirmation():
    outbound = Outbound()
    outbound.poll(10, live())
    outbound.poll(1800)
    assert outbound.poll(40).missing == 1
    assert outbound.poll(159).missing == 1
    assert positive(outbound.poll(160).ledger.uncounted) == {"deleted": 1}


def test_what_is_due_to_be_gone_is_the_longest_missed_first():
    outbound = Outbound()
    calls = [Call(key, T0 + at * SECOND, 40, 3) for at, key in enumerate("abcd", 1)]
    done = Call("done", T0 - HOUR, 100, 4, 20.0)
    outbound.poll(10, *calls, done)
    outbound.poll(40, calls[0], calls[2], done)
    outbound.poll(50, calls[0], calls[2])
    outbound.poll(60)
    due = outbound.tracker.missing_due(T0 + 180 * SECOND)
    # the done one has left the window
    assert [each.call.id for each in due] == ["d", "b", "c", "a"]
    due = outbound.tracker.missing_due(T0 + 179 * SECOND)
    assert [each.call.id for each in due] == ["d", "b"]
