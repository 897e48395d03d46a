"""Reload the configuration while the exporter runs: one way for SIGHUP and ``/-/reload``.

The whole new configuration is checked first. A bad one is refused, and the old one stays in force.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from pearl_exporter.app import App
from pearl_exporter.config import Settings
from pearl_exporter.config.changes import changed_keys, changed_outbounds
from pearl_exporter.config.files import was_replaced_outside
from pearl_exporter.errors import ConfigError, PearlError
from pearl_exporter.logs import set_up_logging
from pearl_exporter.reconfigure import Changes, enumerated

_log = logging.getLogger(__name__)

_NEEDS_RESTART: dict[str, Callable[[Settings], object]] = {
    "web.listen": lambda settings: settings.web.listen,
    "web.config_file": lambda settings: settings.web.config_file,
    "web.enable_reload": lambda settings: settings.web.enable_reload,
    "state.url": lambda settings: settings.state.url,
}
"""Settings that a reload can't change, by their keys."""


class Reloader:
    """Brings a running `App` to a changed configuration, one reload at a time.

    Args:
        app: The exporter.
        read_settings: Reads file and environment, and raises `ConfigError`.
        config: The file that it reads; None if it reads the environment alone.
    """

    def __init__(
        self, app: App, read_settings: Callable[[], Settings], config: Path | None = None
    ) -> None:
        self._app = app
        self._read_settings = read_settings
        self._config = config
        self._at_start = app.settings
        self._lock = asyncio.Lock()

    async def reload(self) -> tuple[str, ...]:
        """Read the configuration and bring the exporter to it.

        Returns:
            The problems of the new configuration; none if it is in force now.
        """
        async with self._lock:
            try:
                settings = await asyncio.to_thread(self._read_settings)
                before = self._app.settings
                changes = await self._app.reconfigure(settings)
            except (PearlError, ValueError) as error:
                problems = error.problems if isinstance(error, ConfigError) else (str(error),)
                self._refuse(problems)
                return problems
            except Exception:  # a bug: the caller logs its traceback, and the old settings stay
                self._refuse(("internal error (traceback in the log)",))
                raise
            set_up_logging(settings.log)
            _log.info(
                "configuration reloaded", extra=_log_fields(changes, before, self._app.settings)
            )
            for key, value in _NEEDS_RESTART.items():
                if value(self._at_start) != value(settings):
                    _log.warning("%s changed; takes effect after a restart", key)
            for path in sorted(filter(was_replaced_outside, self._files(settings))):
                _log.warning(
                    "a file was replaced outside its mount, and its old content was read: "
                    "mount its folder, or restart",
                    extra={"file": str(path)},
                )
            return ()

    def _files(self, settings: Settings) -> set[Path]:
        """Return the files of the configuration, but for those that the web configuration names."""
        api = settings.api
        files = {self._config, settings.web.config_file, api.token_file, api.ca_file}
        files |= {each.token.file for each in settings.outbounds}
        return {path for path in files if path is not None}

    def _refuse(self, problems: tuple[str, ...]) -> None:
        self._app.exporter.configured(successfully=False, at_seconds=0.0)
        for problem in problems:
            _log.error("keeping the old configuration: %s", problem)


def _log_fields(changes: Changes, before: Settings, after: Settings) -> dict[str, str]:
    """Return what changed, for a log line: names of outbounds and keys, never a value."""
    changed = changed_outbounds(before, after)
    details = [f"{name}: {', '.join(keys)}" for name, keys in changed.items()]
    return {
        **changes.log_fields,
        "outbounds_changed": enumerated(details, between="; "),
        "keys_changed": ", ".join(changed_keys(before, after)) or "none",
    }
