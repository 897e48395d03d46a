"""The process of `bench.support.simulated_api`, which also records the searches that it answers.

It prints one line of JSON once all calls are generated.
"""

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.support.processes import measured_arguments
from bench.support.simulated_api import Workload
from pearl_exporter.config import ListenAddress
from pearl_exporter.serving import listen_on, new_server
from pearl_exporter.simulator import SimulatedClock, build_simulator


class SearchRecorder:
    """ASGI middleware that records the body of each calls search with the API's time.

    ``/_bench/searches`` returns the recorded searches and forgets them.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], int]) -> None:
        self._app = app
        self._clock = clock
        self._searches: list[tuple[int, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and scope["path"] == "/_bench/searches":
            searches, self._searches = self._searches, []
            await Response(msgspec.json.encode(searches))(scope, receive, send)
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
    """Generate the calls, print where the API listens, and serve until it is terminated."""
    arguments: dict[str, Any] = measured_arguments()
    workload, now_ms = Workload(**arguments["workload"]), arguments["now_ms"]
    clock = SimulatedClock(start_ms=now_ms, paused=not arguments["is_running"])
    campaigns = workload.campaigns(now_ms)
    for campaign in campaigns:
        campaign.advance(clock())
    gc.freeze()  # the calls stay: the collector need not look through them again
    simulator = build_simulator(campaigns, clock=clock)
    listener = listen_on(ListenAddress("127.0.0.1", 0))
    started = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "outbounds": [campaign.outbound_id for campaign in campaigns],
    }
    print(json.dumps(started), flush=True)
    server = new_server(SearchRecorder(simulator, clock), date_header=False)
    asyncio.run(server.serve([listener]))


if __name__ == "__main__":
    main()
