"""Which of the platform's outbounds are polled, and what they are called. Pure.

`merge` takes what the platform lists into what is known, `select` decides by the configured rules.
An outbound is gone only when several good answers in a row did not list it: one odd answer must
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
from pearl_exporter.text import has_control_characters

MISSES = 3
"""So many good answers in a row must have left an outbound out before it counts as vanished."""

MAX_NAME = 128


class Selection(Enum):
    """What becomes of an outbound that the platform lists, or listed."""

    POLLED = "polled"
    CONFIGURED = "configured"
    EXCLUDED = "excluded"
    PAUSED = "paused"
    OVER_LIMIT = "over_limit"


class SelectionRules(msgspec.Struct, frozen=True):
    """What the section ``discovery`` says."""

    include: Pattern = Pattern(".*")
    exclude: Pattern = Pattern("")
    skips_paused: bool = False
    keeps_vanished: bool = False
    max_outbounds: int = 500


class KnownOutbound(msgspec.Struct, frozen=True):
    """An outbound that the platform listed.

    Attributes:
        id: Its id.
        name: As it is there; None where it is only known that it was chosen before a restart.
        status: Its status, None if unknown.
        misses: How many good answers in a row have left it out since.
    """

    id: str
    name: str | None
    status: int | None = None
    misses: int = 0


class Polled(NamedTuple):
    """What is polled now: the configured names by id, and who still has calls to settle."""

    configured: Mapping[str, str]
    unsettled: AbstractSet[str] = frozenset()


class SelectedOutbound(NamedTuple):
    """What was decided of one outbound; ``label`` is what it is called here."""

    outbound: KnownOutbound
    label: str
    selection: Selection


def merge(
    known: Iterable[KnownOutbound], listing: Listing, rules: SelectionRules
) -> tuple[KnownOutbound, ...]:
    """What is known after a good answer; who vanished is left out, or kept if the rules say so."""
    now = {each.id: KnownOutbound(each.id, each.name, each.status) for each in listing.outbounds}
    missed = 1 if listing.is_whole else 0
    for old in known:
        new = now.get(old.id)
        if new is not None and not new.name:
            # a field that is missing for once must not look like a rename
            now[old.id] = msgspec.structs.replace(new, name=old.name)
        elif new is None:
            gone = msgspec.structs.replace(old, misses=old.misses + missed)
            # excluded ones too: the rules may change, and they are few
            if rules.keeps_vanished or gone.misses < MISSES:
                now[old.id] = gone
    return tuple(sorted(now.values(), key=lambda each: each.id))


def select(
    known: Iterable[KnownOutbound], rules: SelectionRules, polled: Polled
) -> tuple[SelectedOutbound, ...]:
    """Decides of every known outbound, in the order of their ids.

    The answer depends on what is known alone, not on the order in which it came.
    """
    listed = sorted(known, key=lambda each: each.id)
    chosen = [each for each in listed if each.id not in polled.configured and _fits(each, rules)]
    labels = dict(_labels(chosen, {each.id for each in listed}, polled.configured))
    verdicts = dict(_verdicts(chosen, rules, polled.unsettled))
    return tuple(
        SelectedOutbound(
            each,
            polled.configured.get(each.id) or labels.get(each.id) or shown_name(each) or each.id,
            Selection.CONFIGURED
            if each.id in polled.configured
            else verdicts.get(each.id, Selection.EXCLUDED),
        )
        for each in listed
    )


def shown_name(outbound: KnownOutbound) -> str:
    """The platform's name, or nothing where it can't be a label.

    It is free text: what looks like a phone number or an e-mail address is never shown.
    """
    name = (outbound.name or "").strip()
    if len(name) > MAX_NAME or looks_personal(name):
        return ""
    if has_control_characters(name):
        return ""
    return name


def _fits(outbound: KnownOutbound, rules: SelectionRules) -> bool:
    """Whether name or id fit ``include``, and neither fits ``exclude``."""
    named = [outbound.id] if outbound.name is None else [outbound.id, outbound.name]
    if rules.exclude.pattern and any(map(rules.exclude.matches, named)):
        return False
    # one that was chosen before a restart, under a name that was not kept, is chosen still
    return outbound.name is None or any(map(rules.include.matches, named))


def _verdicts(
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
    """A label for each, unlike all others: the name of the first that bears it, else the id.

    By the order of ids, in which the platform makes them: a newcomer takes nobody's name.
    """
    taken = {*configured.values(), *configured}
    for each in chosen:
        label = shown_name(each)
        if not label or label in taken or label in ids - {each.id}:
            label = each.id
        number = 2
        while label in taken:
            label, number = f"{each.id[: MAX_NAME - 8]}-{number}", number + 1
        taken.add(label)
        yield each.id, label
