"""What a command does first, and how it ends: one line and an exit code if something fails.

0 is success, 1 says that the command failed at its job, 2 that the user has to change something
first: the options, the configuration or an unusable state.
"""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from pearl_exporter.api.resolver import ResolverLoop
from pearl_exporter.config import ConfigError, ListenAddress, Settings, load_settings
from pearl_exporter.errors import DiskError, PearlError, StateError
from pearl_exporter.logs import flush_log
from pearl_exporter.serving import listen_on
from pearl_exporter.state.store import Store, open_store

FAILED = 1
MISUSED = 2

_LISTEN_HINTS = {
    errno.EADDRINUSE: "is another one running? Name another address "
    "(serve: web.listen; demo: --listen)",
    errno.EACCES: "ports below 1024 are reserved for root: name a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address: name one that it has, or none, "
    "as in :10042",
}

Result = TypeVar("Result")


def load_settings_or_exit(config: Path | None, *, asks_api: bool = True) -> Settings:
    """Return the settings of the file and the environment; exit with 2 if they are wrong."""
    try:
        return load_settings(config, os.environ, asks_api=asks_api)
    except ConfigError as error:
        _exit_with_problems(error)


def open_store_or_exit(url: str) -> Store:
    """Return the store at ``url``; exit with 1 if the disk fails, with 2 if it is unusable."""
    try:
        return open_store(url)
    except StateError as error:
        exit_with_state_error(error)


def listen_or_exit(address: ListenAddress, key: str) -> socket.socket:
    """Return a listening socket; exit with 1 if there can be none.

    Args:
        address: Where to listen.
        key: The option or the key that has the address, for the message.
    """
    try:
        return listen_on(address)
    except OSError as error:
        # The texts of asyncio and socket repeat the address, the system's text does not.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        hint = _LISTEN_HINTS.get(error.errno or 0)
        cause = f"{reason or error}: {hint}" if hint else f"{reason or error}"
        exit_with(f"{key}: can't listen on {address}: {cause}", FAILED)


def run_or_exit(job: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's job; exit with one line, never a traceback, for every expected error."""
    try:
        with asyncio.Runner(loop_factory=ResolverLoop) as runner:
            return runner.run(job)
    except StateError as error:
        exit_with_state_error(error)
    except ConfigError as error:  # a file that changed after the settings were read
        _exit_with_problems(error)
    except PearlError as error:
        exit_with(str(error), FAILED)
    except BrokenPipeError:
        raise  # the reader of the output has closed it: click ends quietly
    except OSError as error:
        exit_with(f"{error.filename or 'output'}: {error.strerror or error}", FAILED)
    except KeyboardInterrupt:
        exit_with("interrupted", FAILED)


def exit_with_state_error(error: StateError) -> NoReturn:
    """Exit with 1 if the disk is full or fails, with 2 if the state is unusable."""
    exit_with(f"state.url: {error}", FAILED if isinstance(error, DiskError) else MISUSED)


def exit_with(message: str, code: int) -> NoReturn:
    """Write one line to standard error and end the process."""
    flush_log()
    click.echo(f"pearl-exporter: {message}", err=True)
    sys.exit(code)


def _exit_with_problems(error: ConfigError) -> NoReturn:
    flush_log()
    for problem in error.problems:
        click.echo(f"pearl-exporter: {problem}", err=True)
    sys.exit(MISUSED)
