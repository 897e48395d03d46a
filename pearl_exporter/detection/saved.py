"""What a detector saves, in pieces of an hour, so that a poll saves only what it has changed. Pure.

The bins of the starts of an hour are one piece, under the hour's first instant. The ends of
incidents are another one, under `ENDS`.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.detection.bins import hour_of
from pearl_exporter.detection.detector import Detector, SavedDetector

ENDS: Instant = 0

_decode_bins = msgspec.msgpack.Decoder(dict[int, list[int]]).decode
_decode_ends = msgspec.msgpack.Decoder(dict[str, int]).decode


def changed_pieces(detector: Detector) -> Mapping[Instant, bytes | None]:
    """Return the pieces that have changed since the last call of this; None for a gone one."""
    hours, ends = detector.take_changes()
    pieces = {hour: msgspec.msgpack.encode(bins) if bins else None for hour, bins in hours.items()}
    return pieces if ends is None else {**pieces, ENDS: msgspec.msgpack.encode(ends)}


def all_pieces(detector: Detector) -> Mapping[Instant, bytes]:
    """Return all that another detector needs to go on, in pieces."""
    bins, ends = detector.saved()
    hours: dict[Instant, dict[Instant, Sequence[int]]] = {}
    for start, counts in bins.items():
        hours.setdefault(hour_of(start), {})[start] = counts
    pieces = {hour: msgspec.msgpack.encode(each) for hour, each in hours.items()}
    return {**pieces, ENDS: msgspec.msgpack.encode(ends)} if ends else pieces


def joined_pieces(pieces: Iterable[tuple[Instant, bytes]]) -> SavedDetector:
    """Return what a detector goes on from.

    Args:
        pieces: Each piece as it was saved last, with its key.

    Raises:
        ValueError: A piece is damaged.
    """
    bins: dict[Instant, list[int]] = {}
    ends: Mapping[str, Instant] = {}
    try:
        for key, piece in pieces:
            if key == ENDS:
                ends = _decode_ends(piece)
            else:
                bins |= _decode_bins(piece)
    except msgspec.MsgspecError:
        raise ValueError("what a detector has saved is damaged") from None
    return SavedDetector(bins, ends)
