"""Tokens: what is taken off a pasted one, and what is refused without repeating it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pearl_exporter.config.tokens import TokenSource, normalise_token


@pytest.mark.parametrize(
    "text",
    [
        "acc:key",
        "  acc:key\n",
        "Bearer acc:key",
        "bearer\tBEARER  acc:key",
        '"acc:key"',
        "'Bearer acc:key' ",
        'Bearer "acc:key"',
    ],
)
def test_a_pasted_token_is_bared(text):
    assert normalise_token(text) == "acc:key"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the token is empty"),
        (" \n", "the token is empty"),
        ("Bearer ", "the token is empty"),
        ('""', "the token is empty"),
        ("acc key", "the token has white space inside"),
        ("acc\nkey", "the token has white space inside"),
        ("acc\x00key", "the token has control characters"),
        ("acc:k\u00e9y", "the token has characters that are not ASCII"),
        ("\udc80", "the token has characters that are not ASCII"),
    ],
)
def test_an_unusable_token_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        normalise_token(text)


@given(st.text(max_size=40))
def test_a_bared_token_stays_as_it_is_and_fits_a_header(text):
    try:
        token = normalise_token(text)
    except ValueError:
        return
    assert normalise_token(token) == token
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token


@given(st.text(min_size=8, max_size=40))
def test_no_message_holds_the_token(text):
    told = ""
    try:
        normalise_token(text)
    except ValueError as error:
        told = str(error)
    assert text not in told


def test_a_source_masks_its_token():
    source = TokenSource(literal=SecretStr("acc:key"))
    assert "key" not in f"{source!r} {source}"
    assert source.read() == "acc:key"


@pytest.mark.parametrize("both", [True, False])
def test_a_source_is_a_token_or_a_file(tmp_path, both):
    with pytest.raises(ValueError, match="either"):
        TokenSource(SecretStr("t"), tmp_path) if both else TokenSource()


def test_a_file_is_read_again(tmp_path):
    file = tmp_path / "token"
    source = TokenSource(file=file)
    file.write_bytes(b"\xef\xbb\xbfBearer first\r\n")
    assert source.read() == "first"
    file.write_text("second")
    assert source.read() == "second"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the token is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a" * 70_000, "is too large for a token file"),
    ],
)
def test_a_file_without_a_usable_token_is_refused(tmp_path, content, message):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        TokenSource(file=file).read()


def test_a_file_must_be_a_file(tmp_path):
    with pytest.raises(ValueError, match="is not a regular file"):
        TokenSource(file=tmp_path).read()
    with pytest.raises(ValueError, match="there is no such file"):
        TokenSource(file=tmp_path / "gone").read()
    with pytest.raises(ValueError, match="can't be read: File name too long"):
        TokenSource(file=tmp_path / ("x" * 5000)).read()
