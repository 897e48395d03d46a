"""What a command waits for and why, on standard error, where that takes more than a moment."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import click

from pearl_exporter.app import App
from pearl_exporter.config.durations import format_duration

MOMENT_SECONDS = 1.0
"""So long nothing is said, and so often it is looked whether there is something else to say."""


@asynccontextmanager
async def told_while_waiting(app: App, subject: Callable[[], str]) -> AsyncIterator[None]:
    """Tells of a wait within this block: at most each second, and each reason once.

    ``subject`` gives what is waited for right now, empty if it goes on well.
    """
    telling = asyncio.create_task(_tell(app, subject))
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])


async def _tell(app: App, subject: Callable[[], str]) -> None:
    told = {""}
    seconds = [app.settings.poll.give_up, *(each.give_up for each in app.settings.outbounds)]
    limit = f"up to {format_duration(max(seconds))} (poll.give_up)"
    while True:
        await asyncio.sleep(MOMENT_SECONDS)
        line = f"waiting for {what}, {limit}: {_reason(app)}" if (what := subject()) else ""
        if line not in told:
            told.add(line)
            click.echo(line, err=True)


def _reason(app: App) -> str:
    troubles = [each.trouble for each in app.clients.values() if each.trouble is not None]
    return f"{troubles[0].reason}: {troubles[0]}" if troubles else "no answer yet"
