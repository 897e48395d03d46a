"""What must never be shown: values that look like a secret, and the tokens that are known. Pure.

Two nets, since each has holes. `looks_secret` knows no token, and judges by the form: it hides a
value from a message. `KnownSecrets` has the tokens that are configured: they are taken out of every
message, whatever surrounds them, and no other key may hold them.
"""

import re
from urllib.parse import unquote

from pearl_exporter.config.example_values import is_example

_MIN_LENGTH = 4
"""A shorter text is no secret, and is a part of many words."""

_MAX_SEARCHED = 64 * 1024
"""Texts beyond this length are no names, and are never shown."""

_MAX_SEARCHED_FOR = 100
"""Of more secrets, which only very many outbounds have, whole words are looked for."""

_BETWEEN_WORDS = re.compile(r"[\s\"'`,;<>()\[\]{}#\\]+")
"""What may stick to a token that was pasted: quotes, brackets, a comment, white space."""

# A whole header, a URL with a user or a query, a bcrypt hash.
_SECRET_TEXT = re.compile(r"\bbearer\b|@|://.*[?#]|\$2[a-z]\$", re.IGNORECASE)
# NLPearl's account:secret pair. localhost:10042 is none, nor is what begins like a URL.
_PAIR = re.compile(r"[^/:]{3,}:(?!\d{1,5}(?:/|$))(?!//).{4,}")
# A long run of letters and digits, except in a path.
_LONG_RUN = re.compile(r"(?=[\w+=~-]*\d)(?=[\w+=~-]*[a-z])[\w+=~-]{16,}", re.IGNORECASE)
_PATH = re.compile(r"~?\.{0,2}/|[a-z]+:/", re.IGNORECASE)


def looks_secret(text: str) -> bool:
    """Return whether a text may be a secret in the wrong place, or hold one."""
    if _SECRET_TEXT.search(text):
        return True
    return any(_is_secret_word(word) for word in _BETWEEN_WORDS.split(text))


def _is_secret_word(word: str) -> bool:
    if _PAIR.search(word):
        return True
    return not _PATH.match(word) and _LONG_RUN.search(word) is not None


class KnownSecrets:
    """The tokens of a configuration, and their secret halves."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, text: str) -> None:
        """Add the tokens in a text that was given as one, perhaps with what sticks to it."""
        words = [word for word in _BETWEEN_WORDS.split(text) if len(word) >= _MIN_LENGTH]
        pairs = [word for word in words if ":" in word]
        for word in pairs or [word for word in words if word.lower() != "bearer"]:
            # before the colon is the account's id, which is no secret
            account, _, key = word.partition(":")
            half = key or account
            if len(half) >= _MIN_LENGTH and not is_example(half):
                self._secrets |= {word.casefold(), half.casefold()}

    def is_in(self, text: str, *, is_name: bool) -> bool:
        """Return whether a text is or holds a secret, in any case, also percent-encoded.

        Args:
            text: The text.
            is_name: Whether the text is published. If not, a secret that is a short word does not
                count: the path of a file may hold it by chance.
        """
        if len(text) > _MAX_SEARCHED:
            return False
        forms = [text.casefold(), unquote(text).casefold()]
        if len(self._secrets) > _MAX_SEARCHED_FOR:
            words = {word for form in forms for word in (form, *_BETWEEN_WORDS.split(form))}
            found = self._secrets & words
        else:
            found = {secret for secret in self._secrets if any(secret in form for form in forms)}
        return any(is_name or not _is_short_word(secret) for secret in found)

    def mask(self, message: str) -> str:
        """Return a message without the secrets in it."""
        folded = message.casefold()
        found = [each for each in self._secrets if each in folded and not _is_short_word(each)]
        # the longest first, since a half is a part of the whole
        for secret in sorted(found, key=len, reverse=True):
            message = re.sub(re.escape(secret), "(hidden)", message, flags=re.IGNORECASE)
        return message


def _is_short_word(text: str) -> bool:
    """Return whether a text may be a word of a message, such as the key of ``any:token``."""
    return text.isalpha() and len(text) < 8  # noqa: PLR2004 - no key is so short
