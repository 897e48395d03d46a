"""Lenient reading of JSON about which nothing is promised: any body, fields of any type. Pure."""

import json
import math
from typing import Any

MAX_NUMBER = 2**31 - 1
"""The largest code or count of the platform that is believed."""

_MAX_DIGITS = 400
"""A longer number is read as null; Python refuses to read one of thousands of digits."""


def read_json(body: bytes) -> Any:
    """Return what a body holds. Bytes that are not UTF-8 stay in the texts as surrogates.

    Raises:
        ValueError: The body is not JSON. The error holds the body: it must not be logged.
    """
    try:
        text = body.decode("utf-8-sig", errors="surrogateescape")
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def whole_number(value: Any) -> int | None:
    """Return the value if it is a whole number, as 3.0 is; else None."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def number(value: Any) -> float | None:
    """Return the value if it is a finite number; else None."""
    if type(value) not in (int, float):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return None
    return as_float if math.isfinite(as_float) else None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None
