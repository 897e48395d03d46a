"""What a configuration file means: defaults, the contract's example, an empty file."""

import pytest
from pydantic import SecretStr

from pearl_exporter.config import (
    ApiSettings,
    ListenAddress,
    LogSettings,
    MetricsSettings,
    StateSettings,
    WebSettings,
)
from tests.config.loading import ONE, TOKEN, load

pytestmark = pytest.mark.usefixtures("own_folder")


def test_every_default_is_the_contracts():
    loaded = load(ONE)
    assert loaded.api == ApiSettings(token=SecretStr("account:key"))
    assert loaded.api.url == "https://api.nlpearl.ai"
    assert (loaded.api.timeout, loaded.api.page_size) == (30, 100)
    assert (loaded.api.concurrency, loaded.api.rate_limit) == (2, 2)
    assert loaded.poll.model_dump() == {
        "interval": 30,
        "idle_interval": None,
        "window": 3600,
        "settle": 120,
        "settle_unanswered": 30,
        "full_scan_every": 900,
        "follow": 86_400,
        "catch_up": 86_400,
        "max_unreadable": 0.01,
        "stale_after": 300,
        "give_up": 60,
    }
    assert loaded.metrics.duration_buckets == (
        *(5, 10, 15, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600),
    )
    assert loaded.metrics == MetricsSettings()
    assert loaded.metrics.max_tags == 100
    assert loaded.metrics.tag_include.matches("any\ntag")
    assert not loaded.metrics.tag_exclude.matches("any")
    assert loaded.state == StateSettings(url="sqlite:///data/pearl-exporter.db")
    assert loaded.web == WebSettings(
        listen=ListenAddress("", 10042), config_file=None, enable_reload=False
    )
    assert loaded.log == LogSettings(level="info", format="logfmt")


def test_the_example_of_the_contract_is_read():
    loaded = load(
        """
        api: {url: https://api.nlpearl.ai/, token: "Bearer acc:key", timeout: 20s, rate_limit: 0.5}
        poll: {interval: 30s, window: 1h, settle: 2m, give_up: 45s}
        outbounds:
          - {id: 65f1c0ffee, name: " spring-renewals ", interval: 10s, labels: {team: renewals}}
          - id: 65f1c0ffef
        metrics: {duration_buckets: [1, 2.5], tag_include: 'vip|sales_.*'}
        web: {listen: "[::]:9000", enable_reload: true}
        log: {level: debug, format: json}
        """,
        {},
    )
    first, second = loaded.outbounds
    assert loaded.api.url == "https://api.nlpearl.ai"
    assert loaded.api.rate_limit == 0.5
    assert (first.id, first.name, first.interval) == ("65f1c0ffee", "spring-renewals", 10)
    assert (first.labels, second.labels) == ({"team": "renewals"}, {})
    assert (second.name, second.interval) == ("65f1c0ffef", 30)
    assert first.token.read() == second.token.read() == "acc:key"
    assert first.give_up == loaded.poll.give_up == 45
    assert loaded.metrics.duration_buckets == (1.0, 2.5)
    assert loaded.metrics.tag_include.matches("sales_x")
    assert loaded.web.listen == ("::", 9000)
    assert str(loaded.web.listen) == "[::]:9000"


def test_no_outbounds_on_purpose_needs_no_token():
    assert load("outbounds: []", {}).outbounds == ()


def test_an_empty_file_leaves_it_to_the_environment():
    for text in ("", "# nothing\n", "---\n", "poll:\nmetrics: ~\noutbounds:\n"):
        assert load(text, TOKEN | {"PEARL_OUTBOUNDS": "a"}).outbounds[0].id == "a"


def test_a_byte_order_mark_and_windows_line_ends_are_fine():
    assert load(b"\xef\xbb\xbfoutbounds:\r\n- id: a\r\n").outbounds[0].id == "a"
