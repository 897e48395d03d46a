"""What a store of the state is, and which one a ``state.url`` names.

A poll is committed to the store before it is published, so that no restart forgets what a scrape
has seen.
"""

from collections.abc import Sequence
from typing import Protocol

from pearl_exporter.counting.saved import Delta, Progress, SavedOutbound
from pearl_exporter.state.records import DiscoveredOutbound

MEMORY_URL = "memory:"


class Store(Protocol):
    """Keeps what was tracked and counted, by the outbound's id.

    Every method but `aclose` raises `StateError` if the state can't be read or written.
    """

    async def load_progress(self, outbound_id: str) -> Progress | None:
        """Return the counters as last committed, without the calls; None if there are none."""

    async def load(self, outbound_id: str) -> SavedOutbound | None:
        """Return counters and calls as last committed; None if there are none."""

    async def commit(self, outbound_id: str, delta: Delta) -> None:
        """Save what one poll changed, all of it or nothing."""

    async def known(self) -> frozenset[str]:
        """Return the ids of all outbounds of which something was committed."""

    async def load_discovered(self) -> tuple[DiscoveredOutbound, ...]:
        """Return the discovered outbounds as last saved, by id."""

    async def save_discovered(self, outbounds: Sequence[DiscoveredOutbound]) -> None:
        """Save which outbounds are discovered now, in place of those saved before."""

    async def aclose(self) -> None:
        """Release the state, after the transaction that has begun."""


class MemoryStore:
    """The store of ``state.url: memory:``. It saves nothing: the trackers hold it all in memory."""

    async def load_progress(self, outbound_id: str) -> Progress | None:  # noqa: ARG002 - see Store
        """Return None: nothing outlives the process."""
        return None

    async def load(self, outbound_id: str) -> SavedOutbound | None:  # noqa: ARG002 - see Store
        """Return None: nothing outlives the process."""
        return None

    async def commit(self, outbound_id: str, delta: Delta) -> None:
        """Do nothing."""

    async def known(self) -> frozenset[str]:
        """Return no id: nothing outlives the process."""
        return frozenset()

    async def load_discovered(self) -> tuple[DiscoveredOutbound, ...]:
        """Return no outbound: nothing outlives the process."""
        return ()

    async def save_discovered(self, outbounds: Sequence[DiscoveredOutbound]) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


def open_store(url: str) -> Store:
    """Open the state that a ``state.url`` names, or make it if there is none.

    Raises:
        StateError: The state is damaged, of another version, in use by another exporter, or can't
            be written. The message says what to do. A state that exists is left unchanged.
    """
    if url == MEMORY_URL:
        return MemoryStore()
    # SQLAlchemy takes half a second to import, which `memory:` need not wait for.
    from pearl_exporter.state.sql import open_sql_store  # noqa: PLC0415

    return open_sql_store(url)
