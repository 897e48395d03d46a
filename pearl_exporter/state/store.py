"""Where the state of the outbounds is kept between polls and over restarts.

A poll is committed here before it is published, so that what a scrape has seen is never unknown
after a restart.
"""

from collections.abc import Sequence
from typing import Protocol

from pearl_exporter.counting.saved import Delta, Progress, SavedOutbound
from pearl_exporter.state.records import Saved as Discovered

MEMORY_URL = "memory:"


class Store(Protocol):
    """Keeps what was tracked and counted, by the outbound's id."""

    async def load_progress(self, outbound_id: str) -> Progress | None:
        """The counters that were committed so far, without the calls; raises `StateError`."""

    async def load(self, outbound_id: str) -> SavedOutbound | None:
        """What was committed so far, None if nothing was; raises `StateError`."""

    async def commit(self, outbound_id: str, delta: Delta) -> None:
        """Saves what one poll changed, wholly or not at all; raises `StateError`."""

    async def load_discovered(self) -> tuple[Discovered, ...]:
        """The outbounds that were discovered when that was last saved; raises `StateError`."""

    async def save_discovered(self, outbounds: Sequence[Discovered]) -> None:
        """Saves which outbounds are discovered now; raises `StateError`."""

    async def aclose(self) -> None:
        """Lets go of the store."""


class MemoryStore:
    """The store of ``state.url: memory:``; the trackers themselves are the memory."""

    async def load_progress(self, outbound_id: str) -> Progress | None:  # noqa: ARG002 - see Store
        """Nothing, as nothing outlives the process."""
        return None

    async def load(self, outbound_id: str) -> SavedOutbound | None:  # noqa: ARG002 - see Store
        """Nothing, as nothing outlives the process."""
        return None

    async def commit(self, outbound_id: str, delta: Delta) -> None:
        """Nothing to do."""

    async def load_discovered(self) -> tuple[Discovered, ...]:
        """Nothing, as nothing outlives the process."""
        return ()

    async def save_discovered(self, outbounds: Sequence[Discovered]) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to let go of."""


def open_store(url: str) -> Store:
    """The store of a ``state.url``, made where there is none yet.

    Raises `StateError`, with a message for the user, if it is damaged, of a newer version, in use
    by another exporter, or can't be written. A damaged one is left as it was.
    """
    if url == MEMORY_URL:
        return MemoryStore()
    # SQLAlchemy takes half a second to import: who keeps nothing need not wait for it
    from pearl_exporter.state.sql import open_sql_store  # noqa: PLC0415

    return open_sql_store(url)
