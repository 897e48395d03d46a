"""One poll's conversation with the API: its searches, and what they say about the token."""

import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from pearl_exporter.api.clock import Clock
from pearl_exporter.api.deadline import now
from pearl_exporter.api.token_breaker import TokenBreaker
from pearl_exporter.api.token_file import Token
from pearl_exporter.errors import AuthError, NotFoundError, TokenBlockedError
from pearl_exporter.reading.search import Page, Search

Send = Callable[[Search, Callable[[], None]], Awaitable[Page]]
"""Sends a search, and calls its second argument when the request has got its slot."""

_log = logging.getLogger(__name__)


class Session:
    """The searches of one poll of one outbound, within ``async with``.

    It runs the protocol of the token's breaker: it begins and ends the poll there, and reports each
    page and each refusal. See `PearlClient.session`.

    Attributes:
        first_sent_at: When the first request was sent, by the event loop's clock; None before.
    """

    def __init__(
        self, outbound_id: str, send: Send, *, breaker: TokenBreaker, token: Token, clock: Clock
    ) -> None:
        self.first_sent_at: float | None = None
        self._outbound_id = outbound_id
        self._send = send
        self._breaker = breaker
        self._token = token
        self._clock = clock
        self._token_at_start = ""

    async def __aenter__(self) -> Self:
        """Begin the poll: if the token is refused, this one may be the one that probes it."""
        self._token_at_start = self._token.current()
        self._breaker.use(self._token_at_start)
        self._breaker.begin(self._outbound_id)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the poll, whatever came of it: another outbound may probe the token now."""
        self._breaker.end(self._outbound_id)

    async def search(self, search: Search) -> Page:
        """Return one page of the outbound's calls.

        Raises:
            TokenBlockedError: Not sent, since the token is refused and another outbound probes it.
            ApiError: The last attempt's error, once no retry may help or the deadline has passed.
        """
        try:
            page = await self._send(search, self._note_sent)
        except TokenBlockedError:
            raise
        except (AuthError, NotFoundError) as error:
            self._refused(error)
            raise
        if self._breaker.accepted(self._outbound_id) and self._breaker.sharing > 1:
            _log.info(
                "token accepted again, resuming its outbounds",
                extra={"outbound_id": self._outbound_id, "outbounds": self._breaker.sharing},
            )
        return page

    def _note_sent(self) -> None:
        if self.first_sent_at is None:
            self.first_sent_at = now()

    def _refused(self, error: AuthError | NotFoundError) -> None:
        # The file is read even if it looks unchanged. If it holds another token by now, the refusal
        # says nothing about that one, which is tried at the next poll.
        if self._token.read_again() != self._token_at_start:
            return
        moment = self._clock.monotonic()
        if isinstance(error, NotFoundError):
            self._breaker.back_off(self._outbound_id, moment)
        elif self._breaker.refused(self._outbound_id, moment) and self._breaker.sharing > 1:
            _log.warning(
                "token refused: one outbound at a time tries it again, at growing intervals",
                extra={"outbound_id": self._outbound_id, "outbounds": self._breaker.sharing},
            )
