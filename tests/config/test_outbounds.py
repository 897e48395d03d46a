"""Wrong outbounds and wrong lists of them: each is reported with what would be right."""

import re

import pytest

from tests.config.loading import problems_of

pytestmark = pytest.mark.usefixtures("own_folder")


WANTED_ID = "wanted an id of letters, digits and any of _ - . ~"
QUOTE = "wanted text; put it in quotes"
RESERVED = (
    "reserved name; wanted none of instance, job, le, outbound, outbound_id, "
    "and none beginning with __"
)


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
        (
            "id: a\n  name: a`b",
            "outbounds.0.name: the name has a backtick, which the dashboards' queries can't quote",
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
        ("id: a\n  labels: {job: x}", f"outbounds.0.labels.job: {RESERVED}"),
        ("id: a\n  labels: {__x: x}", f"outbounds.0.labels.__x: {RESERVED}"),
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
    ],
)
def test_a_wrong_outbound_is_reported_with_what_is_right(entry, message):
    (problem,) = problems_of(f"outbounds:\n- {entry}")
    assert re.fullmatch(rf"config\.yml:[234]: {re.escape(message)}", problem)


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
def test_wrong_lists_of_outbounds(outbounds, message):
    assert problems_of(f"outbounds: {outbounds}") == [f"config.yml:1: {message}"]


def test_no_outbounds_by_oversight_says_how_to_name_one():
    (problem,) = problems_of("poll: {interval: 10s}")
    assert problem.startswith(
        "config.yml: outbounds: none given; name one in the file, as outbounds: ["
    )
    assert "PEARL_OUTBOUNDS=" in problem
