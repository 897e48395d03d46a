"""A record of what each committed poll has read, made inside the exporter and read afterwards.

The record is a file with one line of JSON for each poll. The oracle recounts from it what the
exporter must publish.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.observation import Observation
from pearl_exporter.counting.tracker import Applied, Tracker


class RecordedPoll(msgspec.Struct):
    """A poll that was committed. Moments are in milliseconds.

    Attributes:
        outbound: Id of the outbound.
        now: T, the moment as of which it reads.
        read_until: This machine's clock when all was read.
        window_ms: The window in force.
        ranges: The ranges ``[start, end)`` that it read whole.
        rows: The rows that it read.
        unread: Where the calls begin that an outage has left unread, if there are any.
        unreadable_ids: Ids of rows that could not be decoded.
        is_contradicted: Whether other answers had calls that it has missed.
    """

    outbound: str
    now: int
    read_until: int
    window_ms: int
    ranges: list[tuple[int, int]]
    rows: list[Call]
    unread: int | None
    unreadable_ids: frozenset[str]
    is_contradicted: bool = False


Write = Callable[[RecordedPoll], None]

_applied: ContextVar[RecordedPoll | None] = ContextVar("_applied", default=None)
"""What the current task has applied to a tracker and not committed yet."""


class RecordingStore:
    """A store that writes a record of each poll once its commit has succeeded."""

    def __init__(self, store: Any, write: Write) -> None:
        self._store = store
        self._write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, outbound_id: str, delta: Any) -> None:
        """Commit, then write the record of what this task has applied."""
        await self._store.commit(outbound_id, delta)
        poll = _applied.get()
        assert poll is not None
        # let go of: a timer that the task starts copies the context, and would keep the rows
        _applied.set(None)
        poll.outbound = outbound_id
        self._write(poll)


@contextmanager
def recording_trackers() -> Iterator[None]:
    """Let trackers remember, for `RecordingStore`, what they apply, until the block ends."""
    original = Tracker.apply

    def apply(tracker: Tracker, observation: Observation, *, now: int, max_gap_ms: int) -> Applied:
        applied = original(tracker, observation, now=now, max_gap_ms=max_gap_ms)
        unread = observation.unread
        _applied.set(
            RecordedPoll(
                outbound="",
                now=now,
                read_until=round(time.time() * 1000),
                window_ms=tracker.rules.window_ms,
                ranges=list(observation.ranges),
                rows=list(observation.rows),
                unread=None if unread is None else unread[0],
                unreadable_ids=observation.unreadable_ids,
                is_contradicted=observation.is_contradicted,
            )
        )
        return applied

    Tracker.apply = apply  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Tracker.apply = original  # type: ignore[method-assign]


def read_polls(file: Path) -> dict[str, list[RecordedPoll]]:
    """Return the recorded polls by outbound id, in their order."""
    found: dict[str, list[RecordedPoll]] = {}
    decode = msgspec.json.Decoder(RecordedPoll).decode
    with file.open("rb") as lines:
        for line in lines:
            poll = decode(line)
            found.setdefault(poll.outbound, []).append(poll)
    return found
