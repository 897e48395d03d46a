"""What became of calls, poll by poll: kept so that one call can be explained later. Pure.

An entry takes 12 bytes where the id is one of the platform's. As what a call was counted is not
written down: it is what the call is now, before its revisions.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant, Outcome
from pearl_exporter.counting.compact_ids import (
    CompactId,
    compact_id,
    compact_ids,
    cut,
    full_id,
    joined_or_full,
    may_hold,
)
from pearl_exporter.counting.packing import CallValues
from pearl_exporter.text import is_unicode

Ids = bytes | list[str]
"""As `joined_or_full` has them."""


class Revision(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A counted call that changed: its values before and after, the tags as labels.

    Where ``is_counted`` is false, only the labels of its tags changed, or their order.
    """

    id: str
    before: CallValues
    after: CallValues
    is_counted: bool = True


class _SavedEntries(msgspec.Struct, array_like=True):
    """One good poll's entries."""

    seen: Ids
    settled: Ids
    lost: dict[str, Ids]
    revised: list[Revision]


class CallHistory(NamedTuple):
    """What the journal tells of one call.

    Attributes:
        seen_at: T of the poll that read it first; this and the others None if that is not told.
        settled_at: T of the poll that counted it.
        lost_at: T of the poll that gave it up, and ``lost_as`` the reason.
        revisions: What changed after it was counted, with T, in that order.
        settled_times: How many polls say that they counted it: never more than one.
    """

    seen_at: Instant | None = None
    settled_at: Instant | None = None
    lost_at: Instant | None = None
    lost_as: str | None = None
    revisions: tuple[tuple[Instant, Revision], ...] = ()
    settled_times: int = 0


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(_SavedEntries).decode


class Journal:
    """Collects the entries of one poll."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._seen: list[CompactId] = []
        self._settled: list[CompactId] = []
        self._lost: dict[str, list[CompactId]] = {}
        self._revised: list[Revision] = []

    def see(self, compacts: Iterable[CompactId]) -> None:
        """Calls that were read for the first time."""
        self._seen.extend(compacts)

    def settle(self, call_id: str) -> None:
        """A call that was counted."""
        self._settled.append(compact_id(call_id))

    def lose(self, call_id: str, reason: str) -> None:
        """A call that was given up."""
        self._lost.setdefault(reason, []).append(compact_id(call_id))

    def revise(self, call_id: str, before: Outcome, after: Outcome, *, is_counted: bool) -> None:
        """A counted call that changed; nothing if none of its values did."""
        was, is_ = values_of(before), values_of(after)
        if was != is_:
            self._revised.append(Revision(call_id, was, is_, is_counted))

    def take(self) -> bytes | None:
        """The entries since this was last asked; None if there are none."""
        if not (self._seen or self._settled or self._lost or self._revised):
            return None
        lost = {reason: joined_or_full(compacts) for reason, compacts in self._lost.items()}
        seen, settled = joined_or_full(self._seen), joined_or_full(self._settled)
        taken = _encode(_SavedEntries(seen, settled, lost, self._revised))
        self._clear()
        return taken


def values_of(call: Outcome) -> CallValues:
    """What is published of a call besides its id and start."""
    return (call.status, call.call_status, call.duration, call.tags)


def history_of(call_id: str, entries: Iterable[tuple[Instant, bytes]]) -> CallHistory:
    """What the journal, in the order of the polls, tells of a call.

    Raises ValueError if it is damaged.
    """
    if not is_unicode(call_id):
        return CallHistory()
    compact, told = compact_id(call_id), CallHistory()
    for at, content in entries:
        if not may_hold(content, call_id):
            continue
        saved = _read(content)
        if compact in _compact_ids_of(saved.seen) and told.seen_at is None:
            told = told._replace(seen_at=at)
        if times := _compact_ids_of(saved.settled).count(compact):
            told = told._replace(settled_at=at, settled_times=told.settled_times + times)
        for reason, ids in saved.lost.items():
            if compact in _compact_ids_of(ids):
                told = told._replace(lost_at=at, lost_as=reason)
        revised = tuple((at, each) for each in saved.revised if each.id == call_id)
        told = told._replace(revisions=told.revisions + revised)
    return told


def settled_in(content: bytes) -> Iterator[str]:
    """The ids that one poll's entries say were counted; raises ValueError if it is damaged."""
    return map(full_id, _compact_ids_of(_read(content).settled))


def _read(content: bytes) -> _SavedEntries:
    try:
        return _decode(content)
    except msgspec.MsgspecError:
        raise ValueError("the journal is damaged") from None


def _compact_ids_of(ids: Ids) -> list[CompactId]:
    return [*cut(ids)] if isinstance(ids, bytes) else compact_ids(ids)
