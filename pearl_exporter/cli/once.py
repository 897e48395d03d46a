"""``once``: one poll of everything, printed or written for a textfile collector."""

import asyncio
import os
from pathlib import Path

import click

from pearl_exporter.app import App, build_app
from pearl_exporter.cli.progress import shown_progress
from pearl_exporter.config import Settings


async def run_once(settings: Settings, output: Path | None) -> bool:
    """Polls every outbound once and prints gauges; gives whether all polls succeeded.

    What failed is told on standard error, and the health of every outbound is printed all the
    same. Raises OSError if ``output`` can't be written.
    """
    with shown_progress() as heard:
        app = build_app(settings, on_progress=heard)
        try:
            well = await _poll_all(app)
        finally:
            await app.stop()
    text = app.exposition.render_outbounds()
    if output is None:
        click.echo(text.decode(), nl=False)
    else:
        write_by_rename(output, text)
    return well


async def _poll_all(app: App) -> bool:
    await app.start(polling=False)
    failures = await asyncio.gather(*(poller.poll() for poller in app.pollers))
    for poller, failure in zip(app.pollers, failures, strict=True):
        if failure is not None:
            click.echo(f"{poller.outbound.name}: {failure.reason}: {failure}", err=True)
    return not any(failures)


def write_by_rename(path: Path, content: bytes) -> None:
    """Puts a file in place whole: a collector that reads at the same time sees the old or the new.

    The temporary name does not end in ``.prom``, so that no collector takes it for a file of its.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
