"""The commands and their options; what each does is in a file of its own."""

import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from pearl_exporter import __version__
from pearl_exporter.api.resolver import ResolverLoop
from pearl_exporter.app import build_app
from pearl_exporter.cli.check import run_check
from pearl_exporter.cli.explain import run_explain
from pearl_exporter.cli.once import can_be_written, run_once
from pearl_exporter.cli.simulated import run_demo, run_simulate
from pearl_exporter.config import (
    ConfigError,
    ListenAddress,
    LogSettings,
    Settings,
    load_settings,
    parse_listen,
)
from pearl_exporter.errors import DiskError, PearlError, StateError
from pearl_exporter.logs import print_uncaught, set_up_logging
from pearl_exporter.reload import Reloader
from pearl_exporter.serving import hold_hangups, listen_on, run
from pearl_exporter.simulator import (
    FAULTS,
    FaultError,
    SimulatedClock,
    build_simulator,
    default_campaigns,
)
from pearl_exporter.state.store import Store, open_store

FAILED = 1
MISUSED = 2
_LISTEN_HINTS = {
    errno.EADDRINUSE: "is another one running? Name another address "
    "(serve: web.listen; demo: --listen)",
    errno.EACCES: "a port below 1024 is for root alone: name a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address: name one that it has, or 0.0.0.0",
}

_log = logging.getLogger(__name__)

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


