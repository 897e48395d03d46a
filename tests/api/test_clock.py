"""What time it is at the API, by the Date headers of its answers."""

import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.api.clock import LOG_SKEW_SECONDS, STEP_CONFIRM_SECONDS, ApiClock, Clock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


class Machine:
    """This machine: a wall clock that may be wrong and stepped, and a monotonic one."""

    def __init__(self, ahead_seconds: float = 0.0) -> None:
        self.true_seconds = NOON
        self.ahead_seconds = ahead_seconds
        self.api_clock = ApiClock(
            Clock(
                wall=lambda: self.true_seconds + self.ahead_seconds,
                monotonic=lambda: self.true_seconds - NOON + 77.0,
            )
        )

    def hear(self, wrong_by: float = 0.0) -> None:
        """An answer comes, whose Date is cut to whole seconds as a server's is."""
        self.hear_raw(http_date(self.true_seconds + wrong_by))

    def bear_out(self, is_date_right: bool | None = True) -> None:
        """Calls say whether the last headers are right, if they are asked."""
        doubt = self.api_clock.doubt("out")
        if doubt is not None:
            verdict = is_date_right
            if verdict is not None and not doubt.is_other_header:
                verdict = not verdict
            self.api_clock.decide(doubt, "out", is_other_right=verdict)

    def hear_raw(self, header: str) -> None:
        self.api_clock.observe(header, self.true_seconds - NOON + 77.0)

    @property
    def error_seconds(self) -> float:
        """How far what is taken for the API's time is off."""
        return self.api_clock.now() / 1000 - self.true_seconds


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)


def test_before_any_answer_the_machines_time_is_all_there_is():
    machine = Machine(ahead_seconds=3600)
    assert not machine.api_clock.is_known
    assert machine.api_clock.skew_seconds == 0.0
    assert machine.error_seconds == 3600


@pytest.mark.parametrize("ahead", [0.0, 1.0, -1.0, 1.49, -1.49])
def test_a_difference_below_two_seconds_is_not_corrected(ahead):
    machine = Machine(ahead)
    machine.hear()
    assert machine.api_clock.is_known
    assert machine.error_seconds == pytest.approx(ahead, abs=0.001)


@pytest.mark.parametrize("ahead", [2.6, -2.6, 60.0, -60.0, 299.0, -299.0])
def test_a_larger_skew_is_corrected_by_the_first_answer(ahead):
    machine = Machine(ahead)
    machine.hear()
    assert machine.api_clock.skew_seconds == pytest.approx(ahead, abs=0.501)
    assert machine.error_seconds == pytest.approx(0.0, abs=0.501)


@pytest.mark.parametrize("ahead", [301.5, -301.5, 86_400.0, -86_400.0])
def test_a_skew_of_more_than_minutes_needs_calls_as_witnesses(ahead):
    machine = Machine(ahead)
    machine.hear()
    assert not machine.api_clock.is_known
    assert not machine.api_clock.is_header_used
    assert machine.api_clock.skew_seconds == pytest.approx(ahead, abs=0.501)
    assert machine.error_seconds == pytest.approx(ahead, abs=0.001)
    machine.bear_out()
    assert machine.api_clock.is_known
    assert machine.error_seconds == pytest.approx(0.0, abs=0.501)


@pytest.mark.parametrize("verdict", [False, None])
def test_a_date_that_calls_do_not_bear_out_is_not_used(verdict, caplog):
    machine = Machine()
    for _ in range(3):
        machine.hear(wrong_by=7200.0)
        machine.bear_out(verdict)
    assert machine.error_seconds == 0.0
    assert machine.api_clock.skew_seconds == pytest.approx(-7200.0, abs=0.501)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("verdict", [True, False, None])
