"""The simulated API over one `Table`, as a process. It also keeps the searches it was asked.

Started by `bench.world.api_over`; prints one line of JSON when all calls are made.
"""

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.processes import given
from bench.world import Table
from pearl_exporter.config import ListenAddress
from pearl_exporter.serving import listen_on, new_server
from pearl_exporter.simulator import SimulatedClock, build_simulator


class Recorder:
    """Keeps the body of each calls search, with the API's time; tells them, once, when asked."""

    def __init__(self, app: ASGIApp, clock: Callable[[], int]) -> None:
        self._app = app
        self._clock = clock
        self._searches: list[tuple[int, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and scope["path"] == "/_bench/searches":
            told, self._searches = self._searches, []
            await Response(msgspec.json.encode(told))(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].endswith("/Calls"):
            await self._app(scope, self._recorded(receive), send)
        else:
            await self._app(scope, receive, send)

    def _recorded(self, receive: Receive) -> Receive:
        body = bytearray()

        async def recorded() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._searches.append((self._clock(), body.decode()))
            return message

        return recorded


def main() -> None:
    arguments: dict[str, Any] = given()
    table, now_ms = Table(**arguments["table"]), arguments["now_ms"]
    clock = SimulatedClock(start_ms=now_ms, paused=not arguments["is_running"])
    campaigns = table.campaigns(now_ms)
    for campaign in campaigns:
        campaign.advance(clock())
    gc.freeze()  # the calls stay: nobody need look through them again
    simulator = build_simulator(campaigns, clock=clock)
    listener = listen_on(ListenAddress("127.0.0.1", 0))
    told = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "outbounds": [campaign.outbound_id for campaign in campaigns],
    }
    print(json.dumps(told), flush=True)
    asyncio.run(new_server(Recorder(simulator, clock), date_header=False).serve([listener]))


if __name__ == "__main__":
    main()
