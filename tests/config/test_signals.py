"""The section `signals`: for all outbounds, and key by key for one."""

import pytest

from pearl_exporter.config.changes import changed_keys, changed_outbounds
from pearl_exporter.config.signals import DEFAULT_SIGNALS, SignalSettings
from pearl_exporter.detection.signals import Signal
from tests.config.loading import ONE, TOKEN, load, problems_of

pytestmark = pytest.mark.usefixtures("own_folder")

TWO = """
signals:
  error: {sensitivity: high, at_least_bad_calls: 20}
  short: {enabled: false}
outbounds:
  - id: a
  - id: b
    signals:
      error: {ceiling: 0.5, sensitivity: low}
      short:
"""


def test_without_the_section_every_signal_has_its_defaults():
    loaded = load(ONE)
    assert loaded.signals == loaded.outbounds[0].signals == DEFAULT_SIGNALS
    assert DEFAULT_SIGNALS[Signal.ERROR] == SignalSettings(
        enabled=True, sensitivity="normal", at_least_bad_calls=10, ceiling=None
    )
    assert {*DEFAULT_SIGNALS} == {*Signal}


def test_an_outbound_replaces_single_keys():
    for_all, own = (each.signals for each in load(TWO).outbounds)
    assert for_all[Signal.ERROR] == SignalSettings(sensitivity="high", at_least_bad_calls=20)
    assert own[Signal.ERROR] == SignalSettings(
        sensitivity="low", at_least_bad_calls=20, ceiling=0.5
    )
    assert not for_all[Signal.SHORT].enabled
    assert not own[Signal.SHORT].enabled
    assert own[Signal.UNREACHABLE] == SignalSettings()


def test_an_own_ceiling_of_none_takes_one_away():
    text = "signals: {error: {ceiling: 0.3}}\noutbounds: [{id: a, signals: {error: {ceiling: %s}}}]"
    assert load(text % "none").outbounds[0].signals[Signal.ERROR].ceiling is None
    assert load(text % "0.4").outbounds[0].signals[Signal.ERROR].ceiling == 0.4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{errors: {}}", 'signals.errors: unknown key; did you mean "error"?'),
        (
            "{error: {sensitivty: high}}",
            'signals.error.sensitivty: unknown key; did you mean "sensitivity"?',
        ),
        (
            "{error: {sensitivity: loud}}",
            'signals.error.sensitivity: got "loud", wanted one of low, normal, high',
        ),
        (
            "{error: {ceiling: 50}}",
            "signals.error.ceiling: got 50, wanted a number above 0, at most 1, or none",
        ),
        (
            "{error: {at_least_bad_calls: 0}}",
            "signals.error.at_least_bad_calls: got 0, wanted a whole number from 1 to 100000",
        ),
        ("{error: high}", "signals.error: wanted a mapping of keys to values"),
        ("[error]", "signals: wanted a mapping of signals, such as error: {sensitivity: high}"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(text, message):
    assert problems_of(f"{ONE}signals: {text}") == [f"config.yml:2: {message}"]
    own = f"outbounds:\n  - id: a\n    signals: {text}"
    assert problems_of(own) == [f"config.yml:3: outbounds.0.{message}"]


def test_variables_override_keys_of_a_signal():
    variables = {
        "PEARL_SIGNALS__ERROR__SENSITIVITY": "low",
        "PEARL_SIGNALS__ERROR__AT_LEAST_BAD_CALLS": "30",
        "PEARL_SIGNALS__VOICE_MAIL__ENABLED": "false",
        "PEARL_SIGNALS__SHORT__CEILING": "0.25",
    }
    loaded = load(f"{ONE}signals: {{error: {{sensitivity: high}}}}", TOKEN | variables)
    assert loaded.signals[Signal.ERROR] == SignalSettings(sensitivity="low", at_least_bad_calls=30)
    assert not loaded.signals[Signal.VOICE_MAIL].enabled
    assert loaded.signals[Signal.SHORT].ceiling == 0.25


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "PEARL_SIGNALS__ERRORS__ENABLED",
            "true",
            (
                "PEARL_SIGNALS__ERRORS__ENABLED: unknown variable; "
                "did you mean PEARL_SIGNALS__ERROR__ENABLED?"
            ),
        ),
        (
            "PEARL_SIGNALS__ERROR__CEILING",
            "half",
            (
                'PEARL_SIGNALS__ERROR__CEILING: got "half", '
                "wanted a number above 0, at most 1, or none"
            ),
        ),
    ],
)
def test_a_wrong_variable_is_named(variable, value, message):
    assert problems_of(ONE, TOKEN | {variable: value}) == [message]


def test_a_reload_names_what_has_changed():
    old, new = load(ONE), load(TWO)
    assert changed_keys(old, new) == (
        "signals.error.sensitivity",
        "signals.error.at_least_bad_calls",
        "signals.short.enabled",
    )
    assert changed_outbounds(old, new) == {"a": ("signals",)}
