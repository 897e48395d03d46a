"""Which label values an outbound may have: codes and tags, first come, first served, for good.

A counter must never change its meaning, so a value that was admitted stays, and one that was
folded stays folded. A tag is customers' free text: what looks like a phone number or an e-mail
address is folded before anything else sees it. Pure.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote

import msgspec

from pearl_exporter.counting.calls import (
    CALL_STATUS_LABELS,
    STATUS_LABELS,
    UNKNOWN,
    call_status_label,
    status_label,
)
from pearl_exporter.patterns import Pattern
from pearl_exporter.text import is_unicode

OTHER = "_other"
"""The label of all tags that have no series of their own."""

MAX_TAG_LENGTH = 128
MAX_UNKNOWN_CODES = 20
MAX_FOLDED_REMEMBERED = 10_000
"""How many different folded tags are told apart; beyond it `TagLabels.folded` stands still."""

_EMAIL = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_PHONE = re.compile(r"\d(?:[\s()\[\].\-/·•_|*~+‐‒–—―−]{0,4}\d){6,}")
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = "|".join(
    ("(?:" + r"\s?[-./]\s?".join(parts) + ")")
    for parts in (
        (_YEAR, _MONTH, _DAY),
        (_DAY, _MONTH, _YEAR),
        (_MONTH, _DAY, _YEAR),
    )
)
_DATES = re.compile(
    # dates and pairs of years, alone or from one to another, that are no part of a longer number
    rf"(?<![\d+])(?<!\d[-./])(?:(?:{_DATE})(?:\s?[-–]\s?(?:{_DATE}))?|{_YEAR}\s?[-–/]\s?{_YEAR})"
    r"(?![-./]?\d)"
)
_INVISIBLE = frozenset({"Cf", "Mn", "Me"})
"""Categories of characters that take no room of their own, so that digits stand side by side."""


class TagRules(msgspec.Struct, frozen=True):
    """What ``metrics.max_tags``, ``tag_include`` and ``tag_exclude`` say."""

    max_tags: int = 100
    include: Pattern = Pattern(".*")
    exclude: Pattern = Pattern("")

    @property
    def text(self) -> str:
        """The rules in one line: equal texts, equal labels."""
        return f"{self.max_tags} {self.include.pattern!r} {self.exclude.pattern!r}"


def looks_personal(tag: str) -> bool:
    """Whether a tag may hold a phone number or an e-mail address.

    Seven digits or more, with what people put between them, pass for a phone number, unless they
    are a date such as 2026-11-23 or 23.11.2026, or years such as 2025/2026; 20251130 may be
    either, so it is folded. Digits and signs of other scripts count as well, and so does what is
    percent-encoded.
    """
    text = unicodedata.normalize("NFKC", unquote(tag))
    text = "".join(each for each in text if unicodedata.category(each) not in _INVISIBLE)
    if "@" in text and _EMAIL.search(text):
        return True
    return _PHONE.search(_DATES.sub(" date ", text)) is not None


class TagLabels:
    """The tags of one outbound that have a series of their own, in the order of their coming."""

    def __init__(self, rules: TagRules, admitted: Iterable[str] = ()) -> None:
        self._rules = rules
        self._labels: dict[str, str] = {tag: tag for tag in admitted}
        self._folded: set[int] = set()

    @property
    def admitted(self) -> tuple[str, ...]:
        """Every label ever given, ``_other`` included."""
        return tuple(self._labels)

    @property
    def folded(self) -> int:
        """How many different tags were folded because ``max_tags`` others came first."""
        return len(self._folded)

    def of(self, tags: Iterable[str]) -> tuple[str, ...]:
        """The labels of a call's tags, each once; a call's folded tags are one ``_other``."""
        known = self._labels
        return tuple(dict.fromkeys(known.get(tag) or self._admit(tag) for tag in tags))

    def _admit(self, tag: str) -> str:
        label = tag if self._is_allowed(tag) and self._has_room(tag) else OTHER
        return self._labels.setdefault(label, label)

    def _is_allowed(self, tag: str) -> bool:
        return (
            tag != OTHER
            and len(tag) <= MAX_TAG_LENGTH
            and is_unicode(tag)
            and self._rules.include.matches(tag)
            and not self._is_excluded(tag)
            and not looks_personal(tag)
        )

    def _is_excluded(self, tag: str) -> bool:
        exclude = self._rules.exclude
        return bool(exclude.pattern) and exclude.matches(tag)

    def _has_room(self, tag: str) -> bool:
        if len(self._labels) - (OTHER in self._labels) < self._rules.max_tags:
            return True
        if len(self._folded) < MAX_FOLDED_REMEMBERED:
            # hash() is salted for each process, so the tag itself can't be had back from it
            self._folded.add(hash(tag))
        return False


class CodeLabels:
    """The labels of one code field of one outbound: the documented ones, and twenty unknown."""

    def __init__(
        self,
        known: Mapping[int, str],
        name: Callable[[int | None], str],
        admitted: Iterable[int] = (),
    ) -> None:
        self._name = name
        self._known = known
        self._unknown: dict[int, str] = {code: name(code) for code in admitted}

    @property
    def admitted(self) -> tuple[int, ...]:
        """The unknown codes that have a label of their own, in the order of their coming."""
        return tuple(self._unknown)

    def of(self, code: int | None) -> str:
        """The label of a code, admitting it if there is room."""
        if code is None:
            return UNKNOWN
        label = self._known.get(code) or self._unknown.get(code)
        return label or self._admit(code)

    def _admit(self, code: int) -> str:
        if len(self._unknown) >= MAX_UNKNOWN_CODES:
            return UNKNOWN
        return self._unknown.setdefault(code, self._name(code))


def status_labels(admitted: Iterable[int] = ()) -> CodeLabels:
    """The labels of ``conversationStatus``."""
    return CodeLabels(STATUS_LABELS, status_label, admitted)


def call_status_labels(admitted: Iterable[int] = ()) -> CodeLabels:
    """The labels of the row's own ``status``."""
    return CodeLabels({**STATUS_LABELS, **CALL_STATUS_LABELS}, call_status_label, admitted)
