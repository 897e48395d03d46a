"""The timings: whose value an outbound has, and which values contradict each other."""

import re

import pytest

from pearl_exporter.config import PollSettings, Settings
from tests.config.loading import ONE, load, problems_of

pytestmark = pytest.mark.usefixtures("own_folder")


def test_settings_made_by_code_have_the_same_defaults():
    assert Settings().poll == PollSettings()
    assert PollSettings(interval=120.0).stale_after == 360
    assert PollSettings(settle=10.0).settle_unanswered == 10


@pytest.mark.parametrize(
    ("poll", "own", "expected"),
    [
        ("{}", "{}", {"settle_unanswered": 30, "stale_after": 300, "give_up": 60}),
        ("{settle: 10s}", "{}", {"settle": 10, "settle_unanswered": 10}),
        ("{settle: 10s}", "{settle: 5m}", {"settle": 300, "settle_unanswered": 30}),
        ("{settle_unanswered: 1m}", "{settle: 20s}", {"settle_unanswered": 20}),
        ("{settle_unanswered: 1m}", "{settle_unanswered: 0s}", {"settle_unanswered": 0}),
        ("{interval: 5m}", "{}", {"stale_after": 900, "give_up": 300}),
        ("{}", "{interval: 5m}", {"idle_interval": 300}),
        ("{idle_interval: 10m}", "{}", {"idle_interval": 600, "stale_after": 1800}),
        ("{idle_interval: 10m}", "{interval: 20m}", {"idle_interval": 1200, "stale_after": 3600}),
        ("{}", "{interval: 5m}", {"interval": 300, "stale_after": 900, "give_up": 300}),
        ("{stale_after: 20m}", "{interval: 5m}", {"stale_after": 1200}),
        ("{stale_after: 1m}", "{stale_after: 4m}", {"stale_after": 240}),
        ("{give_up: 10s}", "{interval: 5m}", {"give_up": 10}),
        ("{window: 2h}", "{}", {"window": 7200}),
        ("{window: 2h}", "{window: 3h}", {"window": 10_800}),
    ],
)
def test_an_outbound_has_every_value_resolved(poll, own, expected):
    own = own.replace("{", "{id: a, ") if own != "{}" else "{id: a}"
    (outbound,) = load(f"poll: {poll}\noutbounds: [{own}]").outbounds
    assert {key: getattr(outbound, key) for key in expected} == expected


def test_give_up_follows_the_timeout_of_another_section():
    loaded = load(f"api: {{timeout: 2m}}\n{ONE}")
    assert loaded.poll.give_up == loaded.outbounds[0].give_up == 240


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poll: {window: 10s}", "poll.window: got 10s, wanted at least the interval, which is 30s"),
        (
            "poll: {interval: 2h}",
            "poll.interval: got 2h, wanted at most window, which is 1h",
        ),
        (
            "poll: {settle: 10s, settle_unanswered: 11s}",
            "poll.settle: got 10s, wanted at least settle_unanswered, which is 11s",
        ),
        (
            "poll: {settle_unanswered: 3m}",
            "poll.settle_unanswered: got 3m, wanted at most settle, which is 2m",
        ),
        (
            "poll: {stale_after: 9m, idle_interval: 5m}",
            "poll.stale_after: got 9m, wanted at least two of idle_interval, which is 10m",
        ),
        (
            "poll: {window: 10m, idle_interval: 15m}",
            "poll.window: got 10m, wanted at least idle_interval, which is 15m",
        ),
        (
            "poll: {idle_interval: 20s}",
            "poll.idle_interval: got 20s, wanted at least the interval, which is 30s",
        ),
        (
            "poll: {stale_after: 59s}",
            "poll.stale_after: got 59s, wanted at least two intervals, which is 1m",
        ),
    ],
)
def test_timings_of_all_that_contradict_each_other(text, message):
    assert problems_of(f"{ONE}{text}") == [f"config.yml:2: {message}"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "id: a\n  window: 10s",
            "outbounds.0.window: got 10s, wanted at least the interval, which is 30s",
        ),
        (
            "id: a\n  interval: 2h",
            "outbounds.0.interval: got 2h, wanted at most window, which is 1h",
        ),
        (
            "id: a\n  settle: 0s\n  settle_unanswered: 1s",
            "outbounds.0.settle: got 0s, wanted at least settle_unanswered, which is 1s",
        ),
    ],
)
def test_timings_of_one_outbound_that_contradict_each_other(entry, message):
    (problem,) = problems_of(f"outbounds:\n- {entry}")
    assert re.fullmatch(rf"config\.yml:[234]: {re.escape(message)}", problem)


def test_an_outbounds_interval_must_fit_the_stale_after_of_all():
    assert problems_of("poll: {stale_after: 5m}\noutbounds:\n- {id: a, interval: 4m}") == [
        (
            "config.yml:3: outbounds.0.interval: got 4m, "
            "wanted at most half of stale_after, which is 2m30s"
        )
    ]
