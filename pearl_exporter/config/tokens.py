"""The API token: where it comes from, and what is accepted as one.

No error raised here quotes a token, whole or in part.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from pearl_exporter.config.example_values import refuse_example_token
from pearl_exporter.config.files import os_errors_as_reasons, read_capped
from pearl_exporter.config.placeholders import refuse_placeholder

_MAX_FILE_BYTES = 64 * 1024


def normalise_token(text: str) -> str:
    """Return the bare token in ``text``, without what is often pasted with it.

    White space around it, quotes around it and a leading "Bearer " (in any case, repeated) are
    removed.

    Raises:
        ValueError: Nothing is left, it is a placeholder or an example's token, or it can't be in an
            HTTP header: white space inside, control characters, anything but ASCII.
    """
    token = _unwrapped(text)
    if not token:
        raise ValueError("the token is empty")
    refuse_placeholder(token)
    if any(character.isspace() for character in token):
        raise ValueError("the token has white space inside; wanted one word, as NLPearl shows it")
    if not token.isascii():
        raise ValueError("the token has characters that are not ASCII; was it copied whole?")
    if not token.isprintable():
        raise ValueError("the token has control characters; was it copied whole?")
    refuse_example_token(token)
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
    """A token, or the file that holds it: exactly one of the two. Its repr masks the token."""

    literal: SecretStr | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        """Check that exactly one of the two is given."""
        if (self.literal is None) == (self.file is None):
            raise ValueError("wanted either a literal token or the path of a token file")

    def read(self) -> str:
        """Return the bare token as it is now: a file is read again at each call.

        Raises:
            ValueError: The file can't be read or has no usable token. The message is the reason.
        """
        if self.literal is not None:
            return normalise_token(self.literal.get_secret_value())
        assert self.file is not None  # noqa: S101 - checked in __post_init__
        return normalise_token(_file_text(self.file))


def _file_text(path: Path) -> str:
    """Return the text of a token file, which must be a regular file: a pipe could be read once."""
    with os_errors_as_reasons():
        if not path.is_file():
            raise ValueError("is not a regular file" if path.exists() else "there is no such file")
    content = read_capped(path, _MAX_FILE_BYTES, "is too large for a token file")
    try:
        # Windows' Notepad writes a byte order mark before the token.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
