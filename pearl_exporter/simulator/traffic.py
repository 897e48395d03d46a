"""How much was asked of the simulated API."""

from collections import Counter
from typing import Any


class Traffic:
    """Requests by outbound (None: about none) and HTTP status (None: dropped), and bytes."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str | None, int | None]] = Counter()
        self.bytes = 0

    def count(self, outbound: str | None, status: int | None, size: int) -> None:
        """Count one request whose answer had ``size`` bytes of body."""
        self.requests[outbound, status] += 1
        self.bytes += size if status is not None else 0

    @property
    def total(self) -> int:
        """All requests, dropped ones too."""
        return self.requests.total()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values; what is about no outbound is under "", dropped is "none"."""
        by_outbound: dict[str, dict[str, int]] = {}
        for (outbound, status), number in self.requests.items():
            statuses = by_outbound.setdefault(outbound or "", {})
            statuses["none" if status is None else str(status)] = number
        return {"total": self.total, "bytes": self.bytes, "by_outbound": by_outbound}
