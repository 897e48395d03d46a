"""The body of an answer, unpacked piece by piece and never past a bound. Pure.

httpx unpacks a piece whole before anybody can look at it: a few kilobytes that were packed twice
become gigabytes. Here no step gives more than there is room for.
"""

import zlib

from pearl_exporter.errors import BadResponseError

MAX_BODY_BYTES = 16 * 1024 * 1024
"""No page is this large: what is larger is no answer of the calls search."""

MAX_BRACKETS = 500_000
"""So many lists and objects at most: as Python's they take forty times the room of their text."""

_ANY_HEADER = zlib.MAX_WBITS | 32
"""Gzip's or zlib's, whichever it begins with."""

_HEADER_BYTES = 2

_PACKED = frozenset({"gzip", "x-gzip", "deflate"})


class Body:
    """A body that comes in pieces.

    ``content_encoding`` is the header's text. Every method raises `BadResponseError` where the body
    is packed in a way that was not asked for, is broken, or is too large.
    """

    def __init__(self, content_encoding: str) -> None:
        codings = [each.strip().lower() for each in content_encoding.split(",")]
        codings = [each for each in codings if each not in ("", "identity")]
        if codings and (len(codings) > 1 or codings[0] not in _PACKED):
            raise BadResponseError("the answer's content encoding is none that was asked for")
        self._unpacker = _Unpacker() if codings else None
        self._content = bytearray()

    def take(self, piece: bytes) -> None:
        """Takes the next piece as it came."""
        if self._unpacker is None:
            self._content += piece
        elif piece:
            self._content += self._unpacker.unpack(piece, self._room + 1)
        if self._room < 0:
            raise BadResponseError(f"the answer is larger than {MAX_BODY_BYTES >> 20} MiB")

    def whole(self) -> bytes:
        """All of it, once the last piece was taken."""
        if self._unpacker is not None and not self._unpacker.is_whole:
            raise BadResponseError("the answer's content encoding is broken: it ends early")
        if (
            len(self._content) > MAX_BRACKETS  # asked first, as counting costs more than decoding
            and self._content.count(b"{") + self._content.count(b"[") > MAX_BRACKETS
        ):
            raise BadResponseError(f"the answer has more than {MAX_BRACKETS} lists and objects")
        return bytes(self._content)

    @property
    def _room(self) -> int:
        return MAX_BODY_BYTES - len(self._content)


class _Unpacker:
    """Gzip, or what servers send as deflate: with zlib's header, as it should be, or without."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_ANY_HEADER)
        self._start = b""
        """What came first, until there are the two bytes that tell a header."""

    @property
    def is_whole(self) -> bool:
        return self._stream.eof or not self._start

    def unpack(self, piece: bytes, most_bytes: int) -> bytes:
        try:
            if len(self._start) >= _HEADER_BYTES:
                return self._stream.decompress(piece, most_bytes)
            self._start += piece
            return self._unpack_start(most_bytes) if len(self._start) >= _HEADER_BYTES else b""
        except zlib.error:
            raise BadResponseError("the answer's content encoding is broken") from None

    def _unpack_start(self, most_bytes: int) -> bytes:
        try:
            return self._stream.decompress(self._start, most_bytes)
        except zlib.error:
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._stream.decompress(self._start, most_bytes)
