"""Whatever bytes come in, there is an answer or a plain error: no crash, no hang.

Small here; ``HYPOTHESIS_EXAMPLES=20000 pytest tests/test_fuzz.py`` for a long run.
"""

import json
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pearl_exporter.api.body import Body
from pearl_exporter.api.clock import parse_http_date
from pearl_exporter.api.decode_calls import _decode_leniently, _page, decode_page, parse_instant
from pearl_exporter.api.decode_platform import decode_account, decode_listing
from pearl_exporter.config.durations import parse_duration
from pearl_exporter.config.load import load_settings
from pearl_exporter.config.web.load import read_web_config
from pearl_exporter.config.yaml_lines import YamlError, read_yaml
from pearl_exporter.counting.labels import OTHER, TagLabels, TagRules
from pearl_exporter.errors import BadResponseError, ConfigError
from pearl_exporter.patterns import Pattern
from pearl_exporter.reading.search import Page
from pearl_exporter.web.negotiation import accepts_gzip, choose_format

often = settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "25")), deadline=None)

wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**17, max_value=10**30)
    | st.floats()
    | st.text(st.characters(), max_size=20),
    lambda each: (
        st.lists(each, max_size=5) | st.dictionaries(st.text(max_size=5), each, max_size=5)
    ),
    max_leaves=12,
)
starts = st.sampled_from(
    ["2026-11-23T09:40:00Z", "2026-11-23", "9999-12-31T23:59:59.999-14:00", "2026-W48", "20261123"]
)
fields = {
    "id": st.text(min_size=1, max_size=5) | wild,
    "startTime": starts | st.datetimes().map(str) | wild,
    "conversationStatus": st.sampled_from([1, 40, 100, 500, 3.0, 1e300]) | wild,
    "status": st.sampled_from([3, 4, 8, -1, 2**40]) | wild,
    "duration": st.floats() | wild,
    "tags": st.lists(st.text(st.characters(), max_size=10)) | wild,
}
rows = st.fixed_dictionaries({}, optional=fields) | wild
answers = st.fixed_dictionaries(
    {"count": st.integers(-1, 10) | wild, "results": st.lists(rows, max_size=4) | wild}
)
bodies = (
    answers.map(lambda each: json.dumps(each).encode())
    | wild.map(lambda each: json.dumps(each, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    | st.binary(max_size=200)
)


def outcome(read, body: bytes):
    try:
        return read(body)
    except BadResponseError as error:
        return str(error)


def leniently(body: bytes) -> Page:
    answer, bad_tags = _decode_leniently(body)
    if answer.count < 0:
        raise BadResponseError("the answer's count is negative")
    return _page(answer.count, answer.results or (), bad_tags)


@often
@given(bodies)
def test_a_page_is_decoded_or_refused(body):
    told = outcome(decode_page, body)
    if isinstance(told, Page):
        assert told.received == len(told.calls) + told.rejected


@often
@given(answers)
def test_the_quick_way_and_the_lenient_one_agree(answer):
    body = json.dumps(answer).encode()
    assert outcome(decode_page, body) == outcome(leniently, body)


@often
@given(bodies, st.integers(0, 200))
def test_a_cut_page_is_refused_or_whole(body, place):
    outcome(decode_page, body[:place])


@often
@given(bodies)
def test_the_list_and_the_account_are_decoded_or_refused(body):
    outcome(decode_listing, body)
    outcome(decode_account, body)


@often
@given(
    st.text(max_size=20) | st.sampled_from(["", "gzip", "deflate", "identity", "gzip, br"]),
    st.lists(st.binary(max_size=50), max_size=5),
)
def test_a_body_is_unpacked_or_refused(encoding, pieces):
    def read(_: bytes) -> bytes:
        body = Body(encoding)
        for piece in pieces:
            body.take(piece)
        return body.whole()

    outcome(read, b"")


@often
@given(st.text(st.characters(), max_size=40) | starts)
def test_dates_and_durations_are_read_or_are_none(text):
    parse_instant(text)
    parse_http_date(text)
    with suppress(ValueError):
        parse_duration(text)


HEADERS = st.text('*/;=,.q0159 \t"\\gziptexavrson-', max_size=60) | st.text(max_size=30)


@often
@given(HEADERS)
@example("application/openmetrics-text;version=abc;q=" + "9" * 400)
@example('text/plain;q="' + "\\" * 500)
def test_what_a_client_accepts_is_answered(header):
    choose_format(header)
    accepts_gzip(header)


@often
@given(
    st.lists(st.text(st.characters(), max_size=140), max_size=5), st.text("a+*()|.", max_size=12)
)
def test_any_tag_has_a_label(tags, pattern):
    try:
        rules = TagRules(max_tags=2, include=Pattern(pattern))
    except ValueError:
        return
    labels = TagLabels(rules).of(tags)
    assert all(label in tags or label == OTHER for label in labels)


yaml_texts = st.one_of(
    st.text(max_size=80),
    st.text("abc:-[]{}&*!|>%@`'\"#?, \n\t0123x.<", max_size=80),
    st.recursive(
        st.text("ab*&!<?~0.e-:", max_size=6),
        lambda each: (
            st.lists(each, max_size=3).map(lambda items: f"[{', '.join(items)}]")
            | st.tuples(each, each).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}")
        ),
        max_leaves=10,
    ),
)

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 7)
)
ODD_FILES = {
    "laughs": LAUGHS,
    "python": "api: !!python/object/apply:os.system ['true']\n",
    "an alias of itself": "a: &a [*a]\n",
    "deep": "[" * 400,
    "deeper still": "a: " + "{a: " * 3_000,
    "deep by indent": "".join(" " * n + "- \n" for n in range(60)),
    "merge": "a: &a {b: 1}\nc: {<<: *a}\n",
    "many documents": "---\na: 1\n---\nb: 2\n",
    "a huge whole number": "poll: {interval: " + "9" * 100_000 + "}\n",
    "a huge key": "? " + "k" * 100_000 + "\n: 1\n",
    "carriage returns": "api:\r\n  token: 'a:b'\r\noutbounds: [{id: x}]\r\n",
    "tabs": "api:\n\ttoken: a\n",
    "nan": "poll: {interval: .nan, window: .inf, settle: -0.0, follow: 1e400}\n",
    "dates": "outbounds: [{id: 2020-01-01, name: 2020-01-01T00:00:00Z}]\n",
    "anchors alone": "&a " * 2_000,
    "question marks": "? " * 2_000,
}


