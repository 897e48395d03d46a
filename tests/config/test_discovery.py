"""The sections discovery and account: what they mean, and what they need."""

from pathlib import Path

import pytest

from pearl_exporter.config import ConfigError, Settings, discovered_outbound, load_settings
from pearl_exporter.patterns import Pattern

TOKEN = {"PEARL_API_TOKEN": "account:key"}
ON = "discovery: {enabled: true}\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("token").write_text("other:key")

    def from_text(text: str, environ: dict[str, str] = TOKEN) -> Settings:
        Path("config.yml").write_text(text)
        return load_settings(Path("config.yml"), environ)

    return from_text


@pytest.mark.parametrize("outbounds", ["", "outbounds: []", "outbounds:"])
def test_with_discovery_there_need_be_no_outbounds(load, outbounds):
    assert load(f"{ON}{outbounds}").outbounds == ()


def test_both_are_off_by_default(load):
    settings = load("outbounds: [{id: a}]")
    assert (settings.discovery.enabled, settings.account.enabled) == (False, False)


def test_without_discovery_the_account_alone_needs_outbounds(load):
    with pytest.raises(ConfigError, match=r"discovery: \{enabled: true\}"):
        load("account: {enabled: true}")


@pytest.mark.parametrize("section", ["discovery", "account"])
@pytest.mark.parametrize("outbounds", ["[]", "[{id: a, token_file: token}]"])
def test_both_need_the_token_of_the_api_section(load, section, outbounds):
    text = f"{section}: {{enabled: true}}\noutbounds: {outbounds}"
    with pytest.raises(ConfigError, match=r"api\.token: no token"):
        load(text, {})
    assert load(text).api.token_source is not None


def test_the_environment_can_turn_it_on(load):
    environ = TOKEN | {
        "PEARL_DISCOVERY__ENABLED": "true",
        "PEARL_DISCOVERY__INCLUDE": "spring.*",
        "PEARL_ACCOUNT__INTERVAL": "1m",
    }
    settings = load_settings(None, environ)
    assert settings.discovery.include == Pattern("spring.*")
    assert settings.account.interval == 60
    assert settings.outbounds == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("discovery: {include: '('}", "config.yml:1: discovery.include: .*regular expression"),
        ("discovery: {paused: stop}", "discovery.paused: .*one of poll, skip"),
        ("discovery: {vanished: 1h}", "discovery.vanished: .*one of remove, keep"),
        ("discovery: {max_outbounds: 0}", "discovery.max_outbounds: .*from 1 to 10000"),
        ("discovery: {intervall: 1m}", 'unknown key; did you mean "interval"'),
        ("discovery: {interval: 5}", 'did you mean "5s"'),
        ("discovery: yes", "discovery: wanted a mapping"),
    ],
)
def test_a_mistake_is_told_with_what_is_right(load, text, said):
    with pytest.raises(ConfigError, match=said):
        load(f"{text}\noutbounds: [{{id: a}}]")


def test_a_discovered_outbound_has_the_values_of_poll(load):
    poll = "poll: {interval: 10s, window: 20m, settle: 5s, stale_after: 9m, give_up: 7s}"
    settings = load(f"{ON}{poll}")
    found = discovered_outbound("65f1c0", "spring", settings)
    assert (found.id, found.name, found.token) == ("65f1c0", "spring", settings.api.token_source)
    timings = (found.interval, found.window, found.settle, found.stale_after, found.give_up)
    assert timings == (10, 1200, 5, 540, 7)
    assert found.settle_unanswered == 5
