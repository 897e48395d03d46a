"""Which label values an outbound may have, for its calls' codes and tags. Pure.

The number of series is bounded: the first values that come are *admitted* and have a label of their
own, for good; the others are *folded* into one label. A counter must not change its meaning, so an
admitted value stays admitted, and a folded value stays folded while the rules stay.

A tag is free text of customers. A tag that looks like a phone number or an e-mail address is folded
before anything else reads it.
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
"""The label of all folded tags."""

MAX_TAG_LENGTH = 128
"""Characters of the longest tag that is admitted."""

MAX_UNKNOWN_CODES = 20
"""How many unknown codes of one field are admitted."""

MAX_TAGS_OF_A_CALL = 100
"""How many different tags of one call are looked at; all further ones together are one `OTHER`."""

MAX_FOLDED_REMEMBERED = 10_000
"""How many different folded tags are counted; beyond that, `TagLabels.folded` stands still."""

MAX_REFUSED_REMEMBERED = 10_000
"""Of how many tags that the rules refuse this is remembered. Of others it is found out again."""

_EMAIL = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_AMOUNT = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PHONE = re.compile(r"\d(?:[\s()\[\].,:;\-/·•_|*~+‐‒–—―−'’#=\\⁄]{0,6}\d){6,}")
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
    # a date, a span of dates or a pair of years, if it is not part of a longer number
    rf"(?<![\d+])(?<!\d[-./])(?:(?:{_DATE})(?:\s?[-–]\s?(?:{_DATE}))?|{_YEAR}\s?[-–/]\s?{_YEAR})"
    r"(?![-./]?\d)"
)
_INVISIBLE = frozenset({"Cf", "Mn", "Me"})
"""Unicode categories of characters without a width of their own, which may hide between digits."""


class TagRules(msgspec.Struct, frozen=True):
    """Which tags of an outbound are admitted.

    Attributes:
        max_tags: How many, at most.
        include: What a tag must match.
        exclude: What a tag must not match; empty excludes none.
    """

    max_tags: int = 100
    include: Pattern = Pattern(".*")
    exclude: Pattern = Pattern("")

    @property
    def text(self) -> str:
        """The rules in one line. Calls labelled under equal texts have equal labels."""
        return f"{self.max_tags} {self.include.pattern!r} {self.exclude.pattern!r}"


def looks_personal(tag: str) -> bool:
    """Return whether a tag may hold a phone number or an e-mail address.

    Seven or more digits, with the usual separators between them, are taken for a phone number,
    unless they are a date such as 2026-11-23 or 23.11.2026, years such as 2025/2026, or an amount
    such as 1,000,000. 20251130
    may be either, so it is taken for a phone number. Digits and signs of other scripts count as
    well, and so do percent-encoded ones.
    """
    text = unicodedata.normalize("NFKC", unquote(tag))
    text = "".join(each for each in text if unicodedata.category(each) not in _INVISIBLE)
    if "@" in text and _EMAIL.search(text):
        return True
    return _PHONE.search(_AMOUNT.sub(" amount ", _DATES.sub(" date ", text))) is not None


class TagLabels:
    """The labels of one outbound's tags.

    Whether a tag is admitted takes about 10 µs to find out, so it is found out once. Tags that are
    folded are remembered by their hashes, which are salted for each process: the tags themselves
    cannot be recovered from them.
    """

    def __init__(self, rules: TagRules, admitted: Iterable[str] = ()) -> None:
        """Go on with the labels that were admitted before, or with none."""
        self._rules = rules
        self._labels: dict[str, str] = {tag: tag for tag in admitted}
        self._folded: set[int] = set()
        self._refused: set[int] = set()

    @property
    def admitted(self) -> tuple[str, ...]:
        """Every label ever given, in the order in which they came, `OTHER` included."""
        return tuple(self._labels)

    @property
    def folded(self) -> int:
        """How many different tags were folded because ``max_tags`` others had come before."""
        return len(self._folded)

    def of(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the labels of a call's tags, each once; all its folded tags are one `OTHER`."""
        known = self._labels
        return tuple(dict.fromkeys(known.get(tag) or self._admit(tag) for tag in tags))

    def _admit(self, tag: str) -> str:
        label = tag if self._is_admissible(tag, hash(tag)) else OTHER
        return self._labels.setdefault(label, label)

    def _is_admissible(self, tag: str, number: int) -> bool:
        """Return whether a new tag gets a label of its own; remember the tag if it does not.

        Args:
            tag: The tag, which has no label yet.
            number: Its hash.
        """
        if number in self._refused or number in self._folded:
            return False
        has_room = len(self._labels) - (OTHER in self._labels) < self._rules.max_tags
        if not has_room and len(self._folded) >= MAX_FOLDED_REMEMBERED:
            return False  # folded in any case, and no longer counted
        if not self._is_allowed(tag):
            if len(self._refused) < MAX_REFUSED_REMEMBERED:
                self._refused.add(number)
            return False
        if not has_room:
            self._folded.add(number)
        return has_room

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


class CodeLabels:
    """The labels of one code field of one outbound: documented codes, and some unknown ones."""

    def __init__(
        self,
        known: Mapping[int, str],
        name: Callable[[int | None], str],
        admitted: Iterable[int] = (),
    ) -> None:
        """Go on with the unknown codes that were admitted before, or with none.

        Args:
            known: The labels of documented codes.
            name: Returns the label of any code.
            admitted: The unknown codes that have a label of their own.
        """
        self._name = name
        self._known = known
        self._unknown: dict[int, str] = {code: name(code) for code in admitted}

    @property
    def admitted(self) -> tuple[int, ...]:
        """The unknown codes that have a label of their own, in the order in which they came."""
        return tuple(self._unknown)

    def of(self, code: int | None) -> str:
        """Return the label of a code, which is admitted if fewer than `MAX_UNKNOWN_CODES` are."""
        if code is None:
            return UNKNOWN
        label = self._known.get(code) or self._unknown.get(code)
        return label or self._admit(code)

    def _admit(self, code: int) -> str:
        if len(self._unknown) >= MAX_UNKNOWN_CODES:
            return UNKNOWN
        return self._unknown.setdefault(code, self._name(code))


def status_labels(admitted: Iterable[int] = ()) -> CodeLabels:
    """Return the labels of ``conversationStatus``, with the unknown codes admitted before."""
    return CodeLabels(STATUS_LABELS, status_label, admitted)


def call_status_labels(admitted: Iterable[int] = ()) -> CodeLabels:
    """Return the labels of the row's own ``status``, with the unknown codes admitted before."""
    return CodeLabels({**STATUS_LABELS, **CALL_STATUS_LABELS}, call_status_label, admitted)
