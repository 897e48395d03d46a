"""No message repeats a token or its secret half, and no other key may hold one."""

import itertools
import json
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.config.secrecy import KnownSecrets, looks_secret
from tests.config.loading import load, problems_of
from tests.config.values import MANY
from tests.support.config_keys import settings_keys

pytestmark = pytest.mark.usefixtures("own_folder")

ACCOUNT, HALF = "65f1c0ffee65f1c0ffee0042", "k3yMaterial/x+9"
TOKEN = f"{ACCOUNT}:{HALF}"
ONE = {"outbounds": [{"id": "a"}]}

STUCK = {
    "alone": "{}",
    "quotes": "'{}'",
    "double quotes": '"{}"',
    "backticks": "`{}`",
    "Bearer": "Bearer {}",
    "a header": "Authorization: Bearer {}",
    "spaces": "  {}  ",
    "a line break": "{}\n",
    "a comment": "{} # of the account",
    "a comment at once": "{}# of the account",
    "a key": "token: {}",
    "an equals sign": "TOKEN={}",
    "a comma": "{},",
    "brackets": "<{}>",
    "JSON": '{{"token": "{}"}}',
    "a URL's user": "https://{}@api.nlpearl.ai",
    "a URL's query": "https://api.nlpearl.ai/?token={}",
    "a path": "/run/{}/x",
    "twice": "{0} {0}",
}
WHERE = ["in the file", "in the environment", "in a token file", "nowhere else"]


def with_value(key: str, value: object) -> dict:
    """A configuration with a value under a key such as ``poll.window`` or ``outbounds[].name``."""
    config = json.loads(json.dumps(ONE))
    section, _, name = key.partition(".")
    if section == "outbounds[]":
        config["outbounds"][0][name] = value
    else:
        config.setdefault(section, {})[name] = value
    return config


def told(config: dict, where: str, extra: dict[str, str] | None = None) -> str:
    """All problems of a configuration whose token is in one place, which must have some."""
    environ = dict(extra or {})
    if where == "in the environment":
        environ["PEARL_API_TOKEN"] = TOKEN
    elif where == "in a token file":
        Path("token").write_text(f"Bearer {TOKEN}\n")
        config.setdefault("api", {}).setdefault("token_file", "token")
    elif where == "in the file":
        config.setdefault("api", {}).setdefault("token", TOKEN)
    return "\n".join(problems_of(yaml.safe_dump(config, allow_unicode=True), environ))


KEYS = sorted(
    {key.path for key in settings_keys()} - {"api.token"}
    | {"api.tokn", "poll.windows", "outbounds[].colour", "outbounds[].token"}
)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("key", KEYS)
def test_whatever_sticks_to_a_token_no_message_repeats_it(key, where):
    for stuck in STUCK.values():
        assert HALF not in told(with_value(key, stuck.format(TOKEN)), where)


@pytest.mark.parametrize("where", WHERE[:-1])
@pytest.mark.parametrize("key", KEYS)
def test_nor_its_secret_half_where_the_token_is_known(key, where):
    if where == "in a token file" and key == "api.token_file":
        return  # then the token is nowhere
    for stuck in STUCK.values():
        assert HALF not in told(with_value(key, stuck.format(HALF)), where)


@pytest.mark.parametrize("where", WHERE[:-1])
@pytest.mark.parametrize(
    "secret", [TOKEN, HALF, TOKEN.upper(), f"my {HALF} campaign", f"{HALF}-spring"]
)
@pytest.mark.parametrize(
    "config",
    [
        {"outbounds": [{"id": "a", "name": "{}"}]},
        {"outbounds": [{"id": "a", "labels": {"team": "{}"}}]},
        {"outbounds": [{"id": "a"}, {"id": "b", "name": "{}"}]},
        {**ONE, "discovery": {"include": "{}"}},
    ],
    ids=["name", "label", "second name", "pattern"],
)
def test_what_is_published_may_not_hold_it(config, secret, where):
    config = json.loads(json.dumps(config).replace("{}", json.dumps(secret)[1:-1]))
    problems = told(config, where)
    assert "holds the API token or its secret half" in problems
    assert HALF.lower() not in problems.lower()


@pytest.mark.parametrize("half", ["k3y-material", "hunter2", "secret"])
def test_an_id_or_a_labels_name_may_not_hold_it(half):
    environ = {"PEARL_API_TOKEN": f"account:{half}"}
    for outbound in ({"id": half}, {"id": f"x{half}x"}, {"id": "a", "labels": {half: "x"}}):
        problems = problems_of(yaml.safe_dump({"outbounds": [outbound]}), environ)
        assert "holds the API token or its secret half" in "\n".join(problems)
        assert half == "secret" or half not in "\n".join(problems)


