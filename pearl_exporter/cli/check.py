"""``check``: does this configuration work, and does it fit the request budget?"""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import click

from pearl_exporter.app import PLAIN_HTTP, App, build_app
from pearl_exporter.cli.check_habits import Finding, Trial, busiest, clock_note
from pearl_exporter.cli.check_platform import ask_platform
from pearl_exporter.cli.exits import FAILED, load_settings_or_exit, run_or_exit
from pearl_exporter.cli.wait_notices import NOTICE_SECONDS, notices_while_waiting
from pearl_exporter.config import LogSettings, Settings, TokenSource
from pearl_exporter.config.addresses import is_readable_on_the_way
from pearl_exporter.config.durations import format_duration
from pearl_exporter.config.web.certificate_dates import date_problem
from pearl_exporter.config.web.load import EMPTY_WEB_CONFIG, read_web_config
from pearl_exporter.errors import ApiError
from pearl_exporter.logs import set_up_logging
from pearl_exporter.reading.cost import usual_requests
from pearl_exporter.reading.habits import Judgement, Verdict


def run_check(config: Path | None, *, notice_seconds: float = NOTICE_SECONDS) -> NoReturn:
    """Test the configuration and exit with 0 if all is well, else with 1.

    Args:
        config: The configuration file; None for the environment alone.
        notice_seconds: How often to say what the command waits for.
    """
    settings = load_settings_or_exit(config)
    set_up_logging(LogSettings(level="error"))
    sys.exit(0 if run_or_exit(_check(settings, notice_seconds)) else FAILED)


async def _check(settings: Settings, notice_seconds: float) -> bool:
    app = build_app(settings)
    try:
        return await check_app(app, settings, notice_seconds)
    finally:
        await app.stop()


async def check_app(
    app: App, settings: Settings, notice_seconds: float, echo: Callable[[str], None] = click.echo
) -> bool:
    """Print a line for each outbound, each habit of the API and the budget.

    Args:
        app: The application that sends the requests; it is not started.
        settings: The settings as they are configured, without what is discovered.
        notice_seconds: How often to say what the command waits for.
        echo: Prints a line.

    Returns:
        Whether all is well.
    """
    findings: list[Finding] = []
    async with notices_while_waiting(app, lambda: app.platform.asking, notice_seconds):
        lines, is_well = await ask_platform(app, settings)
    for line in lines:
        echo(line)
    trial = Trial(app, notice_seconds)
    for outbound in app.settings.outbounds:
        finding = await trial.window(outbound)
        if not findings:
            # the first answer shows the API's clock, by which all others are asked
            finding = await trial.by_the_right_clock(finding)
        findings.append(finding)
        echo(_line(finding))
    if not app.settings.outbounds:
        found = " or found" if settings.discovery.enabled else ""
        echo(f"no outbounds configured{found}: nothing to check")
    verdicts = await _habits(app, trial, findings, echo)
    for line in (*_warning_lines(settings), *_budget_lines(settings, findings)):
        echo(line)
    are_asked = all(finding.error is None for finding in findings)
    return is_well and are_asked and Verdict.FAIL not in verdicts


async def _habits(
    app: App, trial: Trial, findings: list[Finding], echo: Callable[[str], None]
) -> set[Verdict]:
    """Print a line for each habit of the API, for each token; return the verdicts."""
    verdicts: set[Verdict] = set()
    tried = [await trial.by_the_right_clock(finding) for finding in busiest(findings)]
    for finding in tried:
        try:
            judgements = await trial.habits(finding)
        except ApiError as error:
            judgements = [Judgement("habits", Verdict.FAIL, f"{error.reason}: {error}")]
        for subject, verdict, text in judgements:
            verdicts.add(verdict)
            echo(f"{verdict:<4}  {finding.outbound.name}, {subject}: {text}")
    note = clock_note(app.api_clock, [*findings, *tried])
    if note is not None:
        echo(f"note  {note}")
    return verdicts


def _line(finding: Finding) -> str:
    outbound, error = finding.outbound, finding.error
    who = outbound.name if outbound.name == outbound.id else f"{outbound.name} ({outbound.id})"
    if error is not None:
        return f"FAIL  {who}: {error.reason}: {error}"
    window = format_duration(outbound.window)
    return f"ok    {who}: {_plural(finding.calls or 0, 'call')} in its window of {window}"


def _warning_lines(settings: Settings) -> Iterator[str]:
    if is_readable_on_the_way(settings.api.url):
        yield f"WARNING  {PLAIN_HTTP}"
    path = settings.web.config_file
    if path is None:
        return
    web = read_web_config(path)
    fault = None if web.context is None else date_problem(web.context)
    if fault is not None:
        yield f"WARNING  {path}: the certificate {fault}: clients refuse it"
    if web.asks_for_nothing:
        yield f"WARNING  {path}: {EMPTY_WEB_CONFIG}"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _budget_lines(settings: Settings, findings: Iterable[Finding]) -> list[str]:
    """Return the requests a minute that each token's outbounds need, against ``api.rate_limit``."""
    needed: dict[TokenSource, float] = {}
    incomplete: set[TokenSource] = set()
    for finding in findings:
        outbound = finding.outbound
        if finding.calls is None:
            incomplete.add(outbound.token)
        new_share = min(1.0, outbound.interval / outbound.window)
        per_poll = usual_requests(finding.calls or 0, settings.api.page_size, new_share)
        needed[outbound.token] = needed.get(outbound.token, 0.0) + per_poll * 60 / outbound.interval
    allowed = settings.api.rate_limit * 60
    lines = []
    for number, (token, requests) in enumerate(needed.items(), start=1):
        which = f" (token {number} of {len(needed)})" if len(needed) > 1 else ""
        about = "at least" if token in incomplete else "about"
        lines.append(
            f"budget{which}: {about} {requests:,.0f} requests a minute are needed, "
            f"{allowed:,.0f} are allowed by api.rate_limit"
        )
        if requests > allowed:
            lines.append(
                f"WARNING  that does not fit: polls will be late, each by up to a factor of "
                f"{requests / allowed:.1f}; make poll.interval longer or poll.window shorter, "
                "or raise api.rate_limit if your account allows it"
            )
    return lines
