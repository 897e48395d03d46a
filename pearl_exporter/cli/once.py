"""``once``: one poll of everything, printed or written for a textfile collector."""

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import NoReturn

import click

from pearl_exporter.app import App, build_app
from pearl_exporter.cli.exits import (
    FAILED,
    MISUSED,
    exit_with,
    load_settings_or_exit,
    run_or_exit,
)
from pearl_exporter.cli.progress import progress_bars
from pearl_exporter.cli.wait_notices import NOTICE_SECONDS, notices_while_waiting
from pearl_exporter.config import LogSettings, Settings
from pearl_exporter.logs import set_up_logging


def run_once(
    config: Path | None, output: Path | None, *, notice_seconds: float = NOTICE_SECONDS
) -> NoReturn:
    """Poll once and exit with 0 if all went well, with 2 if ``output`` can't be written, else 1.

    Args:
        config: The configuration file; None for the environment alone.
        output: Where to write; None for standard output.
        notice_seconds: How often to say what the command waits for.
    """
    settings = load_settings_or_exit(config)
    set_up_logging(LogSettings(level="error"))
    if output is not None and not _can_be_written(output):
        exit_with(f"--output {output}: its folder does not exist or can't be written to", MISUSED)
    sys.exit(0 if run_or_exit(_once(settings, output, notice_seconds)) else FAILED)


async def _once(settings: Settings, output: Path | None, notice_seconds: float) -> bool:
    """Poll every outbound once and write the gauges; return whether all went well.

    Failures go to standard error; the health of every outbound is written all the same.

    Raises:
        OSError: ``output`` can't be written.
    """
    with progress_bars() as show:
        app = build_app(settings, on_progress=show)
        try:
            well = await _poll_all(app, notice_seconds)
            text = app.exposition.render_outbounds() + app.platform_metrics.render()
        finally:
            await app.stop()
    if output is None:
        click.echo(text, nl=False)  # bytes: an exposition is UTF-8, whatever the locale
    else:
        _write_whole(output, text)
    return well


async def _poll_all(app: App, notice_seconds: float) -> bool:
    await app.start(polling=False)
    async with notices_while_waiting(app, lambda: app.platform.asking, notice_seconds):
        unasked = await app.platform.once()
    for subject, error in unasked:
        click.echo(f"{subject}: {error.reason}: {error}", err=True)
    async with notices_while_waiting(app, lambda: _unanswered(app), notice_seconds):
        failures = await asyncio.gather(*(poller.poll() for poller in app.pollers))
    for poller, failure in zip(app.pollers, failures, strict=True):
        if failure is not None:
            click.echo(f"{poller.outbound.name}: {failure.reason}: {failure}", err=True)
    return not any(failures) and not unasked


def _unanswered(app: App) -> str:
    """Return which outbounds no answer has come from: the name of one, the number of several."""
    names = [each.outbound.name for each in app.pollers if not each.snapshot.was_tried]
    return f"{len(names)} outbounds" if len(names) > 1 else "".join(names)


def _can_be_written(path: Path) -> bool:
    """Return whether a file can be written there, as far as can be known before."""
    if _is_special(path):
        return os.access(path, os.W_OK)
    folder = path.resolve().parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once: a collector that reads it meanwhile sees the old or the new one.

    A link stays a link. What is no regular file, such as ``/dev/stdout``, is written to.

    Raises:
        OSError: It can't be written. The old file is then unchanged.
    """
    try:
        if _is_special(path):
            path.write_bytes(content)
        else:
            write_by_rename(path.resolve(), content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def write_by_rename(path: Path, content: bytes) -> None:
    """Write a new file beside ``path`` and put it in its place.

    Raises:
        OSError: It can't be written.
    """
    # node_exporter's textfile collector reads every file that ends in .prom: this one must not.
    # Nobody can put a file or a link there before: the name can't be guessed, and "x" is O_EXCL.
    temporary = path.with_name(f".pearl-exporter.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
