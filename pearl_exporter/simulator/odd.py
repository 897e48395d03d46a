"""Rows of a wrong form, as no documentation foresees them."""

from typing import Any

from pearl_exporter.simulator.life import CallLife, Row, spin

USELESS = 6
"""The first so many kinds lose the row's id or start: such a row can't be counted by anyone."""


def odd_row(row: Row, kind: int) -> Any:
    """Return what is served in the place of ``row``; ``kind`` (any number) chooses the oddity."""
    spoils: tuple[Any, ...] = (
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
    return spoils[kind % len(spoils)]


def odd_kind(call: CallLife, share: float) -> int | None:
    """Return which oddity the call's row always has while ``share`` of them are odd, or None."""
    bits = spin(call.number ^ 0x0DD)
    return bits >> 32 if (bits & 0xFFFF) / 0x10000 < share else None
