"""The web configuration file: what it means, and how each mistake in it is reported."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pearl_exporter.config import ConfigError, load_settings
from pearl_exporter.config.web.load import WebConfig, read_web_config
from tests.support.certificates import Certificates, make_certificates

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
PAIR = "cert_file: server.crt, key_file: server.key"
VERIFIED = f"{PAIR}, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def read(made):
    """Read a text as if it were in a file beside the certificates."""

    def reading(text: str | bytes) -> WebConfig:
        path = made.folder / "web.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_web_config(path)

    return reading


@pytest.fixture
def problems_of(made, read):
    """Return the problems of a text, file names without the folder."""

    def told(text: str | bytes) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text)
        return [problem.replace(f"{made.folder}/", "") for problem in caught.value.problems]

    return told


# --- what a file means


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "tls_server_config: {}\n", "basic_auth_users:\nhttp_server_config:\n"],
)
def test_an_empty_file_asks_for_nothing(read, text):
    config = read(text)
    assert (config.tls, config.context, config.headers, config.users) == (None, None, {}, {})
    assert config.rate_limit.interval == 0
    assert config.asks_for_nothing


@pytest.mark.parametrize(
    "text",
    [
        "http_server_config: {headers: {X-Frame-Options: deny}}",
        "rate_limit: {interval: 1s, burst: 2}",
        f"basic_auth_users: {{alice: {HASH}}}",
    ],
)
def test_a_file_with_anything_asks_for_something(read, text):
    assert not read(text).asks_for_nothing


def test_the_defaults_of_tls_are_those_of_the_toolkit(read):
    tls = read(f"tls_server_config: {{{PAIR}}}").tls
    assert (tls.min_version, tls.max_version, tls.client_auth_type) == (
        "TLS12",
        "TLS13",
        "NoClientCert",
    )
    assert tls.prefer_server_cipher_suites is True


def test_paths_are_relative_to_the_files_folder(read, made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = read(f"tls_server_config: {{{VERIFIED}}}")
    named = {made.certificate, made.key, made.ca, made.folder / "web.yml"}
    assert set(config.files) == named


def test_what_stands_in_files_can_stand_in_the_configuration(read, made):
    inline = {
        "cert": made.certificate.read_text(),
        "key": made.key.read_text(),
        "client_ca": made.ca.read_text(),
        "client_auth_type": "VerifyClientCertIfGiven",
    }
    config = read(yaml.safe_dump({"tls_server_config": inline}))
    assert config.context is not None
    assert made.key.read_text() not in repr(config)


def test_users_and_their_hashes_by_any_of_the_three_names(read):
    hashes = {f"user{mark}": HASH.replace("2y", f"2{mark}") for mark in "aby"}
    config = read(yaml.safe_dump({"basic_auth_users": hashes}))
    assert {name: each.get_secret_value() for name, each in config.users.items()} == hashes
    assert HASH not in repr(config)


def test_a_blank_header_is_unset(read):
    headers = "{X-Frame-Options: deny, Content-Security-Policy: '', X-XSS-Protection: }"
    config = read(f"http_server_config: {{http2: false, headers: {headers}}}")
    assert config.headers == {"X-Frame-Options": "deny"}


def test_http2_is_accepted_where_it_changes_nothing(read):
    """Without TLS, exporter-toolkit has no HTTP/2 either; a shared file may say so."""
    assert read("http_server_config: {http2: true}").tls is None


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("250ms", 0.25), ("0", 0), ("1m30s", 90)])
def test_a_rate_limit_is_a_duration_and_a_burst(read, text, seconds):
    limit = read(f"rate_limit: {{interval: {text}, burst: 7}}").rate_limit
    assert (limit.interval, limit.burst) == (seconds, 7)


# --- what is wrong with it


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tls_server_confg: {}",
            'tls_server_confg: unknown key; did you mean "tls_server_config"?',
        ),
        (
            f"tls_server_config: {{{PAIR}, cert_fil: x}}",
            'tls_server_config.cert_fil: unknown key; did you mean "cert_file"?',
        ),
        ("rate_limit: {burst: 1, per: 1s}", "rate_limit.per: unknown key; wanted one of"),
        ("rate_limit: {burst: 0}", "rate_limit.burst: got 0, wanted a whole number from 1"),
        ("rate_limit: {interval: 5}", "rate_limit.interval: got 5, wanted a duration"),
        ("basic_auth_users: [alice]", "basic_auth_users: wanted a mapping of user names"),
        ("basic_auth_users: {alice: secret}", "basic_auth_users.alice: not a bcrypt hash"),
        ("basic_auth_users: {alice: 1234}", "basic_auth_users.alice: not a bcrypt hash"),
        ("basic_auth_users: {alice: }", "basic_auth_users.alice: not a bcrypt hash"),
        (
            f"basic_auth_users: {{'a:b': {HASH}}}",
            "basic_auth_users.a:b: a user's name has no colon",
        ),
        (
            f"basic_auth_users: {{alice: {HASH.replace('$10$', '$31$')}}}",
            "basic_auth_users.alice: the hash has cost 31, which may be 4 to 15",
        ),
        (
            f"{{tls_server_config: {{{PAIR}}}, http_server_config: {{http2: true}}}}",
            "http_server_config.http2: HTTP/2 is not supported, this server speaks HTTP/1.1",
        ),
        (
            "http_server_config: {headers: {Server: x}}",
            'http_server_config.headers: the header "Server" can\'t be set',
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            "http_server_config.headers: X-Frame-Options can only be deny or sameorigin",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "a\\r\\nSet-Cookie: b"}}',
            "http_server_config.headers: X-XSS-Protection must be one line of printable ASCII",
        ),
        (
            "http_server_config: {headers: {X-XSS-Protection: [1]}}",
            "http_server_config.headers: X-XSS-Protection must be one line",
        ),
        (
            "tls_server_config: {min_version: TLS13}",
            "tls_server_config.cert: missing; give cert_file",
        ),
        (
            "tls_server_config: {cert_file: server.crt}",
            "tls_server_config.key: missing; give key_file",
        ),
        (
            "tls_server_config: {cert_file: gone.crt, key_file: server.key}",
            "tls_server_config.cert_file: gone.crt can't be read: No such file or directory",
        ),
        (
            "tls_server_config: {cert_file: server.key, key_file: server.key}",
            "tls_server_config.cert_file: server.key has no CERTIFICATE in PEM",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: client.pem}",
            "tls_server_config.key_file: the key does not belong to the certificate in cert_file",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: locked.key}",
            "tls_server_config.key_file: the key is encrypted with a passphrase",
        ),
        (
            "tls_server_config: {cert_file: /, key_file: server.key}",
            "tls_server_config.cert_file: / can't be read: it is not a regular file",
        ),
        (
            f"tls_server_config: {{{PAIR}, key: 'PRIVATE KEY-----'}}",
            'tls_server_config.key_file: "key" is given too; wanted only one of them',
        ),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: ca.pem}}",
            "tls_server_config.client_auth_type: a client CA is given, but NoClientCert asks",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven}}",
            "tls_server_config.client_auth_type: VerifyClientCertIfGiven needs a client_ca_file",
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
            'tls_server_config.client_auth_type: "RequireAnyClientCert" is not supported: Python',
        ),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: Require}}",
            'tls_server_config.client_auth_type: got "Require", wanted one of NoClientCert',
        ),
        (
            f"tls_server_config: {{{PAIR}, client_allowed_sans: [a.example]}}",
            "tls_server_config.client_allowed_sans: needs client_auth_type: RequireAndVerify",
        ),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
            "tls_server_config.min_version: wanted at most max_version, which is TLS12",
        ),
        (
            f"tls_server_config: {{{PAIR}, min_version: SSL3}}",
            'tls_server_config.min_version: got "SSL3", wanted one of TLS10, TLS11, TLS12, TLS13',
        ),
        (
            f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}",
            "tls_server_config.cipher_suites: unknown cipher suite; known are",
        ),
        (
            f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}",
            "tls_server_config.cipher_suites: the suites of TLS 1.3 can't be chosen",
        ),
        (
            f"tls_server_config: {{{PAIR}, curve_preferences: [P-256]}}",
            "tls_server_config.curve_preferences: unknown curve; known are CurveP256",
        ),
        (
            f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}",
            "tls_server_config.curve_preferences: Python's ssl accepts one curve",
        ),
    ],
)
def test_a_wrong_key_is_reported_with_what_is_right(problems_of, text, message):
    assert any(problem.startswith(f"web.yml:1: {message}") for problem in problems_of(text)), (
        problems_of(text)
    )


def test_all_problems_come_at_once_in_the_files_order(problems_of):
    text = """
