"""The client of the API over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

from pydantic import SecretStr

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import ApiSettings, TokenSource


@asynccontextmanager
async def a_real_client(url: str, **api_settings: object) -> AsyncIterator[PearlClient]:
    clock = Clock()
    client = PearlClient(
        ApiSettings(url=url, **({"rate_limit": 1000.0, "concurrency": 1} | api_settings)),
        Token(TokenSource(literal=SecretStr("account:secret"))),
        observer=SimpleNamespace(requested=lambda *_: None, retried=lambda: None),
        api_clock=ApiClock(clock),
        clock=clock,
    )
    try:
        yield client
    finally:
        await client.aclose()
