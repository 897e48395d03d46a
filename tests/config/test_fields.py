"""Wrong keys and values of the sections: each is reported with what would be right."""

import pytest

from tests.config.loading import ONE, problems_of

pytestmark = pytest.mark.usefixtures("own_folder")


WANTED_DURATION = "wanted a duration such as 30s, 1h30m or 1d"
WANTED_URL = "wanted an http:// or https:// URL without user, query or fragment"
WANTED_BUCKETS = "wanted 1 to 50 ascending numbers above 0, such as [10, 60, 300]"
WANTED_LISTEN = "wanted host:port, :port or [::]:port, with a port from 0 to 65535"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # keys
        ("pol: {}", 'pol: unknown key; did you mean "poll"?'),
        ("interval: 5s", 'interval: unknown key; "interval" belongs under "poll"'),
        (
            "xyzzy: 5",
            (
                "xyzzy: unknown key; wanted one of api, poll, signals, outbounds, discovery, "
                "account, metrics, state, web, log"
            ),
        ),
        ("poll: {intervall: 5s}", 'poll.intervall: unknown key; did you mean "interval"?'),
        ("poll: {max_tags: 5}", 'poll.max_tags: unknown key; "max_tags" belongs under "metrics"'),
        ("log: {zz: 5}", "log.zz: unknown key; wanted one of level, format"),
        ("log: {1: 5}", "log.1: unknown key; wanted one of level, format"),
        ("log: {'[key]': 5}", "log.[key]: unknown key; wanted one of level, format"),
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
        *(
            (
                f"state: {{url: '{bad}'}}",
                (
                    "state.url: got a value that is not shown, "
                    "wanted sqlite:///PATH, with %3F for each ? and %23 for each # in PATH"
                ),
            )
            for bad in ("sqlite:///a?b.db", "sqlite:////srv/state#1.db", "sqlite:///s.db?mode=ro")
        ),
        # files
        (
            "web: {config_file: /gone/web.yml}",
            'web.config_file: there is no such file: "/gone/web.yml"',
        ),
        (
            "web: {listen: 10042}",
            'web.listen: got 10042, wanted host:port such as "127.0.0.1:10042", or ":10042"',
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
def test_a_wrong_key_is_reported_with_what_is_right(text, message):
    if message is None:
        assert problems_of(f"{ONE}{text}") == [
            "config.yml:2: not valid YAML: a key must be a plain word"
        ]
    else:
        assert problems_of(f"{ONE}{text}") == [f"config.yml:2: {message}"]
