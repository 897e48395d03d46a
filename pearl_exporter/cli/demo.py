"""``demo``: the exporter and the simulated API in one process."""

import json
import socket
import time
from collections.abc import Iterable
from typing import Any

import click
from pydantic import SecretStr

from pearl_exporter.app import build_app
from pearl_exporter.cli.exits import listen_or_exit, run_or_exit
from pearl_exporter.cli.simulate import simulator_server, url_of
from pearl_exporter.config import (
    AccountSettings,
    ApiSettings,
    DiscoverySettings,
    ListenAddress,
    LogSettings,
    OutboundSettings,
    PollSettings,
    Settings,
    TokenSource,
    WebSettings,
)
from pearl_exporter.logs import dropped_lines, log_in_thread, set_up_logging
from pearl_exporter.serving import listen_on, run
from pearl_exporter.simulator import (
    Campaign,
    SimulatedClock,
    build_simulator,
    default_campaigns,
    demo_incident,
)

TIMINGS: dict[str, Any] = {"interval": 2.0, "window": 600.0, "settle": 20.0}
"""Quick polls of a short window, in seconds: a demo shows what changes."""

PLATFORM_SECONDS = 10.0
"""How often the demo reads the list of outbounds and the account."""

RATE_LIMIT = 50.0
"""Requests a second: the simulated API has no limit of its own."""


def run_demo(listen: ListenAddress, seed: int) -> None:
    """Run simulator and exporter together until SIGTERM or SIGINT.

    Args:
        listen: Where the exporter listens. The simulated API takes any free port.
        seed: The seed of the simulated calls.
    """
    set_up_logging(LogSettings())
    log_in_thread()
    run_or_exit(_run(listen_or_exit(listen, "--listen"), seed))


async def _run(listener: socket.socket, seed: int) -> None:
    clock = SimulatedClock()
    campaigns = default_campaigns(seed, clock())
    incident = demo_incident(clock())
    campaigns[0].add_incident(incident, clock())
    simulator = build_simulator(campaigns, clock=clock, seed=seed)
    api = listen_on(ListenAddress("127.0.0.1", 0))
    settings = _demo_settings(campaigns, url_of(api), ListenAddress(*listener.getsockname()[:2]))

    def announce() -> None:
        seconds = (incident.start_ms - clock()) / 1000
        _introduce(url_of(listener), url_of(api), campaigns, seconds)

    others = [(simulator_server(simulator), api)]
    app = build_app(settings, log_lines_dropped=dropped_lines)
    await run(app, listener, others, announce=announce)


def _demo_settings(campaigns: Iterable[Campaign], api_url: str, listen: ListenAddress) -> Settings:
    secret = SecretStr("demo:demo")
    token = TokenSource(literal=secret)
    return Settings(
        api=ApiSettings(url=api_url, token=secret, rate_limit=RATE_LIMIT),
        discovery=DiscoverySettings(enabled=True, interval=PLATFORM_SECONDS),
        account=AccountSettings(enabled=True, interval=PLATFORM_SECONDS),
        poll=PollSettings(**TIMINGS),
        outbounds=tuple(
            OutboundSettings(
                id=campaign.outbound_id, name=campaign.profile.name, token=token, **TIMINGS
            )
            for campaign in campaigns
        ),
        web=WebSettings(listen=listen),
    )


def _introduce(url: str, api_url: str, campaigns: list[Campaign], seconds: float) -> None:
    """Print where to look and what to try.

    Args:
        url: The exporter.
        api_url: The simulated API.
        campaigns: The campaigns; the incident is the first one's.
        seconds: When the incident begins, from now.
    """
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
Make one of your own:  curl {api_url}/_sim/incidents -H Content-Type:application/json -d '{body}'

Ctrl-C ends it.
"""
    )
