"""Where an API token comes from, and what a usable one looks like.

No error of this file quotes a token, whole or in part.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from pearl_exporter.config.example_values import refuse_placeholder_token
from pearl_exporter.config.files import read_capped, reasons

_MAX_FILE_BYTES = 64 * 1024


def normalise_token(text: str) -> str:
    """Give the bare token in ``text``, which may be pasted with more than itself.

    White space around it, quotes around it and a leading "Bearer " (in any case, repeated) are
    taken off. Raises ValueError, whose message never holds the token, where nothing is left, where
    it is an example's, or where what is left could not stand in an HTTP header: inner white space,
    control characters, anything but ASCII.
    """
    token = _unwrapped(text)
    if not token:
        raise ValueError("the token is empty")
    if any(character.isspace() for character in token):
        raise ValueError("the token has white space inside; wanted one word, as NLPearl shows it")
    if not token.isascii():
        raise ValueError("the token has characters that are not ASCII; was it copied whole?")
    if not token.isprintable():
        raise ValueError("the token has control characters; was it copied whole?")
    refuse_placeholder_token(token)
    return token


def _unwrapped(text: str) -> str:
    while True:
        bare = text.strip()
        if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
            bare = bare[1:-1]
        scheme, *rest = bare.split(maxsplit=1)[:2] or [""]
        if scheme.lower() == "bearer":
            bare = rest[0] if rest else ""
        if bare == text:
            return bare
        text = bare


@dataclass(frozen=True, slots=True)
class TokenSource:
    """A token, or the file that holds it. Exactly one of both; its repr masks the token."""

    literal: SecretStr | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse neither and both, which would make the token a matter of luck."""
        if (self.literal is None) == (self.file is None):
            raise ValueError("wanted either a literal token or the path of a token file")

    def read(self) -> str:
        """Give the bare token as it is now: a file is read anew at each call.

        Raises ValueError, with a message for the user that never holds the token, where a file
        can't be read or there is no usable token.
        """
        if self.literal is not None:
            return normalise_token(self.literal.get_secret_value())
        assert self.file is not None  # noqa: S101 - __post_init__ saw to it
        return normalise_token(_file_text(self.file))


def _file_text(path: Path) -> str:
    """Read a token file. Only a regular file: a FIFO would block, a directory holds no token."""
    with reasons():
        if not path.is_file():
            raise ValueError("is no regular file" if path.exists() else "there is no such file")
    content = read_capped(path, _MAX_FILE_BYTES, "is too large for a token file")
    try:
        # Notepad writes a byte order mark before the token.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
