"""What is saved of one outbound, so that counting goes on after a restart. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.counting.outcome_history import OutcomeHistory

# The names under which a state of schema version 4 holds these fields.
_SAVED_AS = {"low_watermark": "edge", "unread_until": "unread_to"}


class Progress(msgspec.Struct, frozen=True, rename=_SAVED_AS):
    """How far one outbound was polled, and what was counted. Instants are in milliseconds.

    Attributes:
        tracking_since: T0, when the first good poll began.
        polled_at: T of the last good poll.
        low_watermark: Start before which done calls are forgotten. If an outage left calls unread,
            they begin here.
        ledger: The counters.
        statuses: Unknown outcome codes that have a label of their own.
        call_statuses: Unknown telephony codes that have a label of their own.
        tags: The labels of tags.
        tracked: How many calls are tracked.
        live: How many of them are live.
        oldest_live_start: When the oldest live call began; None if there is none.
        unread_until: Where the calls that an outage left unread end; None if there are none.
        newest: When the newest call ever read began; 0 if none was read.
        tag_rules: The tag rules by which the tracked calls got their labels, as
            `labels.TagRules.text`; `SEVERAL_TAG_RULES` if they got them by more than one.
        outcomes: The calls that settled in the last hours, by outcome.
        missing: How many tracked calls are missing.
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
    missing: int = 0


class SavedOutbound(NamedTuple):
    """All that a tracker needs to go on where another one stopped.

    Attributes:
        progress: The counters, and how far the outbound was polled.
        blocks: The tracked calls, in the form of `blocks`, by the blocks' keys. The tracker empties
            this while it loads, so that the memory of a block can serve the next one.
        signals: What is learned of the calls' shares, by hour, in the form of `detection.saved`.
    """

    progress: Progress
    blocks: dict[Instant, bytes]
    signals: Mapping[Instant, bytes] = MappingProxyType({})


class Delta(NamedTuple):
    """What one poll changed: what is to be saved, in one transaction.

    Attributes:
        progress: Replaces the saved one.
        blocks: The blocks that changed, by key; None for a block that is gone.
        journal: The poll's entries, in the form of `journal`; None if there are none.
        journal_from: Entries of polls before this T are about forgotten calls alone.
        signals: What has changed of what is learned, by hour; None for an hour that is forgotten.
    """

    progress: Progress
    blocks: Mapping[Instant, bytes | None]
    journal: bytes | None = None
    journal_from: Instant = 0
    signals: Mapping[Instant, bytes | None] = MappingProxyType({})


SEVERAL_TAG_RULES = "several"
"""Stored in place of the rules while calls are labelled by more than one set of tag rules."""


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