def faults_of(load) -> tuple[str, ...]:
    try:
        load()
    except ConfigError as error:
        return error.problems or ("none told",)
    return ()


def loaded(text: str | bytes, folder: Path) -> None:
    """Reads it as either configuration; every fault is one line that tells where."""
    path = folder / "fuzz.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    for read in (partial(load_settings, path, {}), partial(read_web_config, path)):
        for fault in faults_of(read):
            assert ": " in fault or fault.startswith("and ")
            assert "\n" not in fault
            assert len(fault) < 2_000


@pytest.mark.parametrize("text", ODD_FILES.values(), ids=ODD_FILES)
def test_an_odd_file_is_read_or_refused(text, tmp_path):
    loaded(text, tmp_path)


@often
@given(yaml_texts | st.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory, text):
    loaded(text, tmp_path_factory.getbasetemp())


@often
@given(yaml_texts)
def test_any_text_is_yaml_or_is_told_where_not(text):
    with suppress(YamlError):
        read_yaml(text)


keys = st.sampled_from(
    ["api", "poll", "outbounds", "discovery", "metrics", "state", "web", "log", "tls_server_config"]
)
names = st.sampled_from(
    [
        "token",
        "interval",
        "window",
        "id",
        "listen",
        "url",
        "labels",
        "tag_include",
        "cert",
        "level",
        "duration_buckets",
        "name",
        "proxy",
        "config_file",
        "min_version",
        "page_size",
    ]
)
trees = st.dictionaries(
    keys, wild | st.dictionaries(names, wild) | st.lists(st.dictionaries(names, wild), max_size=3)
)


@often
@given(trees)
def test_values_of_known_keys_are_taken_or_refused_by_key(tmp_path_factory, tree):
    try:
        text = json.dumps(tree, allow_nan=False)
    except ValueError:
        return
    loaded(text, tmp_path_factory.getbasetemp())


variables = st.sampled_from(
    [
        "PEARL_API_TOKEN",
        "PEARL_OUTBOUNDS",
        "PEARL_POLL__INTERVAL",
        "PEARL_METRICS__TAG_INCLUDE",
        "PEARL_WEB__LISTEN",
        "PEARL_METRICS__DURATION_BUCKETS",
        "PEARL_STATE__URL",
        "PEARL_API__URL",
        "PEARL_API__PROXY",
        "PEARL_LOG__LEVEL",
        "PEARL_POLL__X",
        "PEARL___",
        "PEARL_API__PAGE_SIZE",
    ]
)


@often
@given(st.dictionaries(variables, st.text(st.characters(), max_size=30)))
def test_any_environment_is_taken_or_refused(environment):
    faults = faults_of(lambda: load_settings(None, environment))
    assert all(len(fault) < 2_000 for fault in faults)
