"""The configuration as its users meet it: what a file means, and what each mistake is told."""

import re
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from pearl_exporter.config import (
    ApiSettings,
    ConfigError,
    ListenAddress,
    LogSettings,
    MetricsSettings,
    PollSettings,
    Settings,
    StateSettings,
    WebSettings,
    load_settings,
)
from pearl_exporter.config.keys import settings_keys

DOCS = Path(__file__).parents[2] / "docs"
TOKEN = {"PEARL_API_TOKEN": "account:key"}
ONE = "outbounds: [{id: a}]\n"
CONFIG = Path("config.yml")


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text="", environ=None):
    """Load a file of this text with a token in the environment, or with exactly ``environ``."""
    content = text if isinstance(text, bytes) else text.encode()
    CONFIG.write_bytes(content)
    return load_settings(CONFIG, TOKEN if environ is None else environ)


def faults(text="", environ=None):
    with pytest.raises(ConfigError) as caught:
        load(text, environ)
    return list(caught.value.faults)


# --- what a file means


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
        listen=ListenAddress("0.0.0.0", 10042), config_file=None, enable_reload=False
    )
    assert loaded.log == LogSettings(level="info", format="logfmt")


def test_settings_made_by_code_have_the_same_defaults():
    assert Settings().poll == PollSettings()
    assert PollSettings(interval=120.0).stale_after == 360
    assert PollSettings(settle=10.0).settle_unanswered == 10


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


def test_no_outbounds_on_purpose_needs_no_token():
    assert load("outbounds: []", {}).outbounds == ()


def test_an_empty_file_leaves_it_to_the_environment():
    for text in ("", "# nothing\n", "---\n", "poll:\nmetrics: ~\noutbounds:\n"):
        assert load(text, TOKEN | {"PEARL_OUTBOUNDS": "a"}).outbounds[0].id == "a"


def test_a_byte_order_mark_and_windows_line_ends_are_fine():
    assert load(b"\xef\xbb\xbfoutbounds:\r\n- id: a\r\n").outbounds[0].id == "a"


# --- tokens


def test_an_outbound_may_have_another_accounts_token():
    Path("one").write_text("Bearer one:1\n")
    Path("two").write_text("two:2\n")
    loaded = load("api: {token_file: one}\noutbounds: [{id: a}, {id: b, token_file: two}]", {})
    assert [outbound.token.read() for outbound in loaded.outbounds] == ["one:1", "two:2"]
    assert loaded.outbounds[1].token.file == Path("two")


def test_no_token_is_needed_where_every_outbound_has_its_own():
    Path("two").write_text("two:2")
    assert load("outbounds: [{id: b, token_file: two}]", {}).outbounds[0].token.read() == "two:2"


def test_the_files_token_wins_over_the_environments():
    environ = TOKEN | {"PEARL_API_TOKEN_FILE": "gone"}
    assert load(f"api: {{token: mine}}\n{ONE}", environ).outbounds[0].token.read() == "mine"


def test_a_token_masks_itself():
    loaded = load(f"api: {{token: acc:key, proxy: 'http://u:hidden@p:1'}}\n{ONE}", {})
    shown = f"{loaded!r} {loaded} {loaded.model_dump()} {loaded.model_dump_json()}"
    assert "acc:key" not in shown
    assert "hidden" not in shown
    assert loaded.api.proxy.get_secret_value() == "http://u:hidden@p:1"