def test_each_outbound_is_asked_every_5_minutes(verdict):
    """A few calls may have been wrong about it."""
    machine = Machine()
    machine.hear(wrong_by=7200.0)
    machine.bear_out(verdict)
    assert machine.api_clock.doubt("out") is None
    assert machine.api_clock.doubt("other") is not None
    machine.true_seconds += 301
    assert machine.api_clock.doubt("out") is not None


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    st.lists(st.floats(0, 400), min_size=1, max_size=20),
)
def test_no_header_alone_moves_the_time_by_more_than_minutes(ahead, wrong, pauses):
    machine = Machine(ahead)
    for wrong_by, pause in zip(wrong, pauses, strict=False):
        machine.true_seconds += pause
        machine.hear(wrong_by)
        assert abs(machine.error_seconds - ahead) <= 301.0


def test_what_calls_got_wrong_calls_put_right():
    machine = Machine()
    machine.hear(wrong_by=-7200.0)
    machine.bear_out()
    assert machine.error_seconds == pytest.approx(-7200.0, abs=0.501)
    machine.true_seconds += 301
    machine.hear(wrong_by=-7200.0)
    machine.bear_out(False)
    assert machine.error_seconds == 0.0


@given(
    st.floats(-298, 298) | st.floats(-1e6, 1e6),
    st.lists(st.floats(0, 100), min_size=1, max_size=8),
)
def test_the_correction_is_off_by_a_second_at_most(ahead, pauses):
    """The header has whole seconds."""
    machine = Machine(ahead)
    for pause in pauses:
        machine.true_seconds += pause
        machine.hear()
        machine.bear_out()
    tolerated = 2.5 if abs(ahead) <= 2.5 else 0.502
    assert abs(machine.error_seconds) <= tolerated


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("wrong_by", [3600.0, -3600.0, 1e8])
def test_one_wild_header_of_five_moves_nothing(place, wrong_by):
    machine = Machine()
    for index in range(5):
        machine.hear(wrong_by if index == place else 0.0)
        machine.true_seconds += 1
    assert abs(machine.api_clock.skew_seconds) <= 0.501
    assert machine.error_seconds == 0.0


def test_a_lasting_change_of_the_apis_clock_is_followed():
    machine = Machine()
    for _ in range(5):
        machine.hear()
    for _ in range(3):
        machine.hear(wrong_by=100.0)
    assert machine.error_seconds == pytest.approx(100.0, abs=0.501)


@pytest.mark.parametrize("step", [7200.0, -7200.0, 30.0])
def test_a_step_of_the_wall_clock_does_not_move_the_api_s(step):
    machine = Machine()
    for _ in range(5):
        machine.hear()
    machine.ahead_seconds = step
    assert machine.api_clock.skew_seconds == pytest.approx(step, abs=0.501)
    assert machine.error_seconds == pytest.approx(0.0, abs=0.501)


def test_between_answers_the_apis_time_goes_on():
    machine = Machine(ahead_seconds=100.0)
    machine.hear()
    before = machine.api_clock.now()
    machine.true_seconds += 60
    assert machine.api_clock.now() - before == pytest.approx(60_000, abs=1)


def wait(machine: Machine, seconds: float) -> None:
    """Time goes on, and somebody asks for it every 10 s."""
    for _ in range(round(seconds / 10)):
        machine.true_seconds += 10
        machine.api_clock.now()


@pytest.mark.parametrize("step", [7200.0, -7200.0, 30.0, -30.0])
def test_without_a_date_a_short_step_moves_nothing(step, caplog):
    machine = Machine()
    wait(machine, 600)
    machine.ahead_seconds = step
    wait(machine, STEP_CONFIRM_SECONDS - 10)
    assert machine.error_seconds == pytest.approx(0.0, abs=0.002)
    machine.ahead_seconds = 0.0
    wait(machine, 2 * STEP_CONFIRM_SECONDS)
    assert machine.error_seconds == pytest.approx(0.0, abs=0.002)
    (record,) = caplog.records
    assert record.getMessage() == "clock was set, ignoring it until it has stayed so"
    assert (record.step_seconds, record.confirm_seconds) == (step, 300.0)


