"""An event loop whose name look-ups delay nothing else.

asyncio looks names up in the same few threads that compress scrapes, and waits for them when it is
closed: a resolver that hangs would leave scrapes unanswered and the exporter unstoppable. Here each
look-up has a thread of its own, for which nobody waits.
"""

import asyncio
import socket
import threading
from typing import Any

Found = list[tuple[Any, ...]]
Key = tuple[Any, ...]

MAX_SECONDS = 60.0
"""A resolver that takes longer does not answer at all."""


class ResolverLoop(asyncio.SelectorEventLoop):
    """Looks each name up in a thread of its own, once for all that ask at the same time.

    Args:
        max_seconds: After how long a look-up is given up.
    """

    def __init__(self, *, max_seconds: float = MAX_SECONDS) -> None:
        super().__init__()
        self._max_seconds = max_seconds
        self._looking: dict[Key, asyncio.Future[Found]] = {}

    async def getaddrinfo(  # noqa: PLR0913 - asyncio's signature
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Found:
        """Return the addresses of a name; raise OSError as `socket.getaddrinfo` does."""
        key = (host, port, family, type, proto, flags)
        looking = self._looking.get(key)
        if looking is None or looking.done():
            looking = self._looking[key] = self.create_future()
            looking.add_done_callback(lambda done: self._forget(key, done))
            self._begin(key, looking)
        return await asyncio.shield(looking)

    def _forget(self, key: Key, done: "asyncio.Future[Found]") -> None:
        if self._looking.get(key) is done:
            del self._looking[key]

    def _begin(self, key: Key, looking: "asyncio.Future[Found]") -> None:
        try:
            # a daemon thread, since the interpreter waits for all others at its end
            threading.Thread(target=self._look_up, args=(key, looking), daemon=True).start()
        except RuntimeError as error:  # the system allows no more threads for now
            _end(looking, OSError(str(error)))
        # a resolver that never answers must not keep the name from being looked up again
        self.call_later(self._max_seconds, _end, looking, OSError("the resolver does not answer"))

    def _look_up(self, key: Key, looking: "asyncio.Future[Found]") -> None:
        found: Found | OSError
        try:
            found = socket.getaddrinfo(*key)
        except Exception as error:  # noqa: BLE001 - a name too long for DNS is a UnicodeError
            found = error if isinstance(error, OSError) else OSError(str(error))
        try:
            self.call_soon_threadsafe(_end, looking, found)
        except RuntimeError:  # the loop was closed meanwhile
            return


def _end(looking: "asyncio.Future[Found]", found: Found | OSError) -> None:
    if looking.done():
        return
    if isinstance(found, OSError):
        looking.set_exception(found)
        looking.exception()  # if the caller has given up, nobody asks for the error
    else:
        looking.set_result(found)