NO_TOKEN = (
    "no token; give one of api.token and api.token_file in the file, "
    "or of PEARL_API_TOKEN and PEARL_API_TOKEN_FILE in the environment"
)


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        (ONE, {}, f"config.yml: api.token: {NO_TOKEN}"),
        (f"{ONE}api: {{token: }}", {}, f"config.yml:2: api.token: {NO_TOKEN}"),
        (f"{ONE}api: {{token: ''}}", {}, "config.yml:2: api.token: the token is empty"),
        (
            f"{ONE}api: {{token: 12345678}}",
            {},
            "config.yml:2: api.token: got a value that is not shown, wanted text; put it in quotes",
        ),
        (
            f"{ONE}api: {{token: x, token_file: good}}",
            {},
            "config.yml:2: api.token_file: there is api.token as well; wanted one of both",
        ),
        (
            f"{ONE}api: {{token_file: gone}}",
            {},
            'config.yml:2: api.token_file: there is no such file: "gone", from {here}',
        ),
        (
            f"{ONE}api: {{token_file: /gone/token}}",
            {},
            'config.yml:2: api.token_file: there is no such file: "/gone/token"',
        ),
        (
            f"{ONE}api: {{token_file: .}}",
            {},
            'config.yml:2: api.token_file: is no regular file: ".", from {here}',
        ),
        (
            "outbounds: [{id: a, token_file: empty}]",
            TOKEN,
            'config.yml:1: outbounds.0.token_file: the token is empty: "empty", from {here}',
        ),
        (
            ONE,
            {"PEARL_API_TOKEN": "two words"},
            (
                "PEARL_API_TOKEN: the token has white space inside; "
                "wanted one word, as NLPearl shows it"
            ),
        ),
        (
            ONE,
            {"PEARL_API_TOKEN_FILE": "gone"},
            'PEARL_API_TOKEN_FILE: there is no such file: "gone", from {here}',
        ),
        (
            ONE,
            TOKEN | {"PEARL_API_TOKEN_FILE": "good"},
            "PEARL_API_TOKEN_FILE: there is PEARL_API_TOKEN as well; wanted one of both",
        ),
    ],
)
def test_a_token_that_is_missing_or_unusable(text, environ, message):
    Path("good").write_text("a:b")
    Path("empty").write_text("\n")
    here = f"the working directory {Path.cwd()}"
    assert faults(text, environ) == [message.replace("{here}", here)]


@pytest.mark.parametrize("pasted", ["acct-4711:s3cr3t", "k3y0123456789abcdefghijkl", "x" * 300])
def test_a_token_in_the_place_of_its_file_is_not_repeated(pasted):
    (fault,) = faults(f"{ONE}api: {{token_file: '{pasted}'}}")
    assert pasted not in fault
    assert "api.token_file: " in fault


# --- the environment


def test_a_container_without_a_file():
    environ = TOKEN | {
        "PEARL_API_URL": "http://localhost:8080/",
        "PEARL_OUTBOUNDS": " a=Spring , b, c=x=y,",
        "PEARL_POLL__INTERVAL": "10s",
        "PEARL_METRICS__DURATION_BUCKETS": "5, 10,60.5",
        "PEARL_METRICS__TAG_EXCLUDE": "test.*",
        "PEARL_WEB__ENABLE_RELOAD": "True",
        "PEARL_API__RATE_LIMIT": "1.5",
        "PEARL_API__PAGE_SIZE": "50",
    }
    loaded = load_settings(None, environ)
    names = [(outbound.id, outbound.name) for outbound in loaded.outbounds]
    assert names == [("a", "Spring"), ("b", "b"), ("c", "x=y")]
    assert loaded.api.url == "http://localhost:8080"
    assert (loaded.api.rate_limit, loaded.api.page_size) == (1.5, 50)
    assert loaded.outbounds[0].interval == 10
    assert loaded.metrics.duration_buckets == (5, 10, 60.5)
    assert loaded.web.enable_reload is True


def test_the_environment_overrides_the_file_but_not_its_outbounds():
    environ = TOKEN | {"PEARL_POLL__INTERVAL": "10s", "PEARL_OUTBOUNDS": "b"}
    loaded = load(f"poll: {{interval: 1m, window: 2h}}\n{ONE}", environ)
    assert (loaded.poll.interval, loaded.poll.window) == (10, 7200)
    assert [outbound.id for outbound in loaded.outbounds] == ["a"]


def test_every_key_but_those_of_outbounds_has_a_variable():
    for key in settings_keys():
        assert bool(key.variable) != key.path.startswith("outbounds")


