"""The paths under ``/_sim/``, by which a running simulator is inspected and controlled.

They need no token. A web page that somebody has open must not reach them: a request with an
``Origin`` is refused, and one with a body that is not declared as JSON, which a browser sends to
other hosts without asking.

==========  ==========  ===========================================================================
GET         state       the time, the outbounds, the faults that are on and how often each has hit
POST        faults      a list of faults (flags or objects), or ``{"faults": [...]}``: on are these
DELETE      faults      all faults off
POST        incidents   ``{"outbound", "kind", "share", "after_seconds", "lasting_seconds"}``
POST        outbounds   ``{"outbound", "name", "status", "gone": true, …}``: what the list says
POST        account     ``{"creditBalance", "status", …}``: what the account says
POST        clock       ``{"paused": true}``, ``{"advance_seconds": 5}``, ``{"set": "2026-…Z"}``
GET         truth       what an exact exporter must publish:
                        ``?outbound=ID&at=ISO|ms&window=SECONDS`` (``&rows=1`` with the rows)
GET         requests    how many requests were answered, by outbound and HTTP status, and bytes
==========  ==========  ===========================================================================

A wrong request gets 400 and a text that says what was wanted, one of a web page 403 or 415. The
clock can be moved, and the truth asked for, at most `MAX_AHEAD_MS` ahead: all calls until then have
to be generated.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.incident import Incident
from pearl_exporter.simulator.search_body import moment_us
from pearl_exporter.simulator.state import SimulatorState
from pearl_exporter.simulator.truth import truth

MAX_AHEAD_MS = 7 * 24 * 3_600_000

Endpoint = Callable[[Request], Awaitable[Response]]


def control_routes(simulator: SimulatorState) -> list[Route]:
    """Return the routes that control ``simulator``, to be mounted under ``/_sim``."""
    control = _Control(simulator)
    return [
        Route("/state", _json_endpoint(control.state), methods=["GET"]),
        Route("/faults", _json_endpoint(control.set_faults), methods=["POST"]),
        Route("/faults", _json_endpoint(control.clear_faults), methods=["DELETE"]),
        Route("/incidents", _json_endpoint(control.add_incident), methods=["POST"]),
        Route("/outbounds", _json_endpoint(control.change_outbound), methods=["POST"]),
        Route("/account", _json_endpoint(control.change_account), methods=["POST"]),
        Route("/clock", _json_endpoint(control.set_clock), methods=["POST"]),
        Route("/truth", _json_endpoint(control.truth), methods=["GET"]),
        Route("/requests", _json_endpoint(control.requests), methods=["GET"]),
    ]


def _json_endpoint(handler: Callable[[Request], Awaitable[Any]]) -> Endpoint:
    """Return an endpoint that answers with what ``handler`` returns, or a 400 with its error."""

    async def endpoint(request: Request) -> Response:
        if "origin" in request.headers:
            return PlainTextResponse("refused: requests of web pages, with an Origin\n", 403)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and content_type != "application/json":
            return PlainTextResponse("wanted Content-Type: application/json\n", 415)
        try:
            value = await handler(request)
        except (ValueError, TypeError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        return Response(msgspec.json.encode(value), media_type="application/json")

    return endpoint


class _Control:
    """One method for each path. A method returns plain values, or raises for a wrong request."""

    def __init__(self, simulator: SimulatorState) -> None:
        self._simulator = simulator

    async def state(self, _request: Request) -> dict[str, Any]:
        simulator = self._simulator
        now = simulator.clock()
        return {
            "now": datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds"),
            "now_ms": now,
            "paused": simulator.clock.paused,
            "speed": simulator.clock.speed,
            "outbounds": [
                {
                    "id": campaign.outbound_id,
                    "name": campaign.profile.name,
                    "seed": campaign.seed,
                    "start_ms": campaign.start_ms,
                    "calls": campaign.count(campaign.start_ms, now, now),
                    "incidents": campaign.incidents,
                }
                for campaign in simulator.campaigns.values()
            ],
            "faults": [fault.as_json() for fault in simulator.faults.active],
            "fault_hits": dict(simulator.faults.hits),
        }

    async def set_faults(self, request: Request) -> list[dict[str, Any]]:
        given = await _json(request)
        faults = given.get("faults") if isinstance(given, dict) and "faults" in given else given
        faults = faults if isinstance(faults, list) else [faults]
        if not all(isinstance(each, str | dict) for each in faults):
            raise ValueError("a fault is a flag (text) or an object")
        self._simulator.faults.set(faults, self._simulator.clock())
        return [fault.as_json() for fault in self._simulator.faults.active]

    async def clear_faults(self, _request: Request) -> list[Any]:
        self._simulator.faults.clear()
        return []

    async def add_incident(self, request: Request) -> list[Incident]:
        given = await _object(request)
        campaign = self._campaign(given.get("outbound"))
        now = self._simulator.clock()
        start = now + round(_number(given, "after_seconds", 0.0) * 1000)
        incident = Incident(
            kind=str(given.get("kind", "error")),
            start_ms=start,
            end_ms=start + round(_number(given, "lasting_seconds", 300.0) * 1000),
            share=_number(given, "share", 0.8),
        )
        campaign.add_incident(incident, now)
        return campaign.incidents

    async def change_outbound(self, request: Request) -> dict[str, Any]:
        given = await _object(request)
        campaign = self._campaign(given.pop("outbound", None))
        self._simulator.platform.change_outbound(campaign.outbound_id, given)
        return self._simulator.platform.outbound_row(campaign)

    async def change_account(self, request: Request) -> dict[str, Any]:
        self._simulator.platform.account.update(await _object(request))
        return self._simulator.platform.account_row(self._simulator.campaigns.values())

    async def set_clock(self, request: Request) -> dict[str, Any]:
        given = await _object(request)
        clock = self._simulator.clock
        if not given or given.keys() - {"paused", "advance_seconds", "set"}:
            raise ValueError('wanted "paused", "advance_seconds" or "set"')
        paused = given.get("paused")
        if paused not in (None, True, False):
            raise ValueError(f"paused is {paused!r}, wanted true or false")
        if "set" in given:
            clock.set_ms(self._near_ms(_moment_ms(str(given["set"]))))
        if "advance_seconds" in given:
            seconds = _number(given, "advance_seconds", 0.0)
            self._near_ms(clock() + seconds * 1000)
            clock.advance(seconds)
        if paused is not None:
            (clock.pause if paused else clock.resume)()
        return {"now_ms": clock(), "paused": clock.paused}

    async def truth(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        at_ms = self._simulator.clock()
        if "at" in asked:
            at_ms = self._near_ms(_moment_ms(asked["at"]))
        window_ms = round(float(asked.get("window", "3600")) * 1000)
        campaign = self._campaign(asked.get("outbound"))
        return truth(campaign, at_ms, window_ms).as_json(rows=asked.get("rows") == "1")

    async def requests(self, _request: Request) -> dict[str, Any]:
        return self._simulator.traffic.as_json()

    def _near_ms(self, moment_ms: float) -> int:
        """Return the moment; raise ValueError if it is too far ahead, or NaN."""
        if not moment_ms - self._simulator.clock() <= MAX_AHEAD_MS:
            raise ValueError("wanted a moment at most 7 days ahead")
        return int(moment_ms)

    def _campaign(self, outbound: object) -> Campaign:
        """Return the campaign of that id or name; raise ValueError if there is none."""
        for campaign in self._simulator.campaigns.values():
            if outbound in (campaign.outbound_id, campaign.profile.name):
                return campaign
        names = ", ".join(
            f"{each.outbound_id} ({each.profile.name})"
            for each in self._simulator.campaigns.values()
        )
        raise ValueError(f"there is no outbound {outbound!r}; there are: {names}")


async def _json(request: Request) -> Any:
    return msgspec.json.decode(await request.body())


async def _object(request: Request) -> dict[str, Any]:
    given = await _json(request)
    if not isinstance(given, dict):
        raise TypeError("wanted an object")
    return given


def _number(given: dict[str, Any], name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}, wanted a number")
    return float(value)


def _moment_ms(text: str) -> int:
    return int(text) if text.lstrip("-").isdigit() else moment_us("time", text) // 1000
