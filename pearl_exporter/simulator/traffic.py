"""How many requests the simulated API answered, and how many bytes it sent."""

from collections import Counter
from typing import Any


class Traffic:
    """Requests by outbound (None: about none) and HTTP status (None: dropped), and bytes."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str | None, int | None]] = Counter()
        self.bytes = 0

    def count(self, outbound: str | None, status: int | None, size: int) -> None:
        """Count one request whose answer has ``size`` bytes of body."""
        self.requests[outbound, status] += 1
        self.bytes += size if status is not None else 0

    @property
    def total(self) -> int:
        """The number of requests, dropped ones included."""
        return self.requests.total()

    def as_json(self) -> dict[str, Any]:
        """Return plain values; the outbound None is "" there, and the status None is "none"."""
        by_outbound: dict[str, dict[str, int]] = {}
        for (outbound, status), number in self.requests.items():
            statuses = by_outbound.setdefault(outbound or "", {})
            statuses["none" if status is None else str(status)] = number
        return {"total": self.total, "bytes": self.bytes, "by_outbound": by_outbound}