def test_variables_that_are_not_ours_or_empty_count_for_nothing():
    environ = TOKEN | {
        "PEARL_EXPORTER_PORT": "tcp://10.0.0.1:10042",
        "PEARL_SERVICE_HOST": "10.0.0.1",
        "PEARL_CONFIG": "other.yml",
        "PEARL_POLL_INTERVAL": "5x",
        "PEARL_POLL__INTERVAL": "",
        "PEARL_API_URL": "",
        "pearl_poll__interval": "5x",
    }
    assert load(ONE, environ) == load(ONE)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"PEARL_POLL__WINDOW": "5x"},
            'PEARL_POLL__WINDOW: got "5x", wanted a duration such as 30s, 1h30m or 1d',
        ),
        (
            {"PEARL_POLL__INTERVAL": "30"},
            (
                "PEARL_POLL__INTERVAL: got 30, wanted a duration such as 30s, 1h30m or 1d; "
                'did you mean "30s"?'
            ),
        ),
        (
            {"PEARL_POLL__INTERVALL": "5s"},
            "PEARL_POLL__INTERVALL: unknown variable; did you mean PEARL_POLL__INTERVAL?",
        ),
        (
            {"PEARL_API__TOKEN": "secret"},
            "PEARL_API__TOKEN: unknown variable; did you mean PEARL_API_TOKEN?",
        ),
        (
            {"PEARL_OUTBOUNDS__0__ID": "x"},
            "PEARL_OUTBOUNDS__0__ID: unknown variable; wanted PEARL_OUTBOUNDS=id=name,id2=name2",
        ),
        (
            {"PEARL_API__PAGE_SIZE": "many"},
            'PEARL_API__PAGE_SIZE: got "many", wanted a whole number from 1 to 1000',
        ),
        (
            {"PEARL_WEB__ENABLE_RELOAD": "on"},
            'PEARL_WEB__ENABLE_RELOAD: got "on", wanted true or false',
        ),
        (
            {"PEARL_METRICS__DURATION_BUCKETS": "5,five"},
            (
                "PEARL_METRICS__DURATION_BUCKETS: got a list of 2, "
                "wanted 1 to 50 ascending numbers above 0, such as [10, 60, 300]"
            ),
        ),
        ({"PEARL_LOG__LEVEL": "\udcff"}, "PEARL_LOG__LEVEL: not valid UTF-8"),
        (
            {"PEARL_API_URL": "http://user:password@host"},
            (
                "PEARL_API_URL: got a value that is not shown, "
                "wanted an http:// or https:// URL without user, query or fragment"
            ),
        ),
        (
            {"PEARL_POLL__STALE_AFTER": "40s"},
            "PEARL_POLL__STALE_AFTER: got 40s, wanted at least two intervals, which is 1m",
        ),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(environ, message):
    assert faults(ONE, TOKEN | environ) == [message]


def test_a_fault_shows_what_the_environment_says_where_the_file_says_something_else():
    assert faults(f"{ONE}poll: {{interval: 30}}", TOKEN | {"PEARL_POLL__INTERVAL": "60"}) == [
        (
            "PEARL_POLL__INTERVAL: got 60, wanted a duration such as 30s, 1h30m or 1d; "
            'did you mean "60s"?'
        )
    ]


def test_faults_of_the_outbounds_variable():
    environ = TOKEN | {"PEARL_OUTBOUNDS": "a=x,b=x,a/b,=n"}
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environ)
    assert caught.value.faults == (
        (
            'PEARL_OUTBOUNDS: outbounds.2.id: got "a/b", '
            "wanted an id of letters, digits and any of _ - . ~"
        ),
        "PEARL_OUTBOUNDS: outbounds.3.id: the id is empty",
        'PEARL_OUTBOUNDS: outbounds.1.name: "x" is the name of outbounds.0 too',
    )


# --- the file itself


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigError) as caught:
        load_settings(Path("gone.yml"), TOKEN)
    (fault,) = caught.value.faults
    assert fault == (
        "gone.yml: can't be read: No such file or directory, from the working directory "
        f"{Path.cwd()}; name the file by --config or PEARL_CONFIG"
    )


