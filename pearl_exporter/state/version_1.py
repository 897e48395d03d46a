"""The tables of a state of version 1, a row a call, and how its calls become blocks."""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    func,
    select,
)

from pearl_exporter.counting.blocks import encode_block
from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.compact_ids import CompactId, compact_ids
from pearl_exporter.counting.packing import KindTable
from pearl_exporter.counting.saved import Progress
from pearl_exporter.counting.start_index import StartIndex
from pearl_exporter.counting.tracked_call import CallPhase, PackedOrTracked, TrackedCall, entry_of

_decode_progress = msgspec.msgpack.Decoder(Progress).decode
_decode_tags = msgspec.json.Decoder(tuple[str, ...]).decode


metadata = MetaData()

Table("pearl_exporter_schema", metadata, Column("version", Integer, nullable=False))

Table(
    "outbounds",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("progress", LargeBinary, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("outbound", Integer, ForeignKey("outbounds.number"), primary_key=True),
    Column("id", String, primary_key=True),
    Column("start", BigInteger, nullable=False),
    Column("status", Integer),
    Column("call_status", Integer),
    Column("duration", Float, nullable=False),
    Column("tags", Text),
    Column("phase", SmallInteger, nullable=False),
    Column("seen_live_at", BigInteger),
    Column("in_window", Boolean, nullable=False),
    Column("is_absent", Boolean, nullable=False),
    Column("odd_codes", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)


def with_newest(connection: Connection, outbound: int, progress: bytes) -> bytes:
    """Its progress, told where the newest call began: as late as it may have been."""
    known = _decode_progress(progress)
    newest = connection.scalar(select(func.max(calls.c.start)).where(calls.c.outbound == outbound))
    changed = msgspec.structs.replace(known, newest=max(known.low_watermark, newest or 0))
    return msgspec.msgpack.encode(changed)


def blocks_of(connection: Connection, outbound: int) -> Iterator[tuple[Instant, bytes]]:
    """The calls of one outbound as blocks, by key."""
    kinds, index = KindTable(), StartIndex[CompactId, PackedOrTracked]()
    rows = connection.execute(
        select(calls).where(calls.c.outbound == outbound).order_by(calls.c.start)
    )
    tracked = list(map(_tracked, rows))
    index.fill(
        compact_ids([each.call.id for each in tracked]),
        [each.call.start for each in tracked],
        [entry_of(each, kinds) for each in tracked],
    )
    for block in index.blocks():
        yield block.key, encode_block(block, index.get, kinds)


def _tracked(row: Any) -> TrackedCall:
    tags = _decode_tags(row.tags) if row.tags else ()
    return TrackedCall(
        Call(row.id, row.start, row.status, row.call_status, row.duration, tags),
        CallPhase(row.phase),
        row.seen_live_at,
        row.in_window,
        row.is_absent,
        row.odd_codes,
    )
