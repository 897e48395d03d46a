"""Where the state of the outbounds is kept between polls: the seam for a durable store.

A poll is committed here before it is published, so that what a scrape has seen is never unknown
after a restart. `MemoryStore` keeps nothing: with ``memory:`` tracking begins anew at each start.
"""

from typing import Protocol

from pearl_exporter.tracker import Saved, Tracker


class Store(Protocol):
    """Keeps what was tracked and counted, by the outbound's id."""

    async def load(self, outbound_id: str) -> Saved | None:
        """What was last committed, None if nothing was; raises `StateError`."""

    async def commit(self, outbound_id: str, tracker: Tracker) -> None:
        """Saves all that changed since the last commit, or nothing; raises `StateError`."""

    async def aclose(self) -> None:
        """Writes out what is left and lets go of the store."""


class MemoryStore:
    """The store of ``state.url: memory:``; the trackers themselves are the memory."""

    async def load(self, outbound_id: str) -> Saved | None:  # noqa: ARG002 - see Store
        """Nothing, as nothing outlives the process."""
        return None

    async def commit(self, outbound_id: str, tracker: Tracker) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to let go of."""