def test_a_directory_and_an_impossible_path():
    Path("dir").mkdir()
    for path, reason in (("dir", "can't be read: Is a directory"), ("a\0b", "embedded null byte")):
        with pytest.raises(ConfigError, match=reason):
            load_settings(Path(path), TOKEN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"api:\n  url: \xff", "config.yml: not UTF-8 text (line 2)"),
        (b"#" * (1024 * 1024 + 1), "config.yml: is larger than 1 MiB; is it the right file?"),
        (
            "- a",
            (
                "config.yml: wanted a mapping of api, poll, outbounds, discovery, account, "
                "metrics, state, web, log"
            ),
        ),
        (
            "api: [",
            "config.yml:1: not valid YAML: expected the node content, but found '<stream end>'",
        ),
        (
            "api:\n\tx: 1",
            r"config.yml:2: not valid YAML: found character '\t' that cannot start any token",
        ),
        ("a: 1\n---\nb: 1", "config.yml:2: not valid YAML: but found another document"),
        ("a: \x00", "config.yml:1: not valid YAML: character 0x0000 is not allowed"),
        (
            "\n\napi: {token: *secret-token}",
            "config.yml:3: not valid YAML: found undefined alias …",
        ),
        ("[" * 5000, "config.yml: not valid YAML: nested too deeply"),
        ("&a [*a]", "config.yml:1: not valid YAML: nested too deeply"),
    ],
)
def test_a_file_that_is_no_configuration(text, message):
    assert faults(text) == [message]


def test_aliases_can_not_blow_the_file_up():
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ]
    assert faults("\n".join(lines)) == [
        "config.yml:1: not valid YAML: more than 100000 values, those of aliases included"
    ]


def test_an_alias_is_fine():
    loaded = load("outbounds:\n- {id: a, labels: &l {team: x}}\n- {id: b, labels: *l}")
    assert loaded.outbounds[1].labels == {"team": "x"}


# --- what stands in it

