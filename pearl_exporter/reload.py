"""Reading the configuration anew while the exporter runs: one path for SIGHUP and ``/-/reload``.

First the whole new configuration is checked; a bad one is refused and the old one kept.
"""

import asyncio
import logging
from collections.abc import Callable

from pearl_exporter.app import App, Changes, enumerated
from pearl_exporter.config import Settings
from pearl_exporter.config.changes import changed_keys, changed_outbounds
from pearl_exporter.errors import ConfigError, PearlError
from pearl_exporter.logs import set_up_logging

_log = logging.getLogger(__name__)

_AT_START_ALONE: dict[str, Callable[[Settings], object]] = {
    "web.listen": lambda settings: settings.web.listen,
    "web.config_file": lambda settings: settings.web.config_file,
    "web.enable_reload": lambda settings: settings.web.enable_reload,
    "state.url": lambda settings: settings.state.url,
}


class Reloader:
    """Brings a running `App` in step with its configuration, one reload at a time.

    ``read_settings`` reads file and environment, and raises `ConfigError`.
    """

    def __init__(self, app: App, read_settings: Callable[[], Settings]) -> None:
        self._app = app
        self._read_settings = read_settings
        self._at_start = app.settings
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> tuple[str, ...]:
        """Reads and goes over; gives what is wrong with the new configuration, nothing if well."""
        async with self._one_at_a_time:
            try:
                settings = await asyncio.to_thread(self._read_settings)
                before = self._app.settings
                changes = await self._app.reconfigure(settings)
            except (PearlError, ValueError) as error:
                faults = error.problems if isinstance(error, ConfigError) else (str(error),)
                self._refuse(faults)
                return faults
            except Exception:  # a bug, which whoever asked reports; the old one stays all the same
                self._refuse(("met a bug",))
                raise
            set_up_logging(settings.log)
            _log.info("configuration read anew", extra=_told(changes, before, self._app.settings))
            for key, value in _AT_START_ALONE.items():
                if value(self._at_start) != value(settings):
                    _log.warning(
                        "%s is another than at the start: that waits for the next start", key
                    )
            return ()

    def _refuse(self, faults: tuple[str, ...]) -> None:
        self._app.exporter.configured(successfully=False, at_seconds=0.0)
        for fault in faults:
            _log.error("keeping the old configuration: %s", fault)


def _told(changes: Changes, before: Settings, after: Settings) -> dict[str, str]:
    """What changed, for the log: names of outbounds and of keys, never a value."""
    changed = changed_outbounds(before, after)
    whats = [f"{name}: {', '.join(keys)}" for name, keys in changed.items()]
    return {
        **changes.told(),
        "outbounds_changed": enumerated(whats, between="; "),
        "keys_changed": ", ".join(changed_keys(before, after)) or "none",
    }