@pytest.mark.parametrize("userinfo", ["user:{}", "{}", "{}:x", "{}@x"])
@pytest.mark.parametrize("form", [str, quote, lambda text: quote(text, safe="")])
def test_a_proxys_user_and_password_are_not_the_token(userinfo, form):
    proxy = f"http://{userinfo.format(form('k3y+material'))}@proxy.test:3128"
    environ = {"PEARL_API_TOKEN": "account:k3y+material"}
    (problem,) = problems_of(yaml.safe_dump({**ONE, "api": {"proxy": proxy}}), environ)
    assert problem.startswith("config.yml:2: api.proxy: holds the API token")
    assert "material" not in problem


def test_a_token_of_one_outbound_is_no_name_of_another():
    Path("other").write_text("other:k3y-material")
    text = "outbounds: [{id: a, token_file: other}, {id: b, name: k3y-material}]"
    (problem,) = problems_of(text, {"PEARL_API_TOKEN": "account:key"})
    assert problem.startswith("config.yml:1: outbounds.1.name: holds the API token")


def test_a_token_of_common_words_spoils_no_message():
    problems = problems_of(
        "outbounds: [{id: spring}]\npoll: {window: 5x}\nstate: {url: 'sqlite:///token.db'}",
        {"PEARL_API_TOKEN": "any:token"},
    )
    wanted = "wanted a duration such as 30s, 1h30m or 1d"
    assert problems == [f'config.yml:2: poll.window: got "5x", {wanted}']


def test_the_account_is_no_secret():
    text = f"outbounds: [{{id: a, name: '{ACCOUNT}'}}]"
    assert load(text, {"PEARL_API_TOKEN": TOKEN}).outbounds[0].name == ACCOUNT


def test_a_command_that_needs_no_token_keeps_it_too():
    from pearl_exporter.config import ConfigError, load_settings

    Path("config.yml").write_text(yaml.safe_dump({"api": {"token": TOKEN}, "poll": {"x": HALF}}))
    with pytest.raises(ConfigError) as caught:
        load_settings(Path("config.yml"), {}, asks_api=False)
    assert HALF not in str(caught.value)


HALVES = st.text("abcXYZ0189+/_-=", min_size=8, max_size=40).filter(
    lambda text: any(map(str.isdigit, text)) and text[0].isalpha()
)


AROUND_TOKENS = sorted(STUCK.keys() - {"a URL's user", "a URL's query", "a path"})


@MANY
@given(HALVES, st.sampled_from(AROUND_TOKENS), st.text(max_size=20), st.text(max_size=20))
def test_a_mask_leaves_nothing_of_a_known_token(half, stuck, before, after):
    secrets = KnownSecrets()
    secrets.add(STUCK[stuck].format(f"account:{half}"))
    for text in (half, f"account:{half}", half.upper()):
        masked = secrets.mask(f"{before}{text}{after}")
        assert half.lower() not in masked.lower()


@MANY
@given(HALVES, st.sampled_from(sorted(STUCK)))
def test_a_pair_looks_secret_whatever_sticks_to_it(half, stuck):
    assert looks_secret(STUCK[stuck].format(f"account:{half}"))


@pytest.mark.parametrize(
    "text",
    ["5x", "nowhere", "localhost:10042", "[::]:10042", "0.0.0.0:99999", "sqlite:///data/x.db",
     "/run/secrets/65f1c0ffee65f1c0ffee0001", "./certs/client-2026-11-23T10.pem", "12:30", "yes",
     "postgresql://host/db", "2026-11-23", "spring renewals", "bearer_token"],
)  # fmt: skip
def test_usual_values_are_shown(text):
    assert not looks_secret(text)


def test_every_key_and_form_was_tried():
    assert len(list(itertools.product(KEYS, STUCK))) > 500


def test_of_many_tokens_whole_words_are_found():
    secrets = KnownSecrets()
    for number in range(1000):
        secrets.add(f"account{number}:k3y-material-{number}")
    assert secrets.is_in("my k3y-material-77", is_name=True)
    assert not secrets.is_in("my k3y-material-x", is_name=True)
    assert "k3y-material-77" not in secrets.mask("it has k3y-material-77 in it")
