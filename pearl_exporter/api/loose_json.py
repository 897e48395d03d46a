"""JSON of which nothing is promised: any body, and fields that may be of any type. Pure."""

import json
import math
from typing import Any

MAX_CODE = 2**31 - 1
"""A code or count beyond this is taken for a mistake."""

_MAX_DIGITS = 400
"""A longer number is none; Python refuses to read one of thousands of digits."""


def read_json(body: bytes) -> Any:
    """What a body holds, whatever its text is; raises ValueError, which bears the body, if nothing.

    Bytes that are no UTF-8, and halves of surrogate pairs, stay in the texts as they are.
    """
    try:
        text = body.decode("utf-8-sig", errors="surrogateescape")
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def whole_number(value: Any) -> int | None:
    """The value if it is a whole number, as 3.0 is; else None."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def number(value: Any) -> float | None:
    """The value if it is a finite number; else None."""
    if type(value) not in (int, float):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return None
    return as_float if math.isfinite(as_float) else None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None
