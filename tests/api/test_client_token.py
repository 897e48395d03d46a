"""The token that requests carry, and its file."""

from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from pearl_exporter.api.token_file import Token
from pearl_exporter.config import TokenSource
from tests.support.client_scene import TOKEN, WELL, a_scene, problem

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(
    "pasted", [TOKEN, f" {TOKEN}\n", f"Bearer {TOKEN}", f"bearer  {TOKEN}\r\n", f'"{TOKEN}"']
)
async def test_a_pasted_token_is_sent_bare(pasted, tmp_path):
    file = tmp_path / "token"
    file.write_text(pasted)

    for source in (TokenSource(literal=SecretStr(pasted)), TokenSource(file=file)):
        async with a_scene(source=source) as scene:
            await scene.search()
            assert scene.last_request.headers["authorization"] == f"Bearer {TOKEN}"


def replace_file(file: Path, text: str) -> None:
    """As Kubernetes and careful people do: by rename."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@pytest.mark.parametrize("write", [replace_file, Path.write_text], ids=["rename", "in place"])
async def test_a_token_file_is_read_again_when_it_changes(write, tmp_path):
    file = tmp_path / "token"
    file.write_text("a:first")

    async with a_scene(source=TokenSource(file=file)) as scene:
        await scene.search()
        assert scene.last_request.headers["authorization"] == "Bearer a:first"
        write(file, "Bearer a:second-one")
        await scene.search()
        assert scene.last_request.headers["authorization"] == "Bearer a:second-one"


async def test_a_retry_carries_the_new_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("a:first")

    async with a_scene(source=TokenSource(file=file)) as scene:

        def rotate(_: httpx.Request) -> httpx.Response:
            replace_file(file, "a:second-one")
            return problem(503)

        scene.answer(rotate, WELL)
        await scene.search()
        assert scene.last_request.headers["authorization"] == "Bearer a:second-one"


def spoil(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")


def empty(file: Path) -> None:
    file.write_text("")


def make_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("break_it", [Path.unlink, spoil, empty, make_a_directory])
def test_a_broken_token_file_keeps_the_last_good_token(break_it, tmp_path, caplog):
    """It is logged once."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    token = Token(TokenSource(file=file))
    break_it(file)
    assert [token.current() for _ in range(5)] == [TOKEN] * 5
    assert len(caplog.records) == 1
    assert TOKEN not in caplog.text
    assert str(file) == caplog.records[0].token_file
    if file.is_dir():
        file.rmdir()
    replace_file(file, "a:second-one")
    assert token.current() == "a:second-one"
    file.unlink()
    assert token.current() == "a:second-one"
    assert len(caplog.records) == 2


def test_a_token_that_can_not_be_read_at_first_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        Token(TokenSource(file=tmp_path / "none"))


def test_no_repr_shows_a_token():
    source = TokenSource(literal=SecretStr(TOKEN))
    token = Token(source)
    assert token.current() == TOKEN
    assert TOKEN not in repr(token) + repr(source)
