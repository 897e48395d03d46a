"""The web configuration as it is now: read anew when it changes, the last good one kept.

Whether there is TLS is decided at the start, as nobody would scrape http where https was.
"""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import NamedTuple

from pearl_exporter.config.files import file_stamp
from pearl_exporter.config.web.certificate_dates import date_problem
from pearl_exporter.config.web.load import WebConfig, read_web_config
from pearl_exporter.errors import ConfigError
from pearl_exporter.web.passwords import Checker, Passwords
from pearl_exporter.web.rate import TokenBucket

LOOK_SECONDS = 1.0
"""How often the files are looked at. A change is read when two looks have found the same."""

DATES_SECONDS = 3600.0
"""How often the dates of a certificate that stays are looked at."""

_log = logging.getLogger(__name__)


class Rules(NamedTuple):
    """One configuration, and what it remembers of requests."""

    config: WebConfig
    passwords: Passwords
    bucket: TokenBucket


class LiveWebConfig:
    """Follows the file that ``web.config_file`` names; None where none is named.

    Making one reads it, and raises ConfigError with every fault.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._checker = Checker()
        self._told: tuple[str, ...] = ()
        config = WebConfig() if path is None else read_web_config(path)
        self.rules = self._rules(config)
        self._seen: object = None
        self._dated: ssl.SSLContext | None = None
        self._dated_at = 0.0

    @property
    def context(self) -> ssl.SSLContext | None:
        """What makes the TLS of a new connection; None for plain HTTP."""
        return self.rules.config.context

    async def follow(self) -> None:
        """Looks at the files for as long as it runs."""
        while self._path is not None:
            await self.look_at_dates(asyncio.get_running_loop().time())
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Reads anew if something has changed and is no longer being written.

        A file half written may be valid: cut after its first section it asks for no password.
        """
        stamp = await asyncio.to_thread(self._stamp)
        if stamp != self._seen:
            self._seen = stamp
        elif stamp != dict(self.rules.config.files) or self._told:
            await self._read()

    async def look_at_dates(self, now: float) -> None:
        """Warns of a certificate that is of no use today: when it is new, and every hour."""
        context = self.context
        is_due = context is not self._dated or now >= self._dated_at + DATES_SECONDS
        if context is None or not is_due:
            return
        self._dated, self._dated_at = context, now
        fault = await asyncio.to_thread(date_problem, context)
        if fault is not None:
            _log.warning(
                "the certificate of tls_server_config %s, so clients refuse it: put a new one and "
                "its key in place, they are read anew by themselves",
                fault,
            )

    async def _read(self) -> None:
        assert self._path is not None  # noqa: S101 - else there is nothing to look at
        try:
            config = await asyncio.to_thread(read_web_config, self._path)
            self._refuse_another_scheme(config)
        except ConfigError as error:
            self._tell(error.problems)
            return
        self.rules = self._rules(config)
        self._told = ()
        _log.info("web configuration read anew", extra=described(config))

    def _refuse_another_scheme(self, config: WebConfig) -> None:
        if (config.context is None) != (self.context is None):
            turned = "off" if config.context is None else "on"
            raise ConfigError(
                [f"{self._path}: tls_server_config: TLS is turned {turned} at a start alone"]
            )

    def _tell(self, faults: tuple[str, ...]) -> None:
        """Tells of faults once, not at every look for as long as they last."""
        if faults != self._told:
            self._told = faults
            for fault in faults:
                _log.error("keeping the old web configuration: %s", fault)

    def _rules(self, config: WebConfig) -> Rules:
        limit = config.rate_limit
        return Rules(
            config,
            Passwords(config.users, self._checker),
            TokenBucket(limit.interval, limit.burst),
        )

    def _stamp(self) -> object:
        return {path: file_stamp(path) for path in self.rules.config.files}


def described(config: WebConfig) -> dict[str, str | int]:
    """What a log line says of a configuration."""
    tls = config.tls
    return {
        "tls": "off" if tls is None else f"from {tls.min_version}",
        "client_certificates": "NoClientCert" if tls is None else tls.client_auth_type,
        "users": len(config.users),
    }
