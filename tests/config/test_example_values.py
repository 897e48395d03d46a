"""What an example has in the place of a value is refused, and nothing else is."""

from pathlib import Path

import pytest

from pearl_exporter.config import ConfigError, load_settings

SECRET = "s3cr3t-k3y"


def problems_of(folder: Path, text: str, **variables: str) -> tuple[str, ...]:
    (folder / "c.yml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_settings(folder / "c.yml", variables)
    return refused.value.problems


@pytest.mark.parametrize("word", ["YOUR_OUTBOUND_ID", "REPLACE-ME", "CHANGEME", "your-outbound-id"])
def test_an_example_id_is_refused_with_what_to_do(tmp_path, word):
    (told,) = problems_of(tmp_path, f"api: {{token: a:b}}\noutbounds:\n- id: {word}\n")
    where = f"{tmp_path}/c.yml:3: outbounds.0.id"
    assert told.startswith(f'{where}: "{word}" is an example; replace it by the id')


@pytest.mark.parametrize(
    "token",
    ["YOUR_ACCOUNT_ID:{}", "{}:YOUR_SECRET_KEY", "accountId:secretKey", "Bearer change_me:{}"],
)
def test_an_example_token_is_refused_wherever_it_is(tmp_path, token):
    token = token.format(SECRET)
    (tmp_path / "token").write_text(token)
    outbounds = "outbounds: [{id: 65f1c0ffee}]"
    for key, told in (
        ("c.yml:1: api.token: ", problems_of(tmp_path, f"api: {{token: '{token}'}}\n{outbounds}")),
        (
            "c.yml:1: api.token_file: ",
            problems_of(tmp_path, f"api: {{token_file: {tmp_path}/token}}\n{outbounds}"),
        ),
        ("PEARL_API_TOKEN: ", problems_of(tmp_path, outbounds, PEARL_API_TOKEN=token)),
    ):
        assert len(told) == 1
        assert key in told[0]
        assert "is an example; replace it by your own token, in" in told[0]
        assert SECRET not in told[0]


def test_an_outbound_of_the_environment(tmp_path):
    variables = {"PEARL_API_TOKEN": "a:b", "PEARL_OUTBOUNDS": "YOUR_OUTBOUND_ID=some-name"}
    (told,) = problems_of(tmp_path, "", **variables)
    assert told.startswith('PEARL_OUTBOUNDS: outbounds.0.id: "YOUR_OUTBOUND_ID" is an example')


@pytest.mark.parametrize("value", ["65f1c0ffee", "YOURS", "my-outbound", "changes", "account-id"])
def test_what_only_resembles_one_is_taken(tmp_path, value):
    # an id that is the token's secret half is refused for that
    for token, outbound_id in ((f"{value}:{value}", "65f1"), ("a:b", value)):
        (tmp_path / "c.yml").write_text(
            f"api: {{token: '{token}'}}\noutbounds: [{{id: '{outbound_id}', name: YOUR_NAME}}]\n"
        )
        (outbound,) = load_settings(tmp_path / "c.yml", {}).outbounds
        assert outbound.token.read() == token
        assert (outbound.id, outbound.name) == (outbound_id, "YOUR_NAME")
