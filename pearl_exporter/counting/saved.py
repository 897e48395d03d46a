"""What is saved of one outbound between polls and over restarts. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.counting.outcome_history import OutcomeHistory

# The names under which a state of schema version 4 holds these fields.
_SAVED_AS = {"low_watermark": "edge", "unread_until": "unread_to"}


class Progress(msgspec.Struct, frozen=True, rename=_SAVED_AS):
    """How far one outbound was polled, and what it has counted.

    Attributes:
        tracking_since: T0, when the first good poll began.
        polled_at: T of the last good poll.
        low_watermark: Start before which calls are forgotten; catching up goes on from here.
        ledger: The counters.
        statuses: Unknown codes with a label of their own; likewise ``call_statuses``, ``tags``.
        tracked: How many calls are tracked.
        live: Calls that were going on, and where the oldest of them began.
        unread_until: End of the calls that an outage left unread, from ``low_watermark`` on.
        newest: Where the newest call ever read began; 0 before any.
        tag_rules: The rules by which the tags of the tracked calls got their labels.
        outcomes: The calls settled in the last hours, by outcome.
    """

    tracking_since: Instant
    polled_at: Instant
    low_watermark: Instant
    ledger: LedgerSnapshot
    statuses: tuple[int, ...]
    call_statuses: tuple[int, ...]
    tags: tuple[str, ...]
    tracked: int = 0
    live: int = 0
    oldest_live_start: Instant | None = None
    unread_until: Instant | None = None
    newest: Instant = 0
    tag_rules: str = ""
    outcomes: OutcomeHistory = OutcomeHistory()


class SavedOutbound(NamedTuple):
    """All that a tracker needs to go on where another one stopped: progress and blocks of calls."""

    progress: Progress
    blocks: dict[Instant, bytes]
    """By their keys; see `blocks`. A tracker takes them over and leaves nothing in it."""


class Delta(NamedTuple):
    """What changed since it was last saved; a block that is None is gone."""

    progress: Progress
    blocks: Mapping[Instant, bytes | None]
    journal: bytes | None = None
    """What became of calls in this poll, if anything did; see `journal`."""
    journal_from: Instant = 0
    """The entries of polls before it are of no use any more."""


_decode_progress = msgspec.msgpack.Decoder(Progress).decode


def encode_progress(progress: Progress) -> bytes:
    """Return the progress as MessagePack."""
    return msgspec.msgpack.encode(progress)


def decode_progress(content: bytes) -> Progress:
    """Return the progress that `encode_progress` wrote.

    Raises:
        ValueError: The content is damaged.
    """
    try:
        return _decode_progress(content)
    except msgspec.MsgspecError:
        raise ValueError("a saved progress is damaged") from None