tls_server_config:
  cert_file: gone.crt
  key_file: gone.key
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: yes
basic_auth_users:
  alice: hunter2
  bob: hunter3
"""
    told = problems_of(text)
    assert [problem.split(": ")[0] for problem in told] == [
        f"web.yml:{line}" for line in (3, 4, 5, 7, 9, 10)
    ]


def test_files_are_read_whatever_else_is_wrong(problems_of):
    text = """
tls_server_config:
  cert_file: gone.crt
  key_file: gone.key
  client_ca_file: gone.pem
  client_auth_type: Require
  min_version: SSL3
  cert_fil: x
"""
    told = problems_of(text)
    assert [problem.split(": ")[1].partition(".")[2] for problem in told] == [
        *("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version", "cert_fil")
    ]


def test_certificate_and_key_are_each_read_without_the_other(problems_of):
    told = problems_of(
        "tls_server_config: {cert_file: 4, key_file: gone.key, curve_preferences: []}"
    )
    assert [each.split(": ")[1] for each in told] == [
        "tls_server_config.cert_file",
        "tls_server_config.key_file",
    ]


def test_every_header_and_both_problems_of_a_user_are_reported(problems_of):
    headers, user = problems_of(
        "http_server_config: {headers: {Server: x, X-Frame-Options: allow}}\n"
        "basic_auth_users: {'a:b': hunter2}\n"
    )
    assert "Server" in headers
    assert "X-Frame-Options can only be deny or sameorigin" in headers
    assert "no colon" in user
    assert "not a bcrypt hash" in user


@pytest.mark.parametrize("text", ["[", "- a\n", "just text", b"\xff\xfe\x00", "a: *b\n"])
def test_a_file_that_is_no_configuration(problems_of, text):
    (problem,) = problems_of(text)
    assert problem.startswith("web.yml")


def test_a_file_that_is_not_regular_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "gone"):
        with pytest.raises(ConfigError, match="not a regular file"):
            read_web_config(path)


def test_no_problem_holds_a_secret(problems_of, made):
    """Wherever a secret ends up in the file by mistake."""
    key = made.key.read_text()
    for where in (
        {"basic_auth_users": {HASH: "alice"}},
        {"basic_auth_users": {"alice": HASH + "x"}},
        {"basic_auth_users": {"alice": "hunter2-secret"}},
        {"basic_auth_users": {"alice": [HASH]}},
        {"basic_auth_users": HASH},
        {HASH: "alice"},
        {"tls_server_config": {"key_file": key, "cert_file": "server.crt"}},
        {"tls_server_config": {"cert": key, "key_file": "server.key"}},
        {"tls_server_config": {"key": "hunter2-secret", "cert_file": "server.crt"}},
        {"tls_server_config": {"key": 123456789123456789, "cert_file": "server.crt"}},
        {"tls_server_config": {"client_auth_type": HASH}},
        {"tls_server_config": {"min_version": key}},
        HASH,
    ):
        told = "\n".join(problems_of(yaml.safe_dump(where)))
        for secret in (HASH[7:], "hunter2", "123456789", key.splitlines()[1]):
            assert secret not in told, where


# --- any file at all

KEYS = st.sampled_from(
    [
        *("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit", "headers"),
        *("cert", "key", "cert_file", "key_file", "client_ca_file", "client_auth_type", "interval"),
        *("min_version", "cipher_suites", "curve_preferences", "client_allowed_sans", "http2"),
        *("burst", "alice"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["server.crt", "server.key", "ca.pem", ".", "/dev/zero", HASH, "TLS13", "1s"])
    | st.sampled_from(["NoClientCert", "RequireAndVerifyClientCert", "CurveP256", "TLS10"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=8)
    ),
    max_leaves=25,
)
TREES = st.dictionaries(KEYS, VALUES, max_size=5)
ANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_config_or_problems(read, text) -> None:
    try:
        told = read(text).files
    except ConfigError as error:
        told = error.problems
    assert told
    assert all(str(each).isprintable() for each in told)


@ANY
@given(TREES)
def test_any_tree_is_a_configuration_or_clear_problems(read, tree):
    assert_config_or_problems(read, yaml.safe_dump(tree, allow_unicode=True))


@ANY
@given(st.text() | st.binary())
def test_any_text_is_a_configuration_or_clear_problems(read, text):
    assert_config_or_problems(
        read, text if isinstance(text, bytes) else text.encode(errors="ignore")
    )


# --- named by the main configuration


def main_config(folder: Path, web: str) -> Path:
    path = folder / "config.yml"
    path.write_text(f"api: {{token: 'a:b'}}\noutbounds: []\nweb: {{config_file: {web}}}\n")
    return path


def test_its_path_is_relative_to_the_working_directory(made, read, monkeypatch):
    monkeypatch.chdir(made.folder)
    read(f"tls_server_config: {{{PAIR}}}")
    loaded = load_settings(main_config(made.folder, "web.yml"), {})
    assert loaded.web.config_file == Path("web.yml")


def test_its_problems_come_with_those_of_the_main_file(made, problems_of, monkeypatch):
    monkeypatch.chdir(made.folder)
    problems_of("basic_auth_users: {alice: x}\nhttp_server_config: {http2: 1}\n")
    path = main_config(made.folder, "web.yml")
    path.write_text(path.read_text() + "poll: {interval: 5}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    where = [
        problem.rpartition("config.yml:")[2].split(": ")[:2] for problem in caught.value.problems
    ]
    assert where == [
        ["4", "poll.interval"],
        ["web.yml:1", "basic_auth_users.alice"],
        ["web.yml:2", "http_server_config.http2"],
    ]


def test_a_missing_file_is_a_problem_of_the_key_that_names_it(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_settings(main_config(tmp_path, "gone.yml"), {})
    (problem,) = caught.value.problems
    assert 'config.yml:3: web.config_file: there is no such file: "gone.yml", from ' in problem
