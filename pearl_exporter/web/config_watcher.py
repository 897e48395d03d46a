"""The web configuration in force: read again when its files change; a bad change is refused.

TLS is turned on and off only by a restart: a scraper that is configured for https would find http.
What clients must show to get in, a password or a certificate, can be added while it runs, and is
dropped only by a restart: a file that was cut off or emptied by accident must open no door.
"""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pearl_exporter.config.files import file_stamp
from pearl_exporter.config.web.certificate_dates import date_problem
from pearl_exporter.config.web.load import WebConfig, read_web_config
from pearl_exporter.errors import ConfigError
from pearl_exporter.web.passwords import BcryptWorker, Passwords
from pearl_exporter.web.rate_limit import TokenBucket

CHECK_FILES_SECONDS = 1.0
"""How often the files are checked. A change is read once two checks have found the same."""

CHECK_DATES_SECONDS = 3600.0
"""How often the dates of a certificate that has not changed are checked."""

_REQUIRED = "RequireAndVerifyClientCert"
"""The ``client_auth_type`` by which nobody gets in without a certificate."""

_log = logging.getLogger(__name__)


class ActiveWebConfig(NamedTuple):
    """A web configuration with what it remembers of requests."""

    config: WebConfig
    passwords: Passwords
    bucket: TokenBucket


class WebConfigWatcher:
    """Keeps the web configuration in force up to date with its files.

    The constructor reads the file that ``web.config_file`` names; without a name (None) everybody
    is allowed everything.

    Attributes:
        active: The configuration in force.

    Raises:
        ConfigError: The file is bad; the error has every problem.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._worker = BcryptWorker()
        self._logged_problems: tuple[str, ...] = ()
        self.active = self._activate(WebConfig() if path is None else read_web_config(path))
        self._last_stamp: object = None
        self._checked_context: ssl.SSLContext | None = None
        self._dates_checked_at = 0.0

    @property
    def context(self) -> ssl.SSLContext | None:
        """The TLS context of new connections; None for plain HTTP."""
        return self.active.config.context

    async def watch(self) -> None:
        """Check the files for as long as the task runs."""
        while self._path is not None:
            await self.check_certificate_dates(asyncio.get_running_loop().time())
            await asyncio.sleep(CHECK_FILES_SECONDS)
            await self.check_files()

    async def check_files(self) -> None:
        """Read the configuration again if its files have changed and are no longer being written.

        A half-written file may be valid: cut after its first section it asks for no password. So a
        change is read only if the check before has seen it too.
        """
        stamp = await asyncio.to_thread(self._stamp)
        if stamp != self._last_stamp:
            self._last_stamp = stamp
        elif stamp != dict(self.active.config.files) or self._logged_problems:
            problems = await self._read()
            # once, not at every check for as long as they last
            if problems != self._logged_problems:
                self._log_problems(problems)

    async def check_certificate_dates(self, now: float) -> None:
        """Warn if the certificate is expired or not valid yet: when it is new, then every hour.

        Args:
            now: The present, in seconds of a monotonic clock.
        """
        context = self.context
        is_due = now >= self._dates_checked_at + CHECK_DATES_SECONDS
        if context is None or (context is self._checked_context and not is_due):
            return
        self._checked_context, self._dates_checked_at = context, now
        problem = await asyncio.to_thread(date_problem, context)
        if problem is not None:
            _log.warning(
                "the certificate of tls_server_config %s, so clients refuse it: replace it and its "
                "key, no reload is needed",
                problem,
            )

    async def reload(self) -> tuple[str, ...]:
        """Read the configuration now, also if it may still be being written.

        Returns:
            The problems of the new configuration; none if it is in force now.
        """
        problems = await self._read()
        self._log_problems(problems)
        return problems

    async def _read(self) -> tuple[str, ...]:
        if self._path is None:
            return ()
        try:
            config = await asyncio.to_thread(read_web_config, self._path)
            self._refuse_what_needs_a_restart(config)
        except ConfigError as error:
            return error.problems
        if config.files == self.active.config.files and not self._logged_problems:
            return ()  # as it was: what is remembered of passwords stays
        self.active = self._activate(config)
        self._logged_problems = ()
        _log.info("web configuration reloaded", extra=log_fields(config))
        return ()

    def _refuse_what_needs_a_restart(self, config: WebConfig) -> None:
        problems = [
            f"{self._path}: {key}: {problem}"
            for key, problem in _changes_that_need_a_restart(self.active.config, config)
        ]
        if problems:
            raise ConfigError(problems)

    def _log_problems(self, problems: tuple[str, ...]) -> None:
        self._logged_problems = problems
        for problem in problems:
            _log.error("keeping the old web configuration: %s", problem)

    def _activate(self, config: WebConfig) -> ActiveWebConfig:
        limit = config.rate_limit
        return ActiveWebConfig(
            config,
            Passwords(config.users, self._worker),
            TokenBucket(limit.interval, limit.burst),
        )

    def _stamp(self) -> object:
        return {path: file_stamp(path) for path in self.active.config.files}


def _changes_that_need_a_restart(before: WebConfig, after: WebConfig) -> Iterator[tuple[str, str]]:
    """Yield the keys whose change is refused while the exporter runs, each with the reason."""
    if (after.context is None) != (before.context is None):
        turned = "off" if after.context is None else "on"
        yield "tls_server_config", f"TLS is turned {turned} only by a restart"
    if before.users and not after.users:
        yield "basic_auth_users", "passwords are turned off only by a restart, no user is left"
    if before.tls is None or after.tls is None:
        return
    if before.tls.client_auth_type == _REQUIRED != after.tls.client_auth_type:
        yield (
            "tls_server_config.client_auth_type",
            "clients go without a certificate only after a restart",
        )
    elif before.tls.client_allowed_sans and not after.tls.client_allowed_sans:
        yield (
            "tls_server_config.client_allowed_sans",
            "certificates with any name are let in only after a restart, no name is left",
        )


def log_fields(config: WebConfig) -> dict[str, str | int]:
    """Return the fields of a log line that describe a configuration."""
    tls = config.tls
    return {
        "tls": "off" if tls is None else f"from {tls.min_version}",
        "client_certificates": "NoClientCert" if tls is None else tls.client_auth_type,
        "users": len(config.users),
    }
