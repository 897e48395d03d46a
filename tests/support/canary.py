"""Bait: phone numbers, e-mail addresses and secrets, each unlike all others, and a nose for them.

Whatever is planted is found again in text or bytes, in the notation in which it was planted or in
another: with other separators or digits, percent-encoded, as HTML or JSON escapes, in Base64, or as
a binary number.
"""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

_AREA = "15150777"
"""All numbers begin so, after the country. They are of a range that nobody was given."""

_SEPARATORS = re.compile(r"[\s()\[\].\-/+·_,]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_JSON_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")


def _spaced(digits: str) -> str:
    return f"{digits[:4]} {digits[4:8]} {digits[8:10]} {digits[10:]}"


NOTATIONS: tuple[Callable[[str], str], ...] = (
    lambda digits: f"+49{digits}",
    lambda digits: f"0049{digits}",
    lambda digits: f"+49 {_spaced(digits)}",
    lambda digits: f"+49 (0) {digits[:4]}/{digits[4:8]}-{digits[8:]}",
    lambda digits: f"(0{digits[:4]}) {digits[4:]}",
    lambda digits: "-".join(("+49", digits[:4], digits[4:8], digits[8:])),
    lambda digits: f"0{_spaced(digits)}".replace(" ", "."),
    lambda digits: f"tel:+49{digits}",
    lambda digits: quote(f"+49 {_spaced(digits)}"),
    lambda digits: f"+49{digits}".translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)}),
    lambda digits: f"call back {_spaced(digits)}\u00a0(mobile)".replace(" ", "\u00a0"),
)


@dataclass
class Canary:
    """What was planted, with where."""

    numbers: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def number(self, where: str) -> str:
        """A new phone number; each is written in another way than the one before."""
        notation = NOTATIONS[len(self.numbers) % len(NOTATIONS)]
        return notation(self._digits(where))

    def plain_number(self, where: str) -> str:
        """A new phone number as bare digits, with its country."""
        return f"49{self._digits(where)}"

    def email(self, where: str) -> str:
        """A new e-mail address."""
        return f"{self._word('mail', where)}@example.org"

    def secret(self, where: str) -> str:
        """A new secret of one word."""
        return self._word("secret", where)

    def keep(self, secret: str, where: str) -> str:
        """Plants something that was made elsewhere."""
        self.words[secret.lower()] = where
        return secret

    def told_in(self, told: str | bytes) -> set[str]:
        """Where what is told here was planted; empty if it is harmless."""
        text = told if isinstance(told, str) else told.decode("latin-1")
        found = {where for form in _forms(text) for where in self._found(form)}
        if isinstance(told, bytes):
            found |= {
                where
                for form in _forms(told.decode("utf-8", "ignore"))
                for where in self._found(form)
            }
            found |= {where for digits, where in self.numbers.items() if _as_binary(digits, told)}
        return found

    def _digits(self, where: str) -> str:
        digits = f"{_AREA}{len(self.numbers):04d}"
        self.numbers[digits] = where
        return digits

    def _word(self, kind: str, where: str) -> str:
        word = f"canary{kind}{len(self.words):03d}x"
        self.words[word] = where
        return word

    def _found(self, text: str) -> Iterator[str]:
        lower = text.lower()
        yield from (where for word, where in self.words.items() if word in lower)
        joined = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text))
        if _AREA in joined:
            yield from (where for digits, where in self.numbers.items() if digits in joined)


def _forms(text: str) -> Iterator[str]:
    """The text, and what it says to those who decode it."""
    yield text
    yield unquote(unquote(text))
    yield html.unescape(text)
    yield _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    for word in map(_from_base64, _BASE64.findall(text)):
        yield word.decode("latin-1")
        yield unquote(unquote(word.decode("utf-8", "ignore")))


def _from_base64(word: str) -> bytes:
    bare = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""


def _as_binary(digits: str, told: bytes) -> bool:
    number = int(f"49{digits}")
    size = -(-number.bit_length() // 8)
    return number.to_bytes(size, "big") in told or number.to_bytes(size, "little") in told
