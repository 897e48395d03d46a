"""The simulated NLPearl API: an ASGI application over campaigns, a clock and faults.

Run it under uvicorn with ``date_header=False``, since its ``Date`` is the simulated time::

    uvicorn.Config(build_simulator(campaigns, clock=clock), date_header=False, ...)

Under ``/_sim/`` it can be inspected and controlled, see `pearl_exporter.simulator.control`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from pearl_exporter.simulator import fault_effects, responses
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.clock import SimulatedClock
from pearl_exporter.simulator.control import control_routes
from pearl_exporter.simulator.fault_kind import AskedSearch, Fault, RequestFaults
from pearl_exporter.simulator.faults import Faults
from pearl_exporter.simulator.search_body import SearchBodyError, asked_limit, parse_search
from pearl_exporter.simulator.simulated_platform import ACCOUNT_PATH, LIST_PATH
from pearl_exporter.simulator.state import SimulatorState

MAX_LIMIT = 1000
Handler = Callable[[Request, RequestFaults], Awaitable[Response]]


def build_simulator(  # noqa: PLR0913 - the composition root of the simulator
    campaigns: Iterable[Campaign],
    *,
    clock: SimulatedClock,
    token: str | None = None,
    faults: Iterable[str | Mapping[str, Any] | Fault] = (),
    seed: int = 0,
    max_limit: int = MAX_LIMIT,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> "Simulator":
    """Return the application.

    Args:
        campaigns: The outbounds.
        clock: The simulated time.
        token: The only bearer token that is accepted; None accepts any.
        faults: The faults that are on, as flags or objects; see `fault`.
        seed: Decides which requests a fault hits.
        max_limit: A page has at most this many rows.
        sleep: What slow faults wait with.

    Raises:
        FaultError: The description of a fault is wrong.
    """
    campaigns = list(campaigns)
    names = {campaign.outbound_id: campaign.profile.name for campaign in campaigns}
    on = Faults(faults, seed=seed, outbounds=names)
    return Simulator(campaigns, clock, on, token=token, max_limit=max_limit, sleep=sleep)


class Simulator(SimulatorState):
    """The application, made by `build_simulator`. Tests may read and change its attributes."""

    def __init__(  # noqa: PLR0913 - as `build_simulator`
        self,
        campaigns: Iterable[Campaign],
        clock: SimulatedClock,
        faults: Faults,
        *,
        token: str | None,
        max_limit: int,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        super().__init__(campaigns, clock, faults)
        self.token = token
        self.max_limit = max_limit
        self.sleep = sleep
        self._shifted: defaultdict[str, list[CallLife]] = defaultdict(list)
        self._app = Starlette(
            routes=[
                Route(LIST_PATH, self._api(self._outbounds), methods=["GET"]),
                Route("/v1/Outbound/{outbound}", self._api(self._outbound), methods=["GET"]),
                Route("/v1/Outbound/{outbound}/Calls", self._api(self._calls), methods=["POST"]),
                Route(ACCOUNT_PATH, self._api(self._account), methods=["GET"]),
                Mount("/_sim", routes=control_routes(self)),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            # Before Starlette wraps `send`, which then leads to no transport any more.
            scope = {**scope, responses.CONNECTION: responses.connection(send)}
        await self._app(scope, receive, send)

    def _api(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers by ``handler``, with the faults that hit the request."""

        async def endpoint(request: Request) -> Response:
            await request.body()
            outbound = request.path_params.get("outbound")
            faults = self.faults.draw(outbound or request.url.path, self.clock())
            if "slow" in faults:
                await self.sleep(faults["slow"].number("seconds"))
            answer = fault_effects.error_response(faults, self.clock()) or self._refused(request)
            if answer is None:
                answer = fault_effects.with_body_faults(await handler(request, faults), faults)
            now = self.clock()
            answer.headers["date"] = responses.http_date(now)
            fault_effects.change_headers(answer, faults, now)
            answer = responses.gzipped(answer, request.headers.get("accept-encoding", ""))
            sent = fault_effects.delivered(answer, faults, self.sleep)
            is_dropped = isinstance(sent, responses.DroppedResponse)
            known = outbound if outbound in self.campaigns else None
            self.traffic.count(known, None if is_dropped else sent.status_code, len(answer.body))
            return sent

        return endpoint

    def _refused(self, request: Request) -> Response | None:
        """Return a 401 for a wrong token, a 404 for an unknown outbound, or None for neither."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        is_wrong = token != self.token if self.token is not None else not token.strip()
        if scheme.lower() != "bearer" or is_wrong:
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        outbound = request.path_params.get("outbound")
        if outbound is None or outbound in self.campaigns.keys() - self.platform.gone:
            return None
        return responses.problem_details(404)

    async def _outbounds(self, _request: Request, faults: RequestFaults) -> Response:
        listed = self.platform.outbound_list(self.campaigns.values())
        return responses.text_json(fault_effects.outbound_list(faults, listed))

    async def _outbound(self, request: Request, _faults: RequestFaults) -> Response:
        campaign = self.campaigns[request.path_params["outbound"]]
        return responses.text_json(self.platform.outbound_row(campaign))

    async def _account(self, _request: Request, _faults: RequestFaults) -> Response:
        return responses.text_json(self.platform.account_row(self.campaigns.values()))

    async def _calls(self, request: Request, faults: RequestFaults) -> Response:
        campaign = self.campaigns[request.path_params["outbound"]]
        body = await request.body()
        try:
            query = parse_search(body, max_limit=self.max_limit)
        except SearchBodyError as error:
            return responses.problem_details(400, **{error.field: str(error)})
        asked = AskedSearch(
            campaign=campaign,
            query=query,
            limit=asked_limit(body),
            now_ms=self.clock(),
            random=self.faults.random,
            shifted=self._shifted[campaign.outbound_id],
        )
        answer = fault_effects.search_answer(faults, asked)
        if isinstance(answer, Response):
            return answer
        return responses.text_json({"count": answer.count, "results": answer.results})
