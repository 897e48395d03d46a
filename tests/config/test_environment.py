"""Environment variables as a part of the configuration."""

import pytest

from pearl_exporter.config import ConfigError, load_settings
from tests.config.loading import ONE, TOKEN, load, problems_of
from tests.support.config_keys import settings_keys

pytestmark = pytest.mark.usefixtures("own_folder")


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


def test_the_environment_overrides_all_but_the_files_outbounds():
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
def test_a_problem_of_the_environment_names_the_variable(environ, message):
    assert problems_of(ONE, TOKEN | environ) == [message]


def test_a_problem_shows_the_value_of_the_environment():
    assert problems_of(f"{ONE}poll: {{interval: 30}}", TOKEN | {"PEARL_POLL__INTERVAL": "60"}) == [
        (
            "PEARL_POLL__INTERVAL: got 60, wanted a duration such as 30s, 1h30m or 1d; "
            'did you mean "60s"?'
        )
    ]


def test_problems_of_the_outbounds_variable():
    environ = TOKEN | {"PEARL_OUTBOUNDS": "a=x,b=x,a/b,=n"}
    with pytest.raises(ConfigError) as caught:
        load_settings(None, environ)
    assert caught.value.problems == (
        (
            'PEARL_OUTBOUNDS: outbounds.2.id: got "a/b", '
            "wanted an id of letters, digits and any of _ - . ~"
        ),
        "PEARL_OUTBOUNDS: outbounds.3.id: the id is empty",
        'PEARL_OUTBOUNDS: outbounds.1.name: "x" is the name of outbounds.0 too',
    )
