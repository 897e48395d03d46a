"""Whether SQLite's log is sound: what the file holds is what SQLite has written.

While a database is in use, SQLite finds the pages in its log by an index in shared memory, and does
not look at their checksums. So it reads, and copies into the database, whatever is there by then.

The log begins with a header, and each page in it is a *frame*. A checksum of all that is before it
ends the header and each frame's head; the index has the checksum of the last frame that counts::

    header  magic  version  page size  checkpoints  salt   checksum      32 bytes
    frame   page number  size after commit  salt  checksum  page         24 bytes and a page
            └─────────── summed up ──────┘                  └──┘

Source: https://www.sqlite.org/fileformat2.html#walformat and walformat.html#wal_index_format.
"""

import struct
import sys
from array import array
from pathlib import Path

_HEADER = 32
_FRAME_HEAD = 24
_LITTLE, _BIG = 0x377F0682, 0x377F0683
"""The magic numbers: the byte order of the checksums."""

_INDEX = struct.Struct("=16x I 4x 2I 8s 8x")
"""Of the index's header: how many frames count, the checksum of the last one, and the log's salt.

It is in the byte order of the machine, but for the salt.
"""

_Sums = tuple[int, int]


def is_log_sound(log: Path, index: Path) -> bool:
    """Return whether every frame of a log that counts is as SQLite has written it.

    Another program may write to the log while this runs: the frames that it adds do not count yet.

    Args:
        log: The file with ``-wal`` at the end of its name.
        index: The one with ``-shm``.
    """
    try:
        with index.open("rb") as file:
            frames, *wanted, salt = _INDEX.unpack(file.read(_INDEX.size))
        if not frames:
            return True  # all of it was copied into the database, and nothing came since
        with log.open("rb") as file:
            header = file.read(_HEADER)
            magic, page_size = struct.unpack(">I4xI20x", header)
            if magic not in (_LITTLE, _BIG) or header[16:24] != salt:
                return False
            is_swapped = (magic == _BIG) != (sys.byteorder == "big")
            sums = _summed((0, 0), header[:24], is_swapped=is_swapped)
            if header[24:] != struct.pack(">2I", *sums):
                return False
            for _ in range(frames):
                frame = file.read(_FRAME_HEAD + page_size)
                sums = _summed(sums, frame[:8] + frame[_FRAME_HEAD:], is_swapped=is_swapped)
                if frame[8:_FRAME_HEAD] != salt + struct.pack(">2I", *sums):
                    return False
    except (OSError, ValueError, struct.error):
        return False
    return sums == tuple(wanted)


def _summed(sums: _Sums, content: bytes, *, is_swapped: bool) -> _Sums:
    """Return the checksum of what was summed up before and of ``content``, of 8 n bytes."""
    words = array("I", content)
    if is_swapped:
        words.byteswap()
    first, second = sums
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