@pytest.mark.parametrize("step", [7200.0, -7200.0, 28_800.0])
def test_without_a_date_a_step_that_lasts_is_believed(step, caplog):
    """So is the time that a machine has slept through, which its monotonic clock leaves out."""
    machine = Machine()
    wait(machine, 60)
    machine.ahead_seconds = step
    wait(machine, STEP_CONFIRM_SECONDS + 10)
    assert machine.error_seconds == pytest.approx(step, abs=0.002)
    assert len(caplog.records) == 2
    assert caplog.records[1].getMessage().endswith("has stayed so, using it")


def test_without_a_date_a_wandering_clock_is_not_believed():
    machine = Machine()
    wait(machine, 60)
    for step in (100.0, 200.0, 300.0, 200.0):
        machine.ahead_seconds = step
        wait(machine, STEP_CONFIRM_SECONDS - 10)
        assert machine.error_seconds == pytest.approx(0.0, abs=0.002)
    wait(machine, 30)
    assert machine.error_seconds == pytest.approx(200.0, abs=0.002)


@pytest.mark.parametrize("rate", [0.0005, -0.0005, 0.05])
def test_without_a_date_a_slow_correction_is_followed(rate):
    machine = Machine()
    for _ in range(1000):
        wait(machine, 10)
        machine.ahead_seconds += 10 * rate
        assert machine.error_seconds == pytest.approx(machine.ahead_seconds, abs=0.002)


def test_a_date_ends_all_doubt():
    machine = Machine()
    wait(machine, 60)
    machine.ahead_seconds = 3600.0
    wait(machine, 60)
    machine.true_seconds += 28_800  # the monotonic clock shows it, and the header confirms it
    machine.hear()
    assert machine.error_seconds == pytest.approx(0.0, abs=0.501)


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "yesterday",
        "1795000000",
        "2026-11-23T12:00:00Z",
        "Mon, 99 Nov 2026 12:00:00 GMT",
        "Mon, 23 Nov 2026 25:00:00 GMT",
        "Mon, 23 Nov 99999999999 12:00:00 GMT",
        "Mon, 23 Nov 2026 99999999999999:00:00 GMT",
        "Mon, 23 Nov 2026 12:00:00 +9999",
        "\ud800",
        "(" * 5000,
    ],
)
def test_a_header_that_is_no_date_is_ignored(header):
    machine = Machine()
    machine.hear_raw(header)
    assert not machine.api_clock.is_known


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [-+A-Z\d]+"))
def test_no_header_whatever_it_holds_breaks_the_clock(header):
    machine = Machine()
    machine.hear_raw(header)
    assert isinstance(machine.api_clock.now(), int)


@pytest.mark.parametrize("zone", ["GMT", "UTC", "+0000", "-0000"])
def test_every_way_to_write_utc_is_utc(zone, monkeypatch):
    """Whatever this machine's time zone is."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        machine = Machine()
        machine.hear_raw(f"Mon, 23 Nov 2026 12:00:00 {zone}")
        assert abs(machine.api_clock.skew_seconds) <= 0.501
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_machines_own_clocks_are_the_default():
    clock = Clock()
    assert clock.wall() == pytest.approx(time.time(), abs=5)
    first = clock.monotonic()
    assert clock.monotonic() >= first


def test_the_log_says_when_a_correction_begins_and_ends(caplog):
    """At most once in five minutes: two servers that differ may answer in turns."""
    machine = Machine()
    with caplog.at_level("INFO", "pearl_exporter.api"):
        for wrong_by, seconds in [(0.0, 600), (200.0, 600), (230.0, 200), (5.0, 600)]:
            for _ in range(seconds // 10):
                machine.hear(wrong_by)
                machine.true_seconds += 10
    assert [(r.message, getattr(r, "skew", "")) for r in caplog.records] == [
        ("clocks differ, using the API's", "this machine's clock is 200 s behind the API's"),
        ("clocks differ, using the API's", "this machine's clock is 230 s behind the API's"),
        ("clocks agree again", ""),
    ]


def test_a_correction_that_flickers_floods_no_log(caplog):
    machine = Machine()
    for number in range(3600):
        machine.hear(30.0 * (number // 5 % 2))
        machine.true_seconds += 1
    assert 2 <= len(caplog.records) <= 3600 / LOG_SKEW_SECONDS + 1
