"""Notices on standard error: what a command waits for, and why."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import click

from pearl_exporter.app import App
from pearl_exporter.config.durations import format_duration

NOTICE_SECONDS = 1.0
"""Time before the first notice, and between two notices."""


@asynccontextmanager
async def notices_while_waiting(
    app: App, subject: Callable[[], str], every_seconds: float = NOTICE_SECONDS
) -> AsyncIterator[None]:
    """Print what the block waits for, each reason once.

    Args:
        app: The application that sends the requests.
        subject: Returns what is waited for now; empty if there is nothing to say.
        every_seconds: How often to look for something to say.
    """
    notices = asyncio.create_task(_print_notices(app, subject, every_seconds))
    try:
        yield
    finally:
        notices.cancel()
        await asyncio.wait([notices])


async def _print_notices(app: App, subject: Callable[[], str], every_seconds: float) -> None:
    printed = {""}
    seconds = [app.settings.poll.give_up, *(each.give_up for each in app.settings.outbounds)]
    limit = f"up to {format_duration(max(seconds))} (poll.give_up)"
    while True:
        await asyncio.sleep(every_seconds)
        line = f"waiting for {what}, {limit}: {_reason(app)}" if (what := subject()) else ""
        if line not in printed:
            printed.add(line)
            click.echo(line, err=True)


def _reason(app: App) -> str:
    troubles = [each.trouble for each in app.clients.values() if each.trouble is not None]
    return f"{troubles[0].reason}: {troubles[0]}" if troubles else "no answer yet"
