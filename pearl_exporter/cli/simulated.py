"""``simulate`` and ``demo``: the simulated API alone, and the exporter over it."""

import asyncio
import json
import socket
import time
from collections.abc import Iterable

import click
from pydantic import SecretStr

from pearl_exporter.app import build_app
from pearl_exporter.config import (
    AccountSettings,
    ApiSettings,
    DiscoverySettings,
    ListenAddress,
    OutboundSettings,
    PollSettings,
    Settings,
    TokenSource,
    WebSettings,
)
from pearl_exporter.serving import Server, listen_on, new_server, run, stop_event
from pearl_exporter.simulator import (
    Campaign,
    SimulatedClock,
    Simulator,
    build_simulator,
    default_campaigns,
    demo_incident,
)

DEMO_INTERVAL_SECONDS = 2.0
DEMO_WINDOW_SECONDS = 600.0
DEMO_SETTLE_SECONDS = 20.0
DEMO_PLATFORM_SECONDS = 10.0
DEMO_RATE_LIMIT = 50.0
"""The simulated API has no limit to be careful with, and a demo shows what changes."""


def simulator_server(simulator: Simulator) -> Server:
    """A server for the simulated API, whose ``Date`` is the simulated time."""
    return new_server(simulator, date_header=False)


async def run_simulate(simulator: Simulator, listener: socket.socket) -> None:
    """Serves the simulated API until SIGTERM or SIGINT."""
    server = simulator_server(simulator)
    stop = stop_event()
    url = _url(listener)
    click.echo(f"the simulated NLPearl API listens on {url}, with these outbounds:")
    for campaign in simulator.campaigns.values():
        click.echo(f"  {campaign.outbound_id}  {campaign.profile.name}")
    click.echo(f"what it is told to do wrong: {url}/_sim/state")
    serving = asyncio.create_task(server.serve([listener]))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    server.should_exit = True
    await serving


async def run_demo(listener: socket.socket, seed: int) -> None:
    """Runs simulator and exporter together, an incident ahead, until SIGTERM or SIGINT."""
    clock = SimulatedClock()
    campaigns = default_campaigns(seed, clock())
    incident = demo_incident(clock())
    campaigns[0].add_incident(incident, clock())
    simulator = build_simulator(campaigns, clock=clock, seed=seed)
    api = listen_on(ListenAddress("127.0.0.1", 0))
    settings = demo_settings(campaigns, _url(api), ListenAddress(*listener.getsockname()[:2]))

    def announce() -> None:
        seconds = (incident.start_ms - clock()) / 1000
        _introduce(_url(listener), _url(api), campaigns, seconds)

    others = [(simulator_server(simulator), api)]
    await run(build_app(settings), listener, others, announce=announce)


def demo_settings(campaigns: Iterable[Campaign], api_url: str, listen: ListenAddress) -> Settings:
    """How the demo's exporter is configured: quick polls of a short window."""
    secret = SecretStr("demo:demo")
    token = TokenSource(literal=secret)
    return Settings(
        api=ApiSettings(url=api_url, token=secret, rate_limit=DEMO_RATE_LIMIT),
        discovery=DiscoverySettings(enabled=True, interval=DEMO_PLATFORM_SECONDS),
        account=AccountSettings(enabled=True, interval=DEMO_PLATFORM_SECONDS),
        poll=PollSettings(
            interval=DEMO_INTERVAL_SECONDS,
            window=DEMO_WINDOW_SECONDS,
            settle=DEMO_SETTLE_SECONDS,
        ),
        outbounds=tuple(
            OutboundSettings(
                id=campaign.outbound_id,
                name=campaign.profile.name,
                token=token,
                interval=DEMO_INTERVAL_SECONDS,
                window=DEMO_WINDOW_SECONDS,
                settle=DEMO_SETTLE_SECONDS,
            )
            for campaign in campaigns
        ),
        web=WebSettings(listen=listen),
    )


def _introduce(url: str, api_url: str, campaigns: list[Campaign], seconds: float) -> None:
    names = ", ".join(campaign.profile.name for campaign in campaigns)
    body = json.dumps(
        {
            "outbound": campaigns[1].outbound_id,
            "kind": "unreachable",
            "share": 0.7,
            "after_seconds": 5,
            "lasting_seconds": 120,
        }
    )
    click.echo(
        f"""pearl-exporter demo: three simulated campaigns under way ({names})

  the page      {url}/
  the metrics   {url}/metrics
  the API       {api_url}/_sim/state   (simulated; any bearer token)

At {time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))} an incident begins: \
for 6 minutes most calls of {campaigns[0].profile.name} end in error.
Make one of your own:  curl {api_url}/_sim/incidents -d '{body}'

Ctrl-C ends it.
"""
    )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 - to open it
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
