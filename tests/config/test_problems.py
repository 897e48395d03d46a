"""How problems are reported: all at once, in order, one line each, and no secret."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.config.loading import ONE, problems_of
from tests.config.values import MANY, VALUES

pytestmark = pytest.mark.usefixtures("own_folder")


def test_all_problems_come_at_once_in_the_files_order():
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
    assert [re.sub(r",? (wanted|did).*", "", problem) for problem in problems_of(text)] == [
        'config.yml:2: web.listen: got "nowhere"',
        'config.yml:4: poll.interval: got "5x"',
        "config.yml:9: outbounds.0.colour: unknown key;",
        "config.yml:10: outbounds.1.id: this key is required",
    ]


def test_of_many_problems_a_hundred_are_reported():
    told = problems_of("".join(f"x{n}: 1\n" for n in range(150)) + ONE)
    assert len(told) == 101
    assert told[-1] == "and 50 more"


def test_a_problem_is_one_line_that_leaves_the_terminal_alone():
    (problem,) = problems_of(f'{ONE}log: {{level: "a\\nb\\e[31m\\u202E"}}')
    assert problem.startswith(r'config.yml:2: log.level: got "a\nb\x1b[31m\u202e", wanted')


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
    told = "\n".join(problems_of(text.format(s=SECRET), {"PEARL_API__TOKEN": SECRET}))
    assert "s3cr3t" not in told


@MANY
@given(
    VALUES, st.sampled_from(["token", "api_token", "Password", "client_secret", "authorization"])
)
def test_nothing_under_a_key_named_like_a_secret_is_repeated(value, key):
    hidden = yaml.safe_dump({"api": {key: [SECRET, value]}, "poll": {key: SECRET}})
    assert "s3cr3t" not in "\n".join(problems_of(hidden))
