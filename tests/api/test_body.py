"""A body is decompressed within limits, and what is not an answer is refused plainly."""

import gzip
import tracemalloc
import zlib

import pytest

from pearl_exporter.api.body import MAX_BODY_BYTES, MAX_BRACKETS, Body
from pearl_exporter.errors import BadResponseError

TEXT = b'{"count": 1, "results": []}' * 100
PACKED = gzip.compress(TEXT, mtime=0)


def unpacked(encoding: str, body: bytes, size: int = 65_536) -> bytes:
    taken = Body(encoding)
    for place in range(0, len(body), size):
        taken.take(body[place : place + size])
    return taken.whole()


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("size", [1, 7, 65_536])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", PACKED),
        (" X-GZIP , identity", PACKED),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
def test_it_is_given_as_it_was_packed(encoding, body, size):
    assert unpacked(encoding, body, size) == TEXT


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_an_empty_body_is_empty(encoding):
    assert unpacked(encoding, b"") == b""


@pytest.mark.parametrize(
    ("encoding", "body", "said"),
    [
        ("gzip", PACKED[:-9], "ends early"),
        ("gzip", PACKED[:5], "ends early"),
        ("gzip", b"\x1f\x8b" + b"\xff" * 40, "is broken"),
        ("gzip", PACKED[:-8] + b"\0" * 8, "is broken"),  # a wrong checksum
        ("deflate", b"\xff" * 40, "is broken"),
        ("br", TEXT, "was not asked for"),
        ("gzip, gzip", PACKED, "was not asked for"),
        ("gzip", PACKED + b"rubbish behind it", "goes on behind the end"),
        ("gzip", PACKED + PACKED, "goes on behind the end"),
        ("deflate", zlib.compress(TEXT) + b"\0", "goes on behind the end"),
        ("deflate", raw_deflate(TEXT) + b"\0", "goes on behind the end"),
    ],
)
@pytest.mark.parametrize("size", [1, 65_536])
def test_it_is_no_answer(encoding, body, said, size):
    with pytest.raises(BadResponseError, match=said):
        unpacked(encoding, body, size)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_what_is_too_large_is_given_up_before_it_takes_room(encoding):
    body = b" " * (4 * MAX_BODY_BYTES if encoding else MAX_BODY_BYTES + 1)
    if encoding:
        body = gzip.compress(body, 1)
    tracemalloc.start()
    try:
        with pytest.raises(BadResponseError, match="larger than 16 MiB"):
            unpacked(encoding, body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * MAX_BODY_BYTES


def test_what_is_received_counts_even_if_it_unpacks_to_nothing():
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    empty_blocks = packer.flush(zlib.Z_FULL_FLUSH) * 1000
    taken = Body("deflate")
    for _ in range(MAX_BODY_BYTES // len(empty_blocks)):
        taken.take(empty_blocks)
    with pytest.raises(BadResponseError, match="larger than 16 MiB"):
        taken.take(empty_blocks)


def test_the_largest_one_passes():
    assert len(unpacked("gzip", gzip.compress(b" " * MAX_BODY_BYTES, 1))) == MAX_BODY_BYTES


@pytest.mark.parametrize("unit", [b"[],", b"{},"])
def test_a_body_of_brackets_is_refused_before_it_is_decoded(unit):
    assert unpacked("", unit * MAX_BRACKETS)
    with pytest.raises(BadResponseError, match="500000 lists and objects"):
        unpacked("", unit * (MAX_BRACKETS + 1))