class _Listen(click.ParamType[ListenAddress]):
    name = "HOST:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ListenAddress:
        if isinstance(value, ListenAddress):
            return value
        try:
            return parse_listen(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _FilePath(click.Path):
    """A path that is not empty: a shell makes one of a variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value:
            self.fail("the name is empty; name a file, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)


def _config_option(command: Command) -> Command:
    return click.option(
        "--config",
        "config",
        metavar="FILE",
        envvar="PEARL_CONFIG",
        type=_FilePath(path_type=Path),
        help="The configuration file (YAML). Without it PEARL_CONFIG names the file, or "
        "environment variables alone are the configuration.",
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pearl-exporter")
def main() -> None:
    """A Prometheus exporter for the outbound calls of NLPearl.AI.

    \b
    See it work, without an account:   pearl-exporter demo
    Try your configuration:            pearl-exporter check --config config.yml
    Run it:                            pearl-exporter serve --config config.yml

    Exit codes: 0 well, 1 failed at its job, 2 bad usage or configuration, or an unusable state.
    """  # noqa: D301 - \b is click's, where lines are to stay as they are
    sys.excepthook = print_uncaught


@main.command()
@_config_option
def serve(config: Path | None) -> None:
    """Poll the configured outbounds and serve /metrics: the main job.

    Ends within 5 s on SIGTERM or SIGINT. Reads the configuration anew on SIGHUP, and on
    POST /-/reload where web.enable_reload allows it; a bad one is refused and the old one kept.
    """
    hold_hangups()
    settings = _settings(config)
    set_up_logging(settings.log)
    with _listener(settings.web.listen, "web.listen") as listener:
        address = ListenAddress(*listener.getsockname()[:2])

        def announce() -> None:
            _log.info(
                "listening",
                extra={
                    "address": str(address),
                    "version": __version__,
                    "outbounds": len(settings.outbounds),
                    "state": settings.state.url,
                },
            )

        app = build_app(settings, store=_store(settings.state.url))
        reloader = Reloader(app, lambda: load_settings(config, os.environ))
        _run(run(app, listener, announce=announce, reload=reloader.reload))


@main.command()
@_config_option
def check(config: Path | None) -> None:
    """Try a configuration on the API, one call of each outbound.

    With discovery it also tries those that it finds, and says which it leaves out. Prints a line
    for each outbound and how many requests a minute the configuration needs, against
    api.rate_limit. Touches no state. Exits with 0 if all are well, 1 if not, 2 if the
    configuration is bad.
    """
    settings = _settings(config)
    set_up_logging(LogSettings(level="error"))
    sys.exit(0 if _run(run_check(settings)) else FAILED)


@main.command()
@_config_option
@click.option(
    "--output",
    metavar="FILE",
    type=_FilePath(path_type=Path, dir_okay=False),
    help="Write there, by rename, instead of to standard output: for a textfile collector.",
)
def once(config: Path | None, output: Path | None) -> None:
    """Poll every outbound once and print its window and health. Discovers outbounds before.

    In the text format. Prints no counters, as one poll can't tell what happened since another, and
    touches no state.
    """
    settings = _settings(config)
    set_up_logging(LogSettings(level="error"))
    if output is not None and not can_be_written(output):
        _end(f"--output {output}: its folder does not exist or can't be written to", MISUSED)
    sys.exit(0 if _run(run_once(settings, output)) else FAILED)


@main.command()
@_config_option
@click.argument("call_id", metavar="CALL_ID")
@click.option("--outbound", metavar="NAME", help="Look at this one alone, by its name or id.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def explain(config: Path | None, call_id: str, outbound: str | None, *, as_json: bool) -> None:
    """Tell what is known of one call, such as an exemplar's.

    When it was first seen, when and as what it was counted or why not, and what was revised since.
    Reads the state beside the exporter that runs, and changes nothing. Exits with 0 if the call is
    tracked, 1 if not, 2 if the state can't be read. Needs no token.
    """
    settings = _settings(config, asks_api=False)
    try:
        text, is_known = run_explain(settings, call_id, outbound, as_json=as_json)
    except LookupError as error:
        _end(f"--outbound: {error}", MISUSED)
    except StateError as error:
        _refuse_state(error)
    click.echo(text, nl=as_json)
    sys.exit(0 if is_known else FAILED)


@main.command()
@click.option(
    "--listen", type=_Listen(), default="127.0.0.1:10043", show_default=True, help="Where to serve."
)
@click.option("--seed", default=0, show_default=True, help="Another seed is another world.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Simulated seconds a second.",
)
@click.option("--token", metavar="TOKEN", help="The only token let in; without it, any is.")
@click.option(
    "--outbounds", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:SHARE][,KEY=VALUE…]",
    help="Misbehave: NAME for this share of the requests, as in rate_limit:0.1,retry_after=2. "
    f"May be given several times. Names: {', '.join(FAULTS)}.",
)
def simulate(  # noqa: PLR0913, PLR0917 - one argument an option
    listen: ListenAddress,
    seed: int,
    speed: float,
    token: str | None,
    outbounds: int,
    faults: tuple[str, ...],
) -> None:
    """Serve a simulated NLPearl API alone.

    Its campaigns are seeded and have a day of history. It speaks the v1 calls search,
    GET /v1/Outbound and GET /v1/Account. Under /_sim/ it tells the truth to compare an exporter
    with, and takes faults, incidents and the time of day.
    """
    set_up_logging(LogSettings())
    clock = SimulatedClock(speed=speed)
    try:
        simulator = build_simulator(
            default_campaigns(seed, clock(), outbounds),
            clock=clock,
            token=token,
            faults=faults,
            seed=seed,
        )
    except FaultError as error:
        _end(f"--fault: {error}", MISUSED)
    _run(run_simulate(simulator, _listener(listen, "--listen")))


@main.command()
@click.option(
    "--listen", type=_Listen(), default="127.0.0.1:10042", show_default=True, help="Where to serve."
)
@click.option("--seed", default=0, show_default=True, help="Another seed is another world.")
def demo(listen: ListenAddress, seed: int) -> None:
    """Run exporter and simulated API together.

    No account, no token: three campaigns under way, whose calls move every second, and an incident
    after two minutes.
    """
    set_up_logging(LogSettings())
    _run(run_demo(_listener(listen, "--listen"), seed))


def _settings(config: Path | None, *, asks_api: bool = True) -> Settings:
    try:
        return load_settings(config, os.environ, asks_api=asks_api)
    except ConfigError as error:
        _refuse(error)


def _refuse(error: ConfigError) -> NoReturn:
    for problem in error.problems:
        click.echo(f"pearl-exporter: {problem}", err=True)
    sys.exit(MISUSED)


def _store(url: str) -> Store:
    try:
        return open_store(url)
    except StateError as error:
        _refuse_state(error)


def _refuse_state(error: StateError) -> NoReturn:
    _end(f"state.url: {error}", FAILED if isinstance(error, DiskError) else MISUSED)


def _listener(address: ListenAddress, key: str) -> socket.socket:
    try:
        return listen_on(address)
    except OSError as error:
        # asyncio's and socket's texts say the address again
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        hint = f": {told}" if (told := _LISTEN_HINTS.get(error.errno or 0)) else ""
        _end(f"{key}: can't listen on {address}: {reason or error}{hint}", FAILED)


def _run(job: Coroutine[Any, Any, Result]) -> Result:
    """Runs a command's job; what goes wrong on purpose is one line, never a traceback."""
    try:
        with asyncio.Runner(loop_factory=ResolverLoop) as runner:
            return runner.run(job)
    except StateError as error:
        _refuse_state(error)
    except ConfigError as error:  # a file that was well when the settings were read
        _refuse(error)
    except PearlError as error:
        _end(str(error), FAILED)
    except BrokenPipeError:
        raise  # whoever read has had enough: click ends quietly
    except OSError as error:
        _end(f"{error.filename or 'output'}: {error.strerror or error}", FAILED)
    except KeyboardInterrupt:
        _end("interrupted", FAILED)


def _end(message: str, code: int) -> NoReturn:
    click.echo(f"pearl-exporter: {message}", err=True)
    sys.exit(code)
