"""A client of the API in virtual time, and what answers it: the real client over respx."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import respx
from pydantic import SecretStr

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import ApiSettings, TokenSource
from pearl_exporter.errors import ApiError
from pearl_exporter.reading.search import Page, Search
from tests.support.virtual_time import virtual_clock

URL = "https://api.nlpearl.test"
TOKEN = "acc0unt:s3cret"
PHONE = "4915112345678"
SEARCH = Search(1_795_000_000_000, 1_795_003_600_123, 0, 100)
EMPTY = {"count": 0, "results": []}
WELL = httpx.Response(200, json=EMPTY)
FOREVER = 1e9


class Observer:
    """Hears what is asked of the API."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, float]] = []
        self.retries = 0

    def requested(self, code: str, seconds: float) -> None:
        self.requests.append((code, seconds))

    def retried(self) -> None:
        self.retries += 1

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.requests]


class Scene:
    """A client, what answers it, and when it asked; seconds since the scene began."""

    def __init__(self, api: respx.MockRouter, client: PearlClient, observer: Observer) -> None:
        self.api = api
        self.client = client
        self.observer = observer
        self.times: list[float] = []
        self._began = _loop_time()
        self._answer: Callable[[httpx.Request], object] = lambda _: WELL
        api.route().mock(side_effect=self._respond)

    @property
    def now(self) -> float:
        return round(_loop_time() - self._began, 6)

    @property
    def last_request(self) -> httpx.Request:
        return self.api.calls.last.request

    def answer(self, *answers: object) -> None:
        """Gives these answers one after the other, the last one for good.

        One may be a response, an exception, or a function of the request that gives a response,
        at once or later.
        """
        left = list(answers)
        self._answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        self.times.append(self.now)
        answer = self._answer(request)
        while callable(answer):
            answer = answer(request)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def search(
        self, outbound: str = "out", search: Search = SEARCH, give_up: float = 60.0
    ) -> Page:
        return await self.client.search(outbound, search, Deadline(give_up))

    async def failure(self, outbound: str = "out", give_up: float = 60.0) -> ApiError:
        """The error of a search that must fail."""
        with pytest.raises(ApiError) as caught:
            await self.search(outbound, give_up=give_up)
        return caught.value


@asynccontextmanager
async def a_scene(
    *,
    source: TokenSource | None = None,
    clock: Clock | None = None,
    api_clock: ApiClock | None = None,
    on_wait: Callable[[float], None] = lambda _: None,
    **api_settings: object,
) -> AsyncIterator[Scene]:
    observer = Observer()
    clock = clock or virtual_clock()
    client = PearlClient(
        ApiSettings(**({"url": URL, "rate_limit": 1000.0} | api_settings)),
        Token(source or TokenSource(literal=SecretStr(TOKEN))),
        observer=observer,
        api_clock=api_clock or ApiClock(clock),
        clock=clock,
        on_wait=on_wait,
    )
    with respx.mock(assert_all_called=False) as api:
        scene = Scene(api, client, observer)
        try:
            yield scene
        finally:
            await client.aclose()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def after(seconds: float, answer: object = WELL) -> Callable[[httpx.Request], object]:
    """An answer whose head comes so much later."""

    async def respond(_: httpx.Request) -> object:
        await asyncio.sleep(seconds)
        return answer

    return respond


class Stream(httpx.AsyncByteStream):
    """A body that comes in pieces, perhaps with time between, and perhaps for ever."""

    def __init__(self, *pieces: bytes, pause: float = 0.0, forever: bool = False) -> None:
        self.pieces = pieces
        self.pause = pause
        self.forever = forever
        self.is_closed = False
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            for piece in self.pieces:
                if self.pause:
                    await asyncio.sleep(self.pause)
                self.sent += len(piece)
                yield piece
            if not self.forever:
                return

    async def aclose(self) -> None:
        self.is_closed = True


def dripping(status: int = 200) -> httpx.Response:
    return httpx.Response(status, stream=Stream(b" ", pause=5.0, forever=True))


def problem(status: int, **headers: str) -> httpx.Response:
    """What ASP.NET says, and what it should not."""
    body = {"title": "One or more errors", "status": status, "detail": f"to +{PHONE} by {TOKEN}"}
    return httpx.Response(
        status, json=body, headers=headers, extensions={"reason_phrase": f"No {PHONE}".encode()}
    )
