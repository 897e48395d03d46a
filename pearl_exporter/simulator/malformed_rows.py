"""Rows that no documentation foresees: fields that are missing, null or of a wrong type."""

from typing import Any

from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.row_writer import CallRow
from pearl_exporter.simulator.splitmix import splitmix64


def malformed_row(row: CallRow, variant: int) -> Any:
    """Return what is served in place of ``row``; ``variant``, any number, chooses how it is wrong.

    The first six variants have no usable id or start, so that nobody can count their calls.
    """
    variants: tuple[Any, ...] = (
        row | {"id": None},
        {name: value for name, value in row.items() if name != "id"},
        {name: value for name, value in row.items() if name != "startTime"},
        row | {"startTime": "yesterday"},
        row | {"startTime": None},
        None,
        row | {"duration": str(row["duration"])},
        row | {"duration": None, "from": 15550100},
        row | {"conversationStatus": "Complete"},
        row | {"status": None, "extra": {"nested": []}},
        row | {"tags": "a tag"},
        row | {"tags": [None, 7, {"name": "x"}]},
    )
    return variants[variant % len(variants)]


def variant_of(call: CallLife, share: float) -> int | None:
    """Return the call's variant of `malformed_row`, None if its row is well-formed.

    Drawn from the call's number, so that the same rows are malformed in every answer.

    Args:
        call: The call.
        share: Share of the rows that are malformed, 0 to 1.
    """
    bits = splitmix64(call.number ^ 0x0DD)
    return bits >> 32 if (bits & 0xFFFF) / 0x10000 < share else None
