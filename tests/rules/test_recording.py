"""The value of every recording rule: steady, through a restart, and without series."""

import re

import pytest

from tests.rules.promtool import (
    ORDER,
    THRESHOLDS,
    Scenario,
    absent,
    counter,
    failures,
    gauge,
    holds,
    rules,
    series,
)
from tests.rules.world import LONG_AGO, spring, well

MINUTES = 50
AT = 45.0

CALLS = {
    "started": 60.0,
    "error": 3.0,
    "unreachable": 15.0,
    "success": 12.0,
    "not_successful": 18.0,
    "voice_mail_left": 6.0,
    "need_retry": 6.0,
}
DURATIONS = {"success": 12.0, "not_successful": 18.0, "voice_mail_left": 6.0}
"""Answered calls a minute; half of each are below 30 s, the rest below 60 s."""


def durations(name: str) -> list:
    return [
        series(f"pearl_call_duration_seconds_{part}", values, spring(name), status=status, **more)
        for status, rate in DURATIONS.items()
        for part, values, more in (
            ("bucket", counter((MINUTES, rate / 2)), {"le": "30.0"}),
            ("bucket", counter((MINUTES, rate)), {"le": "60.0"}),
            ("bucket", counter((MINUTES, rate)), {"le": "+Inf"}),
            ("count", counter((MINUTES, rate)), {}),
        )
    ]


def thresholds() -> list[tuple[str, float]]:
    """Each threshold, by its own labels."""
    return [
        (
            "{" + ",".join(f'{name}="{value}"' for name, value in each["labels"].items()) + "}",
            float(each["expr"].removeprefix("vector(").removesuffix(")")),
        )
        for each in rules()
        if each.get("record") == "pearl:threshold"
    ]


SHARE = "outbound_status:pearl_calls_share"
ERROR = 'status="error"'
VALUES: dict[str, float] = {
    "outbound:pearl_calls_started:per_minute5m": 60,
    f"outbound_status:pearl_calls:ratio_rate15m{{{ERROR}}}": 0.05,
    'outbound_status:pearl_calls:ratio_rate15m{status="unreachable"}': 0.25,
    "outbound:pearl_calls_success:ratio_rate1h": 0.4,
    "outbound:pearl_calls_answered:ratio_rate15m": 0.5,
    "outbound:pearl_call_duration_seconds:p50_rate15m": 30,
    "outbound:pearl_call_duration_seconds:p90_rate15m": 54,
    "outbound:pearl_outbound_steady:bool": 1,
    "outbound:pearl_calls_started:rate1m": 1,
    "outbound:pearl_calls:rate1m": 1,
    f"outbound_status:pearl_calls:rate1m{{{ERROR}}}": 0.05,
    'outbound:pearl_calls_seen:increase{window="5m"}': 300,
    'outbound:pearl_calls_seen:increase{window="10m"}': 600,
    'outbound:pearl_calls_seen:increase{window="20m"}': 1200,
    'outbound:pearl_calls_seen:increase{window="40m"}': 2400,
    f'outbound_status:pearl_calls:increase{{{ERROR},window="5m"}}': 15,
    f'outbound_status:pearl_calls:increase{{{ERROR},window="40m"}}': 120,
    'outbound_status:pearl_calls:increase{status="unreachable",window="20m"}': 300,
    f'{SHARE}:ratio{{{ERROR},window="5m"}}': 0.05,
    'outbound:pearl_calls_seen:weight{window="5m"}': 300,
    f"{SHARE}:usual{{{ERROR}}}": 0.1,
    f'{SHARE}:usual{{status="unreachable"}}': 0.6,
    f"{SHARE}:limit{{{ERROR}}}": 0.1 + 0.5 * 0.1 * 0.9,
    # without a past it is the scatter of these calls alone; of unreachable, the wobble of 0.04 too
    f'{SHARE}:variance{{{ERROR},window="5m"}}': 1 / 300,
    f'{SHARE}:variance{{status="unreachable",window="5m"}}': 1 / 300 + 0.04**2,
    # 2 sqrt(300) (asin sqrt 0.05 - asin sqrt 0.1)
    f'{SHARE}:surprise{{{ERROR},window="5m"}}': -3.334,
    f'{SHARE}:raised{{{ERROR},speed="fast"}}': 0,
    f'{SHARE}:alarm{{{ERROR},speed="fast"}}': 0,
    'outbound:pearl_calls_success:increase{window="20m"}': 0.2 * 1200,
    'outbound:pearl_calls_decided:increase{window="20m"}': 0.5 * 1200,
    'outbound:pearl_calls_success:increase{window="80m"}': 12 * 44.625,
    'outbound:pearl_calls_decided:increase{window="320m"}': 30 * 44.625,
    "outbound:pearl_calls_success:increase40m": 480,
    "outbound:pearl_calls_decided:increase40m": 1200,
    'outbound:pearl_calls_success:ratio{window="80m"}': 0.4,
    "outbound:pearl_calls_success:fallen": 0,
    "outbound:pearl_calls_success:alarm": 0,
    "outbound:pearl_calls_started:increase40m": 2400,
}
WEEKLY = {
    # of a past without a change: each 40 minutes 200 calls, 10 of them bad; 100 decided, 40 well
    f"{SHARE}:usual": 0.05,
    f"{SHARE}:limit": 0.05 + 0.5 * 0.05 * 0.95,
    "outbound_status:pearl_calls:increase7d": 10 * 252,
    "outbound:pearl_calls_seen:increase7d": 200 * 252,
    'outbound:pearl_calls_seen:weight{window="40m"}': 1 / (1 / 200 + 1 / (200 * 252)),
    "outbound:pearl_calls_decided:increase7d": 100 * 252,
    "outbound:pearl_calls_success:usual": 0.4,
    "outbound:pearl_calls_success:limit": 0.3,
    # 40.375 of 100.75 against 0.4: Anscombe's correction is all there is
    'outbound:pearl_calls_success:surprise{window="80m"}': 0.0152,
}


