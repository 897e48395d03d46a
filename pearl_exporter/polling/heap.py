"""Giving memory back to the system that is free but still the process's."""

import ctypes


def trim_heap() -> None:
    """Ask the C library to give free memory back to the system; do nothing where it can't.

    After a large read glibc would keep some tens of bytes a call for the next one; see mallopt(3),
    ``M_TRIM_THRESHOLD``. Takes milliseconds.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
    if trim is not None:
        trim(0)
