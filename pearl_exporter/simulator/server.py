"""The simulated NLPearl API: an ASGI application over campaigns, a clock and faults.

Run it under uvicorn with ``date_header=False``, since ``Date`` tells the simulated time::

    uvicorn.Config(build_simulator(campaigns, clock=clock), date_header=False, ...)

Under ``/_sim/`` it can be watched and governed, see `pearl_exporter.simulator.control`.
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

from pearl_exporter.simulator import answers, misbehaviour
from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.clock import SimulatedClock
from pearl_exporter.simulator.control import control_routes
from pearl_exporter.simulator.faults import Fault, Faults
from pearl_exporter.simulator.platform import ACCOUNT, LIST
from pearl_exporter.simulator.search import BadBody, asked_limit, search_of
from pearl_exporter.simulator.state import SimulatorState

MAX_LIMIT = 1000
Struck = Mapping[str, Fault]
Handler = Callable[[Request, Struck], Awaitable[Response]]


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
    """Return the application. ``token`` None lets any bearer token in; slow faults ``sleep``.

    A page has at most ``max_limit`` rows. Raises `FaultError` for a bad description.
    """
    simulator = Simulator(campaigns, clock, Faults(faults, seed=seed))
    simulator.token = token
    simulator.max_limit = max_limit
    simulator.sleep = sleep
    return simulator


class Simulator(SimulatorState):
    """The application. ``campaigns`` are by outbound id; tests may read all of it."""

    def __init__(
        self, campaigns: Iterable[Campaign], clock: SimulatedClock, faults: Faults
    ) -> None:
        super().__init__(campaigns, clock, faults)
        self.token: str | None = None
        self.max_limit = MAX_LIMIT
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self._shifts = misbehaviour.Shifts()
        self._app = Starlette(
            routes=[
                Route(LIST, self._api(self._outbounds), methods=["GET"]),
                Route("/v1/Outbound/{outbound}", self._api(self._outbound), methods=["GET"]),
                Route("/v1/Outbound/{outbound}/Calls", self._api(self._calls), methods=["POST"]),
                Route(ACCOUNT, self._api(self._account), methods=["GET"]),
                Mount("/_sim", routes=control_routes(self)),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            scope = {**scope, answers.CUT_OFF: answers.way_to_cut_off(send)}
        await self._app(scope, receive, send)

    def _api(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers by ``handler``, unless a fault answers in its place."""

        async def endpoint(request: Request) -> Response:
            await request.body()
            outbound = request.path_params.get("outbound")
            struck = self.faults.strike(outbound or request.url.path, self.clock())
            if "slow" in struck:
                await self.sleep(struck["slow"].number("seconds"))
            answer = misbehaviour.refusal(struck, self.clock()) or self._refused(request)
            if answer is None:
                answer = misbehaviour.disfigured(await handler(request, struck), struck)
            skew = struck["skew"].number("seconds") if "skew" in struck else 0.0
            answer.headers["date"] = answers.http_date(self.clock() + skew * 1000)
            answer = answers.squeezed(answer, request.headers.get("accept-encoding", ""))
            sent = misbehaviour.conveyed(answer, struck, self.sleep)
            dropped = isinstance(sent, answers.Dropping)
            known = outbound if outbound in self.campaigns else None
            self.traffic.count(known, None if dropped else sent.status_code, len(answer.body))
            return sent

        return endpoint

    def _refused(self, request: Request) -> Response | None:
        """Return a 401 or 404 if the request has no right token or names no outbound of ours."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        wrong = token != self.token if self.token is not None else not token.strip()
        if scheme.lower() != "bearer" or wrong:
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        outbound = request.path_params.get("outbound")
        if outbound is None or outbound in self.campaigns.keys() - self.platform.gone:
            return None
        return answers.problem(404)

    async def _outbounds(self, _request: Request, struck: Struck) -> Response:
        return answers.plain_json(self.platform.listing(self.campaigns.values(), struck))

    async def _outbound(self, request: Request, _struck: Struck) -> Response:
        campaign = self.campaigns[request.path_params["outbound"]]
        return answers.plain_json(self.platform.about(campaign))

    async def _account(self, _request: Request, _struck: Struck) -> Response:
        return answers.plain_json(self.platform.of_account(self.campaigns.values()))

    async def _calls(self, request: Request, struck: Struck) -> Response:
        campaign = self.campaigns[request.path_params["outbound"]]
        raw = await request.body()
        try:
            search = search_of(raw, max_limit=self.max_limit)
        except BadBody as bad:
            return answers.problem(400, **{bad.field: str(bad)})
        refused = struck.get("limit_refused")
        if refused is not None and asked_limit(raw) > refused.number("limit"):
            return answers.problem(400, limit=f"must be at most {refused.number('limit'):.0f}.")
        now = self.clock()
        search = misbehaviour.misread(search, struck)
        if "shifting" in struck and search.skip > 0:
            self._shifts.shift(campaign, replace(search, skip=0, limit=1), now)
        page = misbehaviour.page(campaign, search, struck, now)
        return answers.plain_json(misbehaviour.told(campaign, page, struck, now))
