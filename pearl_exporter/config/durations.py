"""Durations as Prometheus writes them: ``250ms``, ``30s``, ``1h30m``, ``1d``, ``1w``, ``1y``.

The grammar is Prometheus' own (``model.ParseDuration``): whole numbers with a unit, the units in
descending order, each at most once, ``0`` alone without a unit. A day is 24 hours, a week 7 days, a
year 365 days. Inside the exporter a duration is a float in seconds.
"""

import re

WANTED = "a duration such as 30s, 1h30m or 1d"
"""What a message asks for instead of a text that is no duration."""

_UNITS = (
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)
"""Each unit with its milliseconds, in the order in which they must be written."""

_PATTERN = re.compile("".join(rf"(?:([0-9]{{1,12}}){unit})?" for unit, _ in _UNITS))


def parse_duration(text: str) -> float:
    """Return the seconds that ``text`` names.

    Raises:
        ValueError: It has an unknown unit, units out of order, a sign, a fraction, or no unit. The
            message says what is wanted.
    """
    if text == "0":
        return 0.0
    match = _PATTERN.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"wanted {WANTED}")
    milliseconds = sum(
        int(count) * size
        for count, (_, size) in zip(match.groups(), _UNITS, strict=True)
        if count is not None
    )
    return milliseconds / 1_000


def format_duration(seconds: float) -> str:
    """Return ``seconds``, rounded to milliseconds, in the form that `parse_duration` reads.

    Weeks and years are written only if they leave no rest, as in Prometheus: ``10d`` is easier to
    read than ``1w3d``.

    Raises:
        ValueError: The number is negative or not finite.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"got {seconds} seconds, wanted a finite number from 0")
    rest = round(seconds * 1_000)
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in _UNITS:
        if unit in {"y", "w"} and rest % size:
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