def near(query: str, value: float, name: str) -> dict:
    """That a query has this value, to a thousandth."""
    selector = re.sub(r"{|$", f'{{instance="{name}",', query, count=1).rstrip("}") + "}"
    size = max(abs(value), 1.0)
    return holds(AT, f"count(abs({selector} - {value}) <= {size / 1000}) or vector(0)", 1)


def steady(name: str) -> Scenario:
    calls = {key: [(float(MINUTES), rate)] for key, rate in CALLS.items()}
    world = [*well(name, MINUTES, calls), *durations(name)]
    return Scenario(world, [near(query, value, name) for query, value in VALUES.items()])


def restarted(name: str) -> Scenario:
    """Down from minute 20 to 22; 120 calls are counted at once. No window ever holds them."""
    labels = spring(name)
    since = f"{gauge((20, LONG_AGO))} {absent(2)} {gauge((28, 22 * 60))}"
    flat = f"{gauge((20, 0))} {absent(2)} {gauge((28, 0))}"

    def values(rate: float) -> str:
        return f"{counter((20, rate))} {absent(2)} {counter((28, rate), start=22 * rate)}"

    world = [
        series("up", gauge((20, 1), (2, 0), (28, 1)), {"job": "pearl", "instance": name}),
        series("pearl_outbound_catching_up", flat, labels),
        series("pearl_outbound_caught_up_timestamp_seconds", since, labels),
        series("pearl_calls_started_total", values(60), labels),
        series("pearl_calls_total", values(3), labels, status="error"),
    ]
    where = f'instance="{name}"'
    bound = f"max_over_time(outbound:pearl_calls_started:rate1m{{{where}}}[45m])"
    steady_ = f"outbound:pearl_outbound_steady:bool{{{where}}}"
    asked = [
        holds(AT, f"{bound} <= bool 1.01", 1, **labels),
        holds(19, f"0 + {steady_}", 1, **labels),
        holds(21, f"0 + {steady_}", None),
        holds(23, f"0 + {steady_}", 0, **labels),
        holds(25, f"0 + {steady_}", 1, **labels),
        holds(23, f"outbound:pearl_calls_started:rate1m{{{where}}}", None),
    ]
    return Scenario(world, asked)


def missing(name: str) -> Scenario:
    """An outbound whose first poll has not come yet, and nothing else."""
    labels = spring(name)
    world = [
        series("pearl_outbound_catching_up", gauge((MINUTES, 0)), labels),
        series("pearl_calls_started_total", gauge((MINUTES, 0)), labels),
    ]
    there = {
        "outbound:pearl_outbound_steady:bool",  # 0
        "outbound:pearl_calls_started:per_minute5m",
    }
    absent_ = sorted({each["record"] for each in rules() if "record" in each} - there)
    asked = [
        holds(AT, f'count({record}{{instance="{name}"}})', None)
        for record in absent_
        if record != "pearl:threshold"
    ]
    return Scenario(world, asked)


@pytest.mark.parametrize("make", [steady, restarted, missing])
def test_values(make, tmp_path_factory):
    found = failures(tmp_path_factory.mktemp("recording"), {make.__name__: make})
    assert not found, found[make.__name__]


def test_thresholds_are_series(tmp_path_factory):
    from tests.rules.promtool import run

    asked = [
        holds(1, f"max without (__name__) (pearl:threshold{labels})", value, **_labels(labels))
        for labels, value in thresholds()
    ]
    assert len(asked) > 10
    folder = tmp_path_factory.mktemp("thresholds")
    said = run(folder, [{"promql_expr_test": asked}], only=THRESHOLDS)
    assert not said, said


def _labels(text: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', text))


def test_what_is_usual_by_a_past_of_seven_days(tmp_path_factory):
    """A sample every 20 minutes; the windows are recorded already."""

    def world(name: str) -> Scenario:
        labels = spring(name)
        window = {"window": "40m", "speed": "slow"}
        past = {
            "outbound_status:pearl_calls:increase": (10, {**window, "status": "error"}),
            "outbound:pearl_calls_seen:increase": (200, window),
            "outbound:pearl_calls_success:increase40m": (40, {}),
            "outbound:pearl_calls_decided:increase40m": (100, {}),
            "outbound:pearl_calls_success:increase": (40, {"window": "80m"}),
            "outbound:pearl_calls_decided:increase": (100, {"window": "80m"}),
            "pearl_outbound_catching_up": (0, {}),
            "pearl_outbound_caught_up_timestamp_seconds": (LONG_AGO, {}),
        }
        made = [
            series(record, f"{value}x600", labels, **more) for record, (value, more) in past.items()
        ]
        asked = [near(query, value, name) for query, value in WEEKLY.items()]
        return Scenario(made, [{**each, "eval_time": "8d"} for each in asked])

    groups = [name for name in ORDER if name != "pearl-campaign-alerts"]
    found = failures(tmp_path_factory.mktemp("usual"), {"past": world}, only=groups, step="20m")
    assert not found, found["past"]


def test_every_recording_rule_is_among_them():
    tested = {re.match(r"[\w:]+", query)[0] for query in (*VALUES, *WEEKLY)}
    assert tested | {"pearl:threshold"} == {each["record"] for each in rules() if "record" in each}
