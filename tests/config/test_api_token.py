"""The token in the configuration: where it may be, which one counts, and that none is shown."""

from pathlib import Path

import pytest

from tests.config.loading import ONE, TOKEN, load, problems_of

pytestmark = pytest.mark.usefixtures("own_folder")


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
            "config.yml:2: api.token_file: api.token is given too; wanted only one of them",
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
            'config.yml:2: api.token_file: is not a regular file: ".", from {here}',
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
            "PEARL_API_TOKEN_FILE: PEARL_API_TOKEN is given too; wanted only one of them",
        ),
    ],
)
def test_a_token_that_is_missing_or_unusable(text, environ, message):
    Path("good").write_text("a:b")
    Path("empty").write_text("\n")
    here = f"the working directory {Path.cwd()}"
    assert problems_of(text, environ) == [message.replace("{here}", here)]


@pytest.mark.parametrize("pasted", ["acct-4711:s3cr3t", "k3y0123456789abcdefghijkl", "x" * 300])
def test_a_token_in_the_place_of_its_file_is_not_repeated(pasted):
    (problem,) = problems_of(f"{ONE}api: {{token_file: '{pasted}'}}")
    assert pasted not in problem
    assert "api.token_file: " in problem
