"""What happened to calls, poll by poll, so that ``explain`` can report on one call. Pure.

An entry says which calls a poll read for the first time, counted, gave up, missed or had back, and
which counted calls changed. The state keeps the entries of all polls until the calls are forgotten;
an id takes 12 bytes. The counted values are not stored: they are the current ones with the
revisions undone.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Call, CallValues, Instant
from pearl_exporter.counting.compact_ids import (
    CompactId,
    SavedIds,
    compact_id,
    loaded_ids,
    may_hold,
    saved_ids,
)
from pearl_exporter.text import is_unicode


class Revision(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A counted call that changed.

    Attributes:
        id: The call's id.
        before: Its values before the change, tags as labels.
        after: Its values after the change.
        is_counted: Whether the change counts as a revision. It does not if only the labels of the
            tags changed, because the tag rules did, or the order of the tags.
    """

    id: str
    before: CallValues
    after: CallValues
    is_counted: bool = True


class PollEntries(msgspec.Struct, array_like=True):
    """The entries of one good poll, as they are saved.

    Attributes:
        seen: Calls that were read for the first time.
        settled: Calls that were counted.
        lost: Calls that were given up, by reason.
        revised: Counted calls that changed.
        missing: Calls that this poll is the first to have missed.
        back: Calls that earlier polls had missed.
    """

    seen: SavedIds
    settled: SavedIds
    lost: dict[str, SavedIds]
    revised: list[Revision]
    missing: SavedIds = b""
    back: SavedIds = b""


class Absence(NamedTuple):
    """A time for which polls missed a call.

    Attributes:
        since: T of the first of these polls.
        until: T of the poll that had it again; None if no poll had.
    """

    since: Instant
    until: Instant | None = None


class CallHistory(NamedTuple):
    """What the journal holds of one call.

    Attributes:
        seen_at: T of the poll that read it first; None if the journal does not say.
        settled_at: T of the poll that counted it; None as above.
        lost_at: T of the poll that gave it up; None as above.
        lost_as: Why that poll gave it up; None as above.
        revisions: Its changes after it was counted, oldest first, each with T.
        settled_times: How many polls counted it: never more than one.
        absences: The times for which polls missed it, oldest first.
    """

    seen_at: Instant | None = None
    settled_at: Instant | None = None
    lost_at: Instant | None = None
    lost_as: str | None = None
    revisions: tuple[tuple[Instant, Revision], ...] = ()
    settled_times: int = 0
    absences: tuple[Absence, ...] = ()


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(PollEntries).decode


class Journal:
    """The entries of the poll that is being counted."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._seen: list[CompactId] = []
        self._settled: list[CompactId] = []
        self._lost: dict[str, list[CompactId]] = {}
        self._revised: list[Revision] = []
        self._missing: list[CompactId] = []
        self._back: list[CompactId] = []

    def add_seen(self, compacts: Iterable[CompactId]) -> None:
        """Note calls that were read for the first time."""
        self._seen.extend(compacts)

    def add_settled(self, call_id: str) -> None:
        """Note a call that was counted."""
        self._settled.append(compact_id(call_id))

    def add_lost(self, call_id: str, reason: str) -> None:
        """Note a call that was given up."""
        self._lost.setdefault(reason, []).append(compact_id(call_id))

    def add_missing(self, call_id: str) -> None:
        """Note a call that this poll is the first to have missed."""
        self._missing.append(compact_id(call_id))

    def add_back(self, call_id: str) -> None:
        """Note a call that earlier polls had missed."""
        self._back.append(compact_id(call_id))

    def add_revision(self, before: Call, after: Call, *, is_counted: bool) -> None:
        """Note a counted call that changed, if any of its values did; see `Revision`."""
        if before.values != after.values:
            self._revised.append(Revision(after.id, before.values, after.values, is_counted))

    def take(self) -> bytes | None:
        """Return the entries since the last call of this; None if there are none."""
        noted = (self._seen, self._settled, self._lost, self._revised, self._missing, self._back)
        if not any(noted):
            return None
        lost = {reason: saved_ids(compacts) for reason, compacts in self._lost.items()}
        entries = PollEntries(
            saved_ids(self._seen),
            saved_ids(self._settled),
            lost,
            self._revised,
            saved_ids(self._missing),
            saved_ids(self._back),
        )
        taken = _encode(entries)
        self._clear()
        return taken


def decode_entries(content: bytes) -> PollEntries:
    """Return the entries of one poll that `Journal.take` made.

    Raises:
        ValueError: They are damaged.
    """
    try:
        return _decode(content)
    except msgspec.MsgspecError:
        raise ValueError("the journal is damaged") from None


def history_of(call_id: str, entries: Iterable[tuple[Instant, bytes]]) -> CallHistory:
    """Return what the journal holds of a call.

    Args:
        call_id: The call's id.
        entries: T and the entries of each poll, in the order of the polls.

    Raises:
        ValueError: The journal is damaged.
    """
    if not is_unicode(call_id):
        return CallHistory()
    compact, history = compact_id(call_id), CallHistory()
    for at, content in entries:
        if not may_hold(content, call_id):
            continue
        poll = decode_entries(content)
        if compact in loaded_ids(poll.seen) and history.seen_at is None:
            history = history._replace(seen_at=at)
        if times := loaded_ids(poll.settled).count(compact):
            times += history.settled_times
            history = history._replace(settled_at=at, settled_times=times)
        for reason, ids in poll.lost.items():
            if compact in loaded_ids(ids):
                history = history._replace(lost_at=at, lost_as=reason)
        revised = tuple((at, each) for each in poll.revised if each.id == call_id)
        history = history._replace(revisions=history.revisions + revised)
        absences = history.absences
        if compact in loaded_ids(poll.back) and absences:
            absences = (*absences[:-1], absences[-1]._replace(until=at))
        if compact in loaded_ids(poll.missing):
            absences = (*absences, Absence(at))
        history = history._replace(absences=absences)
    return history
