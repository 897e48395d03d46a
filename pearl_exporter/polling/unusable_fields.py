"""Which calls were already counted as having a field that cannot be used: each counts once. Pure.

The same row comes with many polls. To count it once, its key is remembered; of a great many keys
the oldest are forgotten, so that memory stays bounded, and their calls may count again.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable

from pearl_exporter.reading.search import UnusableRow

MAX_REMEMBERED = 100_000


class UnusableFields:
    """The calls of one outbound whose unusable fields were counted.

    Args:
        size: How many fields of calls are remembered.
    """

    def __init__(self, size: int = MAX_REMEMBERED) -> None:
        self._size = size
        self._seen: OrderedDict[tuple[int, str], None] = OrderedDict()

    def count(self, rows: Iterable[UnusableRow]) -> Counter[str]:
        """Return how many calls are new to each field, and remember them."""
        found: Counter[str] = Counter()
        for row in rows:
            for field in row.fields:
                key = (row.key, field)
                if key in self._seen:
                    self._seen.move_to_end(key)
                    continue
                self._seen[key] = None
                found[field] += 1
                if len(self._seen) > self._size:
                    self._seen.popitem(last=False)
        return found
