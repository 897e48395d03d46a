"""Which of the platform's outbounds are polled, and under which names. Pure.

`merge` adds what the platform lists to what is known, `select` decides by the configured rules. An
outbound has vanished only when several good answers in a row did not list it: one wrong answer must
not end its counting.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import NamedTuple

import msgspec

from pearl_exporter.api.decode_platform import PAUSED, SUSPENDED, Listing
from pearl_exporter.counting.labels import looks_personal
from pearl_exporter.patterns import Pattern
from pearl_exporter.text import has_control_characters, is_quotable

MAX_MISSES = 3
"""An outbound that this many good answers in a row did not list has vanished."""

MAX_NAME = 128
"""The longest name that becomes a label."""


class Selection(Enum):
    """What becomes of an outbound that the platform lists, or listed."""

    POLLED = "polled"
    CONFIGURED = "configured"
    EXCLUDED = "excluded"
    PAUSED = "paused"
    OVER_LIMIT = "over_limit"


class SelectionRules(msgspec.Struct, frozen=True):
    """The rules of the section ``discovery``.

    Attributes:
        include: An outbound is polled only if this fits its name or its id.
        exclude: An outbound is not polled if this fits its name or its id; empty excludes none.
        skips_paused: Whether a paused outbound is not polled once its calls have settled.
        keeps_vanished: Whether an outbound that is no longer listed is polled on.
        max_outbounds: The most outbounds to poll; the lowest ids win.
    """

    include: Pattern = Pattern(".*")
    exclude: Pattern = Pattern("")
    skips_paused: bool = False
    keeps_vanished: bool = False
    max_outbounds: int = 500


class KnownOutbound(msgspec.Struct, frozen=True):
    """An outbound that the platform listed.

    Attributes:
        id: Its id.
        name: Its name; None if it is only known that it was polled before a restart.
        status: Its status, None if unknown.
        misses: How many good answers in a row have not listed it since.
    """

    id: str
    name: str | None
    status: int | None = None
    misses: int = 0


class Polled(NamedTuple):
    """What is polled now.

    Attributes:
        configured: The names of the configured outbounds, by id.
        unsettled: The ids of outbounds that may have calls that have not settled.
    """

    configured: Mapping[str, str]
    unsettled: AbstractSet[str] = frozenset()


class SelectedOutbound(NamedTuple):
    """What was decided about one outbound; ``label`` is what metrics call it."""

    outbound: KnownOutbound
    label: str
    selection: Selection


def merge(
    known: Iterable[KnownOutbound], listing: Listing, rules: SelectionRules
) -> tuple[KnownOutbound, ...]:
    """Return what is known after a good answer.

    Args:
        known: What was known before it.
        listing: The answer.
        rules: Whether vanished outbounds are kept.
    """
    now = {each.id: KnownOutbound(each.id, each.name, each.status) for each in listing.outbounds}
    missed = 1 if listing.is_whole else 0
    for old in known:
        new = now.get(old.id)
        if new is not None and not new.name:
            # a field that is missing for once must not look like a rename
            now[old.id] = msgspec.structs.replace(new, name=old.name)
        elif new is None:
            gone = msgspec.structs.replace(old, misses=old.misses + missed)
            # also excluded outbounds: the rules may change, and they are few
            if rules.keeps_vanished or gone.misses < MAX_MISSES:
                now[old.id] = gone
    return tuple(sorted(now.values(), key=lambda each: each.id))


def select(
    known: Iterable[KnownOutbound], rules: SelectionRules, polled: Polled
) -> tuple[SelectedOutbound, ...]:
    """Decide about every known outbound.

    The result depends on what is known, not on the order in which it came.

    Args:
        known: All outbounds that are known.
        rules: The configured rules.
        polled: What is polled now.

    Returns:
        All known outbounds, in the order of their ids.
    """
    listed = sorted(known, key=lambda each: each.id)
    chosen = [each for each in listed if each.id not in polled.configured and _fits(each, rules)]
    labels = dict(_labels(chosen, {each.id for each in listed}, polled.configured))
    selections = dict(_selections(chosen, rules, polled.unsettled))
    return tuple(
        SelectedOutbound(
            each,
            polled.configured.get(each.id) or labels.get(each.id) or shown_name(each) or each.id,
            Selection.CONFIGURED
            if each.id in polled.configured
            else selections.get(each.id, Selection.EXCLUDED),
        )
        for each in listed
    )


def shown_name(outbound: KnownOutbound) -> str:
    """Return the platform's name of an outbound, empty if it can't be a label.

    It is free text: what looks like a phone number or an e-mail address is never shown.
    """
    name = (outbound.name or "").strip()
    if len(name) > MAX_NAME or looks_personal(name):
        return ""
    if has_control_characters(name) or not is_quotable(name):
        return ""
    return name


def _fits(outbound: KnownOutbound, rules: SelectionRules) -> bool:
    """Return whether ``include`` fits name or id, and ``exclude`` fits neither."""
    named = [outbound.id] if outbound.name is None else [outbound.id, outbound.name]
    if rules.exclude.pattern and any(map(rules.exclude.matches, named)):
        return False
    # polled before a restart under a name that was not saved: it still is
    return outbound.name is None or any(map(rules.include.matches, named))


def _selections(
    chosen: Iterable[KnownOutbound], rules: SelectionRules, unsettled: AbstractSet[str]
) -> Iterator[tuple[str, Selection]]:
    polled = 0
    for each in chosen:
        is_paused = each.status in (PAUSED, SUSPENDED)
        if rules.skips_paused and is_paused and each.id not in unsettled:
            yield each.id, Selection.PAUSED
        elif polled >= rules.max_outbounds:
            yield each.id, Selection.OVER_LIMIT
        else:
            polled += 1
            yield each.id, Selection.POLLED


def _labels(
    chosen: Iterable[KnownOutbound], ids: AbstractSet[str], configured: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each id and its label: the name of the first outbound that has it, else the id.

    Ids are in the order in which the platform makes them, so a new outbound takes no old one's
    name. All labels differ.
    """
    taken = {*configured.values(), *configured}
    next_number: dict[str, int] = {}
    for each in chosen:
        label = shown_name(each)
        if not label or label in taken or (label in ids and label != each.id):
            label = each.id
        start = each.id[: MAX_NAME - 8]
        while label in taken:
            # one goes on where another one with this start has stopped: from 2 on each would try
            # all numbers that are taken
            number = next_number.get(start, 2)
            label, next_number[start] = f"{start}-{number}", number + 1
        taken.add(label)
        yield each.id, label