WANTED_DURATION = "wanted a duration such as 30s, 1h30m or 1d"
WANTED_URL = "wanted an http:// or https:// URL without user, query or fragment"
WANTED_BUCKETS = "wanted 1 to 50 ascending numbers above 0, such as [10, 60, 300]"
WANTED_LISTEN = "wanted host:port, :port or [::]:port, with a port from 0 to 65535"
WANTED_ID = "wanted an id of letters, digits and any of _ - . ~"
QUOTE = "wanted text; put it in quotes"
TAKEN = (
    "this label is taken; wanted none of instance, job, le, outbound, outbound_id, "
    "and none beginning with __"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # keys
        ("pol: {}", 'pol: unknown key; did you mean "poll"?'),
        ("interval: 5s", 'interval: unknown key; "interval" belongs under "poll"'),
        (
            "xyzzy: 5",
            (
                "xyzzy: unknown key; wanted one of api, poll, outbounds, discovery, account, "
                "metrics, state, web, log"
            ),
        ),
        ("poll: {intervall: 5s}", 'poll.intervall: unknown key; did you mean "interval"?'),
        ("poll: {max_tags: 5}", 'poll.max_tags: unknown key; "max_tags" belongs under "metrics"'),
        ("log: {zz: 5}", "log.zz: unknown key; wanted one of level, format"),
        ("log: {1: 5}", "log.1: unknown key; wanted one of level, format"),
        ("api: {? [a] : b}", None),
        ("poll: {interval: 9s, interval: 8s}", "poll.interval: given twice, first on line 2"),
        ("api: 5", "api: wanted a mapping of keys to values"),
        ("poll: [interval]", "poll: wanted a mapping of keys to values"),
        ("log: {<<: {level: info}}", "log: merge keys (<<) are not supported; write the keys out"),
        ("log: {level: !x info}", "log.level: tags (written !name) are not supported"),
        # durations
        ("poll: {window: 5x}", f'poll.window: got "5x", {WANTED_DURATION}'),
        ("poll: {interval: 30}", f'poll.interval: got 30, {WANTED_DURATION}; did you mean "30s"?'),
        ("poll: {interval: 0.5}", f"poll.interval: got 0.5, {WANTED_DURATION}"),
        ("poll: {interval: 1:30}", f"poll.interval: got 1:30, {WANTED_DURATION}"),
        ("poll: {interval: -5s}", f'poll.interval: got "-5s", {WANTED_DURATION}'),
        ("poll: {interval: on}", f"poll.interval: got on, {WANTED_DURATION}"),
        ("poll: {interval: }", f"poll.interval: got nothing, {WANTED_DURATION}"),
        ("poll: {interval: [5s]}", f"poll.interval: got a list of 1, {WANTED_DURATION}"),
        ("poll: {interval: 0s}", 'poll.interval: got "0s", wanted a duration from 1s to 1d'),
        ("poll: {interval: 500ms}", 'poll.interval: got "500ms", wanted a duration from 1s to 1d'),
        ("poll: {window: 1y}", 'poll.window: got "1y", wanted a duration from 1s to 31d'),
        ("api: {timeout: 1h}", 'api.timeout: got "1h", wanted a duration from 100ms to 10m'),
        # timings that do not fit
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
        # numbers
        ("api: {page_size: 0}", "api.page_size: got 0, wanted a whole number from 1 to 1000"),
        ("api: {page_size: 1001}", "api.page_size: got 1001, wanted a whole number from 1 to 1000"),
        ("api: {page_size: 1.5}", "api.page_size: got 1.5, wanted a whole number from 1 to 1000"),
        ('api: {page_size: "9"}', 'api.page_size: got "9", wanted a whole number from 1 to 1000'),
        ("api: {page_size: 0x10}", "api.page_size: got 0x10, wanted a whole number from 1 to 1000"),
        ("api: {page_size: 010}", "api.page_size: got 010, wanted a whole number from 1 to 1000"),
        ("api: {page_size: yes}", "api.page_size: got yes, wanted a whole number from 1 to 1000"),
        ("api: {ca_file: ''}", 'api.ca_file: got "", wanted the path of a file'),
        ("web: {listen: {port: 1}}", "web.listen: got a mapping, wanted text"),
        ("api: {concurrency: 65}", "api.concurrency: got 65, wanted a whole number from 1 to 64"),
        ("api: {rate_limit: 0}", "api.rate_limit: got 0, wanted a number above 0, at most 1000"),
        (
            "api: {rate_limit: .nan}",
            "api.rate_limit: got .nan, wanted a number above 0, at most 1000",
        ),
        (
            "metrics: {max_tags: -1}",
            "metrics.max_tags: got -1, wanted a whole number from 0 to 10000",
        ),
        # buckets
        *(
            (
                f"metrics: {{duration_buckets: {bad}}}",
                f"metrics.duration_buckets: {got}, {WANTED_BUCKETS}",
            )
            for bad, got in [
                ("[]", "got a list of 0"),
                ("[5, 5]", "got a list of 2"),
                ("[0, 5]", "got a list of 2"),
                ("[5, .inf]", "got a list of 2"),
                ("[.nan]", "got a list of 1"),
                ("[true]", "got a list of 1"),
                ("5", "got 5"),
                (str(list(range(1, 52))), "got a list of 51"),
            ]
        ),
        # texts
        (
            "metrics: {tag_include: '('}",
            'metrics.tag_include: got "(", wanted a regular expression of RE2\'s (missing ))',
        ),
        ("log: {level: INFO}", 'log.level: got "INFO", wanted one of debug, info, warning, error'),
        ("log: {format: xml}", 'log.format: got "xml", wanted one of logfmt, json'),
        ("web: {enable_reload: 'yes'}", 'web.enable_reload: got "yes", wanted true or false'),
        # addresses
        *(
            (f"api: {{url: '{bad}'}}", f'api.url: got "{bad}", {WANTED_URL}')
            for bad in (
                "",
                "api.nlpearl.ai",
                "ftp://api.nlpearl.ai",
                "https://",
                "https://a b",
                "https://a:99999",
                "https://300.1.1.1",
                "https://[::1",
            )
        ),
        *(
            (
                f"api: {{url: '{url}'}}",
                f"api.url: got a value that is not shown, {WANTED_URL}",
            )
            for url in ("https://a?token=b", "https://a#b")
        ),
        (
            "api: {proxy: 'socks5://u:p@h'}",
            (
                "api.proxy: got a value that is not shown, "
                "wanted an http:// or https:// URL, such as http://proxy.example:3128"
            ),
        ),
        *(
            (f"web: {{listen: '{bad}'}}", f'web.listen: got "{bad}", {WANTED_LISTEN}')
            for bad in (
                "10042",
                "a:",
                "a:x",
                "a:70000",
                "::1:80",
                "[a]:80",
                ":port",
                "1.2.3:80",
                "a b:80",
            )
        ),
        # not yet
        (
            "state: {url: 'postgresql://db/pearl'}",
            "state.url: PostgreSQL comes with a later version; until then wanted sqlite:///PATH",
        ),
        (
            "state: {url: 'redis:'}",
            (
                'state.url: got "redis:", wanted sqlite:///PATH '
                "(four slashes before an absolute path) or memory:"
            ),
        ),
        (
            "state: {url: 'sqlite://'}",
            (
                'state.url: got "sqlite://", wanted sqlite:///PATH '
                "(four slashes before an absolute path) or memory:"
            ),
        ),
        # files
        (
            "web: {config_file: /gone/web.yml}",
            'web.config_file: there is no such file: "/gone/web.yml"',
        ),
        (
            "web: {listen: 10042}",
            'web.listen: got 10042, wanted host:port such as "0.0.0.0:10042"',
        ),
        (
            "api: {ca_file: gone.pem}",
            (
                'api.ca_file: got "gone.pem", '
                "wanted a file that can be read (No such file or directory)"
            ),
        ),
        (
            "api: {ca_file: config.yml}",
            'api.ca_file: got "config.yml", wanted a file of PEM certificates',
        ),
    ],
)
def test_a_faulty_key_is_told_with_what_is_right(text, message):
    if message is None:
        assert faults(f"{ONE}{text}") == [
            "config.yml:2: not valid YAML: a key must be a plain word"
        ]
    else:
        assert faults(f"{ONE}{text}") == [f"config.yml:2: {message}"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("name: x", "outbounds.0.id: this key is required"),
        ("id: ''", "outbounds.0.id: the id is empty"),
        ("id: ", "outbounds.0.id: got nothing, wanted text"),
        ("id: 123", f"outbounds.0.id: got 123, {QUOTE}"),
        ("id: 0123", f"outbounds.0.id: got 0123, {QUOTE}"),
        ("id: 65e1234567", f"outbounds.0.id: got 65e1234567, {QUOTE}"),
        ("id: 12:30:45", f"outbounds.0.id: got 12:30:45, {QUOTE}"),
        ("id: ../Account", f'outbounds.0.id: got "../Account", {WANTED_ID}'),
        ("id: ..", f'outbounds.0.id: got "..", {WANTED_ID}'),
        ("id: [a]", "outbounds.0.id: got a list of 1, wanted text"),
        ("id: a\n  name: on", f"outbounds.0.name: got on, {QUOTE}"),
        ("id: a\n  name: ' '", "outbounds.0.name: the name is empty"),
        (
            'id: a\n  name: "a\\u0007"',
            "outbounds.0.name: the name has control characters or is not valid Unicode",
        ),
        (
            "id: a\n  name: " + "x" * 129,
            "outbounds.0.name: the name has 129 characters, more than 128",
        ),
        ('id: a\n  name: "\\ud800"', "outbounds.0.name: not valid Unicode text"),
        ("id: a\n  token: t", 'outbounds.0.token: unknown key; did you mean "token_file"?'),
        ("id: a\n  intervall: 5s", 'outbounds.0.intervall: unknown key; did you mean "interval"?'),
        (
            "id: a\n  labels: [a]",
            (
                "outbounds.0.labels: got a list of 1, "
                "wanted a mapping of label names to texts, such as {team: renewals}"
            ),
        ),
        ("id: a\n  labels: {team: 5}", f"outbounds.0.labels.team: got 5, {QUOTE}"),
        ("id: a\n  labels: {team: no}", f"outbounds.0.labels.team: got no, {QUOTE}"),
        ("id: a\n  labels: {job: x}", f"outbounds.0.labels.job: {TAKEN}"),
        ("id: a\n  labels: {__x: x}", f"outbounds.0.labels.__x: {TAKEN}"),
        (
            "id: a\n  labels: {a-b: x}",
            (
                "outbounds.0.labels.a-b: "
                "a label's name has only letters, digits and _, and begins with no digit"
            ),
        ),
        (
            "id: a\n  labels: {" + ", ".join(f"l{n}: x" for n in range(11)) + "}",
            "outbounds.0.labels: got 11 labels, wanted at most 10",
        ),
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
def test_a_faulty_outbound_is_told_with_what_is_right(entry, message):
    (fault,) = faults(f"outbounds:\n- {entry}")
    assert re.fullmatch(rf"config\.yml:[234]: {re.escape(message)}", fault)


def test_an_outbounds_interval_must_fit_the_stale_after_of_all():
    assert faults("poll: {stale_after: 5m}\noutbounds:\n- {id: a, interval: 4m}") == [
        (
            "config.yml:3: outbounds.0.interval: got 4m, "
            "wanted at most half of stale_after, which is 2m30s"
        )
    ]


@pytest.mark.parametrize(
    ("outbounds", "message"),
    [
        ("[{id: a}, {id: a, name: b}]", "outbounds.1.id: the same id as outbounds.0"),
        (
            "[{id: a, name: x}, {id: b, name: ' x'}]",
            'outbounds.1.name: "x" is the name of outbounds.0 too',
        ),
        ("[{id: a}, {id: b, name: a}]", 'outbounds.1.name: "a" is the name of outbounds.0 too'),
        ("[{id: a, name: b}, {id: b}]", 'outbounds.1.id: "b" is the name of outbounds.0 too'),
        ("a", "outbounds: wanted a list, such as [{id: YOUR_OUTBOUND_ID}]"),
        ("{id: a}", "outbounds: wanted a list, such as [{id: YOUR_OUTBOUND_ID}]"),
        ("[a]", "outbounds.0: wanted a mapping of keys to values"),
    ],
)
def test_faulty_lists_of_outbounds(outbounds, message):
    assert faults(f"outbounds: {outbounds}") == [f"config.yml:1: {message}"]


def test_no_outbounds_by_oversight_is_told_how_to_name_one():
    (fault,) = faults("poll: {interval: 10s}")
    assert fault.startswith(
        "config.yml: outbounds: none given; name one in the file, as outbounds: ["
    )
    assert "PEARL_OUTBOUNDS=" in fault


def test_all_faults_come_at_once_in_the_files_order_and_none_follows_from_another():
    text = """
web: {listen: nowhere}
poll:
  interval: 5x
  window: 10s
outbounds:
  - id: a
    window: 1s
    colour: red
  - name: b
"""
    assert [re.sub(r",? (wanted|did).*", "", fault) for fault in faults(text)] == [
        'config.yml:2: web.listen: got "nowhere"',
        'config.yml:4: poll.interval: got "5x"',
        "config.yml:9: outbounds.0.colour: unknown key;",
        "config.yml:10: outbounds.1.id: this key is required",
    ]


def test_of_many_faults_a_hundred_are_told():
    told = faults("".join(f"x{n}: 1\n" for n in range(150)) + ONE)
    assert len(told) == 101
    assert told[-1] == "and 50 more"


def test_a_fault_is_one_line_that_leaves_the_terminal_alone():
    (fault,) = faults(f'{ONE}log: {{level: "a\\nb\\e[31m\\u202E"}}')
    assert fault.startswith(r'config.yml:2: log.level: got "a\nb\x1b[31m\u202e", wanted')


# --- secrets and monsters

SECRET = "s3cr3tAccount:s3cr3tKeyMaterial"


@pytest.mark.parametrize(
    "text",
    [
        "{s}: 1",
        "api: '{s}'",
        "api: {{token: '{s} x'}}",
        "api: {{token: ['{s}']}}",
        "api: {{token: {{a: '{s}'}}}}",
        "api: {{tokenn: '{s}'}}",
        "api: {{token: *{s}}}",
        "api: {{token: !{s} x}}",
        "api: {{token: &{s} x, token: &{s} y}}",
        "api: {{token_file: '{s}'}}",
        "api: {{url: '{s}'}}",
        "api: {{url: 'https://{s}@host'}}",
        "api: {{proxy: '{s}'}}",
        "api: {{ca_file: 'Bearer {s}'}}",
        "api: {{timeout: '{s}'}}",
        "api: {{secret: '{s}', authorization: '{s}', password: '{s}'}}",
        "outbounds: [{{id: '{s}'}}]",
        "outbounds: [{{id: a, token: '{s}'}}]",
        "outbounds: [{{id: a, token_file: '{s}'}}]",
        "outbounds: ['{s}']",
        "- {s}",
        "{s}",
        "api: {{token: '{s}",
        'api: {{token: "\\q{s}"}}',
    ],
)
def test_no_message_repeats_a_secret(text):
    told = "\n".join(faults(text.format(s=SECRET), {"PEARL_API__TOKEN": SECRET}))
    assert "s3cr3t" not in told


MANY = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["30s", "1h", "a", "https://x", "memory:", ":1", "info"]),
)
KNOWN = sorted({part.strip("[]") for key in settings_keys() for part in key.path.split(".")})
KEYS = st.one_of(st.sampled_from(KNOWN), st.text(max_size=6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
SECTION_KEYS = st.sampled_from(["api", "poll", "outbounds", "metrics", "state", "web", "log"])


@MANY
@given(st.binary(max_size=200) | st.text(string.printable, max_size=200).map(str.encode))
def test_any_bytes_are_settings_or_one_line_faults(content):
    assert_loads_or_tells(content, TOKEN)


@MANY
@given(st.dictionaries(SECTION_KEYS | KEYS, VALUES, max_size=5))
def test_any_structure_is_settings_or_one_line_faults(top):
    for unicode in (True, False):
        text = yaml.safe_dump(top, allow_unicode=unicode)
        assert_loads_or_tells(text.encode("utf-8", "surrogatepass"), TOKEN)


@MANY
@given(
    st.dictionaries(
        st.sampled_from([key.variable for key in settings_keys() if key.variable])
        | st.text(string.ascii_uppercase + "_", max_size=8).map("PEARL_POLL__".__add__)
        | st.just("PEARL_OUTBOUNDS"),
        st.text(max_size=20) | st.sampled_from(["1s", "2h", "1", "1,2", "true", "a=b,c"]),
        max_size=5,
    )
)
def test_any_environment_is_settings_or_one_line_faults(environ):
    assert_loads_or_tells(b"", environ)


def assert_loads_or_tells(content, environ):
    CONFIG.write_bytes(content)
    try:
        loaded = load_settings(CONFIG, environ)
    except ConfigError as error:
        told = error.faults
    else:
        assert isinstance(loaded, Settings)
        return
    assert told
    assert all(fault.isprintable() for fault in told)


@MANY
@given(
    VALUES, st.sampled_from(["token", "api_token", "Password", "client_secret", "authorization"])
)
def test_nothing_under_a_key_named_like_a_secret_is_repeated(value, key):
    hidden = yaml.safe_dump({"api": {key: [SECRET, value]}, "poll": {key: SECRET}})
    assert "s3cr3t" not in "\n".join(faults(hidden))


# --- the documentation


def test_the_documentation_lists_every_key_with_its_default_and_meaning():
    lines = (DOCS / "configuration.md").read_text().splitlines()
    rows = [line for line in lines if re.match(r"\| `(\w+)(\[\])?\.", line)]
    assert rows == [key.row() for key in settings_keys()]


def test_the_example_is_every_key_at_its_default():
    text = re.sub(r"\bYOUR_(?=[A-Z])", "MY_", (DOCS / "example-config.yml").read_text())
    loaded = load(text, {})
    name = loaded.outbounds[0].name
    plain = load(f"outbounds: [{{id: MY_OUTBOUND_ID, name: {name}}}]")
    assert loaded.api.model_copy(update={"token": None}) == ApiSettings()
    assert loaded.model_copy(update={"api": plain.api, "outbounds": ()}) == plain.model_copy(
        update={"outbounds": ()}
    )
    for key in settings_keys():
        assert re.search(rf"\b{key.path.rpartition('.')[2]}:", text), key.path
