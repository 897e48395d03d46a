"""The simulated NLPearl API: an ASGI application over campaigns, a clock and faults.

Run it under uvicorn with ``date_header=False``, since its ``Date`` is the simulated time::

    uvicorn.Config(build_simulator(campaigns, clock=clock), date_header=False, ...)

Under ``/_sim/`` it can be inspected and controlled, see `pearl_exporter.simulator.control`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from pearl_exporter.simulator import fault_effects, responses
from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.clock import SimulatedClock
from pearl_exporter.simulator.control import control_routes
from pearl_exporter.simulator.faults import Fault, Faults, RequestFaults
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
    return Simulator(
        campaigns, clock, Faults(faults, seed=seed), token=token, max_limit=max_limit, sleep=sleep
    )


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
        self._row_shifter = fault_effects.RowShifter()
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
            scope = {**scope, responses.CLOSE_CONNECTION: responses.connection_closer(send)}
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
                answer = fault_effects.corrupted(await handler(request, faults), faults)
            skew = faults["skew"].number("seconds") if "skew" in faults else 0.0
            answer.headers["date"] = responses.http_date(self.clock() + skew * 1000)
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
        return responses.text_json(self.platform.outbound_list(self.campaigns.values(), faults))

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
        limit = faults.get("limit_refused")
        if limit is not None and asked_limit(body) > limit.number("limit"):
            message = f"must be at most {limit.number('limit'):.0f}."
            return responses.problem_details(400, limit=message)
        now = self.clock()
        query = fault_effects.with_search_faults(query, faults)
        if "shifting" in faults and query.skip > 0:
            self._row_shifter.shift(campaign, replace(query, skip=0, limit=1), now)
        page = fault_effects.faulty_page(campaign, query, faults, now)
        return responses.text_json(fault_effects.answer_json(campaign, page, faults, now))
