"""``simulate``: the simulated API alone."""

import asyncio
import socket
from dataclasses import dataclass

import click

from pearl_exporter.cli.exits import MISUSED, exit_with, listen_or_exit, run_or_exit
from pearl_exporter.config import ListenAddress, LogSettings
from pearl_exporter.logs import log_in_thread, set_up_logging
from pearl_exporter.serving import Server, new_server, stop_event
from pearl_exporter.simulator import (
    FaultError,
    SimulatedClock,
    Simulator,
    build_simulator,
    default_campaigns,
)


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """The options of ``simulate``.

    Attributes:
        seed: The seed of the calls.
        speed: Simulated seconds per second.
        token: The only token that is accepted; None for any.
        outbounds: How many outbounds there are.
        faults: The faults, each as in ``rate_limit:0.1,retry_after=2``.
    """

    seed: int
    speed: float
    token: str | None
    outbounds: int
    faults: tuple[str, ...]


def run_simulate(listen: ListenAddress, options: SimulatorOptions) -> None:
    """Serve the simulated API until SIGTERM or SIGINT; exit with 2 if a fault is wrong."""
    set_up_logging(LogSettings())
    log_in_thread()
    clock = SimulatedClock(speed=options.speed)
    try:
        simulator = build_simulator(
            default_campaigns(options.seed, clock(), options.outbounds),
            clock=clock,
            token=options.token,
            faults=options.faults,
            seed=options.seed,
        )
    except FaultError as error:
        exit_with(f"--fault: {error}", MISUSED)
    run_or_exit(_serve(simulator, listen_or_exit(listen, "--listen")))


async def _serve(simulator: Simulator, listener: socket.socket) -> None:
    server = simulator_server(simulator)
    stop = stop_event()
    url = url_of(listener)
    click.echo(f"the simulated NLPearl API listens on {url}, with these outbounds:")
    for campaign in simulator.campaigns.values():
        click.echo(f"  {campaign.outbound_id}  {campaign.profile.name}")
    click.echo(f"its faults and incidents: {url}/_sim/state")
    serving = asyncio.create_task(server.serve([listener]))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    server.should_exit = True
    await serving


def simulator_server(simulator: Simulator) -> Server:
    """Return a server for the simulated API, whose ``Date`` header is the simulated time."""
    return new_server(simulator, date_header=False)


def url_of(listener: socket.socket) -> str:
    """Return the URL under which a browser on this machine reaches a listening socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 - to open it
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
