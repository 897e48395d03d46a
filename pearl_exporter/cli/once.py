"""``once``: one poll of everything, printed or written for a textfile collector."""

import asyncio
import os
from pathlib import Path

import click

from pearl_exporter.app import App, build_app
from pearl_exporter.cli.progress import shown_progress
from pearl_exporter.cli.wait_notices import told_while_waiting
from pearl_exporter.config import Settings


async def run_once(settings: Settings, output: Path | None) -> bool:
    """Polls every outbound once and prints gauges; gives whether all went well.

    What failed is told on standard error, and the health of every outbound is printed all the
    same. Raises OSError if ``output`` can't be written.
    """
    with shown_progress() as heard:
        app = build_app(settings, on_progress=heard)
        try:
            well = await _poll_all(app)
            text = app.exposition.render_outbounds() + app.platform_metrics.render()
        finally:
            await app.stop()
    if output is None:
        click.echo(text.decode(), nl=False)
    else:
        write_whole(output, text)
    return well


async def _poll_all(app: App) -> bool:
    await app.start(polling=False)
    async with told_while_waiting(app, lambda: app.platform.asking):
        unasked = await app.platform.once()
    for subject, error in unasked:
        click.echo(f"{subject}: {error.reason}: {error}", err=True)
    async with told_while_waiting(app, lambda: _unanswered(app)):
        failures = await asyncio.gather(*(poller.poll() for poller in app.pollers))
    for poller, failure in zip(app.pollers, failures, strict=True):
        if failure is not None:
            click.echo(f"{poller.outbound.name}: {failure.reason}: {failure}", err=True)
    return not any(failures) and not unasked


def _unanswered(app: App) -> str:
    """Whom nothing has come from."""
    names = [each.outbound.name for each in app.pollers if not each.snapshot.was_tried]
    return f"{len(names)} outbounds" if len(names) > 1 else "".join(names)


def can_be_written(path: Path) -> bool:
    """Whether a file can be put there, as far as can be seen before it is."""
    if _is_special(path):
        return os.access(path, os.W_OK)
    folder = path.resolve().parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def write_whole(path: Path, content: bytes) -> None:
    """Puts a file in place whole: a collector that reads at the same time sees the old or the new.

    A link stays a link; what is no file, as ``/dev/stdout``, is written to and stays what it is.
    Raises OSError that names ``path``; the old file is then still there.
    """
    try:
        if _is_special(path):
            path.write_bytes(content)
        else:
            _write_by_rename(path.resolve(), content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _write_by_rename(path: Path, content: bytes) -> None:
    """The temporary name does not end in ``.prom``: no collector takes it for a file of its."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
