"""The body of an answer, decompressed piece by piece, limited in size and brackets. Pure.

httpx decompresses a piece whole before anybody can look at it: a few kilobytes that were compressed
twice become gigabytes. Here no step gives more than there is room for.
"""

import zlib

from pearl_exporter.errors import BadResponseError

MAX_BODY_BYTES = 16 * 1024 * 1024
"""No page is this large, received or decompressed: a larger body is no answer of the API."""

MAX_BRACKETS = 500_000
"""The most lists and objects of a body: Python's take forty times the room of their text."""

_GZIP_OR_ZLIB_HEADER = zlib.MAX_WBITS | 32
_NO_HEADER = -zlib.MAX_WBITS
"""zlib's ``wbits``: which header the stream has."""

_HEADER_BYTES = 2

_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})


class Body:
    """A body that comes in pieces.

    Raises:
        BadResponseError: The body is compressed in a way that was not asked for, broken, or too
            large. Every method may raise it.
    """

    def __init__(self, content_encoding: str) -> None:
        """Begin an empty body.

        Args:
            content_encoding: The text of the header ``Content-Encoding``.
        """
        codings = [each.strip().lower() for each in content_encoding.split(",")]
        codings = [each for each in codings if each not in ("", "identity")]
        if codings and (len(codings) > 1 or codings[0] not in _COMPRESSED):
            raise BadResponseError("the answer's content encoding was not asked for")
        self._decompressor = _Decompressor() if codings else None
        self._content = bytearray()
        self._received_bytes = 0

    def take(self, piece: bytes) -> None:
        """Take the next piece as it came."""
        # what was received counts too: compressed, it may be endless and hold nothing
        self._received_bytes += len(piece)
        if self._decompressor is None:
            self._content += piece
        elif piece:
            # one byte more than there is room for shows that the body is too large
            self._content += self._decompressor.decompress(piece, self._room + 1)
            if self._decompressor.has_left_over:
                raise BadResponseError("the answer goes on behind the end of its content encoding")
        if self._room < 0 or self._received_bytes > MAX_BODY_BYTES:
            raise BadResponseError(f"the answer is larger than {MAX_BODY_BYTES >> 20} MiB")

    def whole(self) -> bytes:
        """Return the whole body, once the last piece was taken."""
        if self._decompressor is not None and not self._decompressor.is_complete:
            raise BadResponseError("the answer's content encoding is broken: it ends early")
        if (
            # the length first, as counting costs more than decoding
            len(self._content) > MAX_BRACKETS
            and self._content.count(b"{") + self._content.count(b"[") > MAX_BRACKETS
        ):
            raise BadResponseError(f"the answer has more than {MAX_BRACKETS} lists and objects")
        return bytes(self._content)

    @property
    def _room(self) -> int:
        return MAX_BODY_BYTES - len(self._content)


class _Decompressor:
    """Gzip, or what servers send as deflate: with zlib's header, as it should be, or without."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB_HEADER)
        self._start = b""
        """The first bytes, until there are the two that show whether there is a header."""

    @property
    def is_complete(self) -> bool:
        return self._stream.eof or not self._start

    @property
    def has_left_over(self) -> bool:
        """Whether bytes came behind the end."""
        return bool(self._stream.unused_data)

    def decompress(self, piece: bytes, max_bytes: int) -> bytes:
        try:
            if len(self._start) >= _HEADER_BYTES:
                return self._stream.decompress(piece, max_bytes)
            self._start += piece
            return self._decompress_start(max_bytes) if len(self._start) >= _HEADER_BYTES else b""
        except zlib.error:
            raise BadResponseError("the answer's content encoding is broken") from None

    def _decompress_start(self, max_bytes: int) -> bytes:
        try:
            return self._stream.decompress(self._start, max_bytes)
        except zlib.error:
            self._stream = zlib.decompressobj(_NO_HEADER)
            return self._stream.decompress(self._start, max_bytes)
