"""A placeholder that nobody replaced is refused, and the message names the variable to set."""

from pathlib import Path

import pytest

from pearl_exporter.config.placeholders import placeholder_problem
from tests.config.loading import ONE, TOKEN, load, problems_of

pytestmark = pytest.mark.usefixtures("own_folder")

WHAT = "a placeholder that nothing replaces; write the value"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("${NLPEARL_TOKEN}", "NLPEARL_TOKEN"),
        ("https://${HOST}/x", "HOST"),
        ("${HOST:-api.nlpearl.ai}", "HOST"),
        ("${HOST?missing}", "HOST"),
        ("$NLPEARL_TOKEN", "NLPEARL_TOKEN"),
        (" $token\n", "token"),
        ("$(TOKEN)", "TOKEN"),
        ("%TOKEN%", "TOKEN"),
        ("{{ token }}", "token"),
        ("{{token}}", "token"),
        ("{{- .Values.api.token | quote }}", ".Values.api.token"),
        ("Bearer {{ token }}", "token"),
    ],
)
def test_each_kind_is_found_with_its_name(text, name):
    assert placeholder_problem(text) == f"{WHAT} of {name} itself"


@pytest.mark.parametrize(
    "text",
    ["", "spring", "100 % off", "%41%42", "cost $5", "$5", "a$", "^(x|y)$", "x{2}", "{}", "50%"],
)
def test_other_texts_are_none(text):
    assert placeholder_problem(text) is None


@pytest.mark.parametrize("secret", ["s3cr3tKeyMaterial99", "acct4711:s3cr3tKey", "x" * 100])
def test_what_may_be_a_secret_is_not_shown(secret):
    for text in (f"${{{secret}}}", f"{{{{ {secret} }}}}", f"${secret}", f"%{secret}%"):
        assert "s3cr3t" not in (placeholder_problem(text) or "")
        assert "x" * 100 not in (placeholder_problem(text) or "")


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        (
            f"{ONE}api: {{token: '${{SECRET}}'}}",
            {},
            (
                f"config.yml:2: api.token: {WHAT} of SECRET itself, "
                "or leave the key out and set PEARL_API_TOKEN"
            ),
        ),
        (
            f"{ONE}api: {{token: $SECRET}}",
            {},
            (
                f"config.yml:2: api.token: {WHAT} of SECRET itself, "
                "or leave the key out and set PEARL_API_TOKEN"
            ),
        ),
        (
            f"{ONE}poll: {{window: '${{WINDOW:-1h}}'}}",
            TOKEN,
            (
                f"config.yml:2: poll.window: {WHAT} of WINDOW itself, "
                "or leave the key out and set PEARL_POLL__WINDOW"
            ),
        ),
        (
            "outbounds: [{id: '$ID', name: '{{ name }}', labels: {team: '%TEAM%'}}]",
            TOKEN,
            f"config.yml:1: outbounds.0.id: {WHAT} of ID itself",
        ),
        (ONE, {"PEARL_API_TOKEN": "${TOKEN}"}, f"PEARL_API_TOKEN: {WHAT} of TOKEN itself"),
        (
            ONE,
            TOKEN | {"PEARL_WEB__LISTEN": ":{{ port }}"},
            f"PEARL_WEB__LISTEN: {WHAT} of port itself",
        ),
        (
            f"{ONE}api:\n  token: {{{{ token }}}}\n",
            {},
            f"config.yml:3: not valid YAML: {WHAT} of token itself",
        ),
        (
            f"{ONE}api:\n  token: %TOKEN%\n",
            {},
            f"config.yml:3: not valid YAML: {WHAT} of TOKEN itself",
        ),
        (
            f"{ONE}api: {{token_file: token}}",
            {},
            f'config.yml:2: api.token_file: {WHAT} of TOKEN itself: "token", from {{here}}',
        ),
    ],
)
def test_the_message_says_where_and_what_to_set(text, environ, message):
    Path("token").write_text("${TOKEN}\n")
    here = f"the working directory {Path.cwd()}"
    assert problems_of(text, environ)[0] == message.replace("{here}", here)


def test_the_web_configuration_has_none_either():
    Path("web.yml").write_text("basic_auth_users: {alice: '${HASH}'}")
    assert problems_of(f"{ONE}web: {{config_file: web.yml}}") == [
        f"web.yml:1: basic_auth_users.alice: {WHAT} of HASH itself"
    ]


def test_a_regular_expression_and_a_name_with_a_dollar_are_kept():
    text = "metrics: {tag_include: '^(a|b)$'}\noutbounds: [{id: a, name: 'only $5, 20%'}]"
    loaded = load(text, TOKEN)
    assert loaded.outbounds[0].name == "only $5, 20%"
