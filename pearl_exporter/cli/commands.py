"""The commands with their options and help; what each does is in a module of its own.

A command imports its module when it runs. Nothing else is imported here but click, so that
``--help``, ``--version`` and bad usage are answered at once.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pearl_exporter import __version__
from pearl_exporter.logs import print_uncaught

if TYPE_CHECKING:
    from pearl_exporter.config import ListenAddress

Command = TypeVar("Command", bound=Callable[..., Any])


class _Listen(click.ParamType["ListenAddress"]):
    """An address to listen on."""

    name = "HOST:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "ListenAddress":
        from pearl_exporter.config import ListenAddress, parse_listen

        if isinstance(value, ListenAddress):
            return value
        try:
            return parse_listen(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _FilePath(click.Path):
    """A path that is not empty, which a shell makes of a variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value:
            self.fail("the name is empty; name a file, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)


class _FaultOption(click.Option):
    """An option whose help ends with the names of the simulator's faults."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from pearl_exporter.simulator import FAULTS

        record = super().get_help_record(ctx)
        return record and (record[0], f"{record[1]} Names: {', '.join(FAULTS)}.")


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


def _listen_option(default: str) -> Callable[[Command], Command]:
    return click.option(
        "--listen", type=_Listen(), default=default, show_default=True, help="Where to serve."
    )


def _seed_option(command: Command) -> Command:
    return click.option(
        "--seed", default=0, show_default=True, help="Seed of the simulated calls."
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pearl-exporter")
def main() -> None:
    """A Prometheus exporter for the outbound calls of NLPearl.AI.

    \b
    See it work, without an account:   pearl-exporter demo
    Test your configuration:           pearl-exporter check --config config.yml
    Run it:                            pearl-exporter serve --config config.yml

    Exit codes: 0 success, 1 the command failed, 2 bad usage, bad configuration or unusable state.
    """  # noqa: D301 - \b tells click to keep the line breaks
    sys.excepthook = print_uncaught
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal may lack a character of a name; standard error escapes it by default
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command()
@_config_option
def serve(config: Path | None) -> None:
    """Poll the configured outbounds and serve /metrics: the main job.

    Ends within 5 s on SIGTERM or SIGINT. Reads the configuration again on SIGHUP, and on
    POST /-/reload if web.enable_reload is true; a bad one is refused and the old one kept.
    """
    from pearl_exporter.cli.serve import run_serve

    run_serve(config)


@main.command()
@_config_option
def check(config: Path | None) -> None:
    """Test a configuration on the API, with one request per outbound.

    With discovery it also tests the outbounds that it finds, and lists those that it leaves out.
    Of one outbound of each token, it asks up to ten times in all what the API makes of order,
    range, count and filter. Prints a line for each outbound and for each of these habits, and how
    many requests a minute the configuration needs, against api.rate_limit. Touches no state.
    Exits with 0 if all are well, 1 if not, 2 if the configuration is bad.
    """
    from pearl_exporter.cli.check import run_check

    run_check(config)


@main.command()
@_config_option
@click.option(
    "--output",
    metavar="FILE",
    type=_FilePath(path_type=Path, dir_okay=False),
    help="Write to this file, by rename, instead of to standard output: for a textfile collector.",
)
def once(config: Path | None, output: Path | None) -> None:
    """Poll every outbound once and print its window and health.

    With discovery it finds the outbounds first. Prints the text format, and no counters: one poll
    can't know what happened since another. Touches no state.
    """
    from pearl_exporter.cli.once import run_once

    run_once(config, output)


@main.command()
@_config_option
@click.argument("call_id", metavar="CALL_ID")
@click.option("--outbound", metavar="NAME", help="Only this outbound, by its name or id.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(config: Path | None, call_id: str, outbound: str | None, *, as_json: bool) -> None:
    """Show what is known about one call, such as an exemplar's.

    When it was first seen, when and as what it was counted or why not, and what was revised since.
    Reads the state, also of an exporter that runs, and changes nothing. Exits with 0 if the call
    is tracked, 1 if not, 2 if the state can't be read. Needs no token.
    """
    from pearl_exporter.cli.explain import run_explain

    run_explain(config, call_id, outbound, as_json=as_json)


@main.command()
@_listen_option("127.0.0.1:10043")
@_seed_option
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Simulated seconds per second.",
)
@click.option(
    "--token", metavar="TOKEN", help="The only token that is accepted; by default any token is."
)
@click.option(
    "--outbounds",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="How many outbounds there are.",
)
@click.option(
    "--fault",
    "faults",
    cls=_FaultOption,
    multiple=True,
    metavar="NAME[:SHARE][,KEY=VALUE…]",
    help="Misbehave: NAME for this share of the requests, as in rate_limit:0.1,retry_after=2. "
    "May be given several times.",
)
def simulate(listen: "ListenAddress", **options: Any) -> None:
    """Serve a simulated NLPearl API alone.

    Its campaigns follow from the seed and have a day of history. It answers the v1 calls search,
    GET /v1/Outbound and GET /v1/Account. Under /_sim/ it publishes the truth to compare an
    exporter with, and accepts faults, incidents and the time of day.
    """
    from pearl_exporter.cli.simulate import SimulatorOptions, run_simulate

    run_simulate(listen, SimulatorOptions(**options))


@main.command()
@_listen_option("127.0.0.1:10042")
@_seed_option
def demo(listen: "ListenAddress", seed: int) -> None:
    """Run exporter and simulated API together.

    No account, no token: three campaigns are under way, their calls change every second, and an
    incident begins after two minutes.
    """
    from pearl_exporter.cli.demo import run_demo

    run_demo(listen, seed)
