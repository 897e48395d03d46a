"""Memory that is free but still the process's."""

import ctypes


def trim_heap() -> None:
    """Asks the C library to give what is free back to the system; does nothing where it can't.

    After a large read glibc would keep some tens of bytes a call for the next one; see mallopt(3),
    ``M_TRIM_THRESHOLD``. Takes milliseconds.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
