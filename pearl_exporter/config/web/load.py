"""The web configuration file, which ``web.config_file`` names, read and checked.

Its format is that of Prometheus' exporter-toolkit: TLS, basic auth and headers. An empty file is
valid and asks for nothing. Paths in it are relative to its folder.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from pearl_exporter.config.checks import check_placeholders
from pearl_exporter.config.files import file_stamp
from pearl_exporter.config.problems import Problems
from pearl_exporter.config.sections import Model, Section, check_section, read_sections
from pearl_exporter.config.web import fields
from pearl_exporter.config.web.settings import HttpSettings, RateLimitSettings, TlsSettings
from pearl_exporter.config.web.tls import server_context
from pearl_exporter.errors import ConfigError

_SECTIONS: Mapping[str, type[Section]] = {
    "tls_server_config": TlsSettings,
    "http_server_config": HttpSettings,
    "rate_limit": RateLimitSettings,
}
_KNOWN = {
    "": ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"),
    **{name: tuple(model.model_fields) for name, model in _SECTIONS.items()},
}


EMPTY_WEB_CONFIG = (
    "the web configuration is empty, so everybody who reaches the port is answered, by plain HTTP"
)


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Who may connect, and how.

    Attributes:
        tls: The TLS settings; None for plain HTTP.
        context: The TLS context made of these settings, with certificate and key loaded.
        headers: Headers of every response.
        users: Password hashes by user name; empty if no password is asked for.
        rate_limit: How many requests are answered.
        files: The files it was read from, each with its stamp from just before.
    """

    tls: TlsSettings | None = None
    context: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, SecretStr] = field(default_factory=dict)
    rate_limit: RateLimitSettings = field(default_factory=RateLimitSettings)
    files: Mapping[Path, object] = field(default_factory=dict)

    @property
    def asks_for_nothing(self) -> bool:
        """Whether the file is empty: no TLS, no password, no header and no limit."""
        return not (self.tls or self.users or self.headers) and (
            self.rate_limit == RateLimitSettings()
        )


def check_web_config(path: Path | None, problems: Problems) -> None:
    """Report every problem of the file that ``web.config_file`` names, and of files named in it."""
    if path is None:
        return
    if not path.is_file():
        reason = "is not a regular file" if path.exists() else "there is no such file"
        problems.add_file(("web", "config_file"), reason, path)
        return
    try:
        read_web_config(path)
    except ConfigError as error:
        for problem in error.problems:
            problems.add_without_key(problem)


def read_web_config(path: Path) -> WebConfig:
    """Return the web configuration in a file, with certificates and keys loaded.

    Raises:
        ConfigError: Something is wrong. It has every problem; none quotes a hash or a key.
    """
    problems = Problems(str(path))
    if not path.is_file():  # reading a pipe would wait for its writer
        raise ConfigError([f"{path}: is not a regular file, or does not exist"])
    files = {path: file_stamp(path)}
    top = read_sections(path, _KNOWN, problems)
    check_placeholders(top, problems, lambda _: None)
    tls = _section(TlsSettings, "tls_server_config", top, problems)
    http = _section(HttpSettings, "http_server_config", top, problems) or HttpSettings()
    rate_limit = _section(RateLimitSettings, "rate_limit", top, problems)
    if http.http2 and tls is not None:  # without TLS, exporter-toolkit has no HTTP/2 either
        problems.add(
            ("http_server_config", "http2"),
            "HTTP/2 is not supported, this server speaks HTTP/1.1; leave the key out",
        )
    users = _users(top.get("basic_auth_users"), problems)
    context = None
    if tls is not None:
        tls = _with_paths_from(path.parent, tls)
        given = (tls.cert_file, tls.key_file, tls.client_ca_file)
        files |= {file: file_stamp(file) for file in given if file is not None}
        _check_tls_keys(tls, problems)
        context = _context(tls, problems)
    problems.raise_if_any()
    return WebConfig(
        tls=tls,
        context=context,
        headers=http.headers,
        users=users,
        rate_limit=rate_limit or RateLimitSettings(),
        files=files,
    )


def _section(
    model: type[Model], name: str, top: Mapping[str, object], problems: Problems
) -> Model | None:
    """Return a section without the keys that have a problem; None if it is missing or empty."""
    value = top.get(name)
    return None if value in (None, {}) else check_section(model, value, (name,), problems, _KNOWN)


def _users(listed: object, problems: Problems) -> dict[str, SecretStr]:
    if listed is None:
        return {}
    if not isinstance(listed, dict):
        problems.add(("basic_auth_users",), "wanted a mapping of user names to bcrypt hashes")
        return {}
    users = {}
    for name, value in listed.items():
        wrong = []
        for check, given in ((fields.user_name, name), (fields.bcrypt_hash, value)):
            try:
                check(given)
            except ValueError as error:
                wrong.append(str(error))
        if wrong:
            problems.add(("basic_auth_users", name), "; ".join(wrong))
        else:
            users[name] = SecretStr(value)
    return users


def _with_paths_from(folder: Path, tls: TlsSettings) -> TlsSettings:
    names = ("cert_file", "key_file", "client_ca_file")
    paths = {name: getattr(tls, name) for name in names}
    return tls.model_copy(
        update={name: folder / path for name, path in paths.items() if path is not None}
    )


def _check_tls_keys(tls: TlsSettings, problems: Problems) -> None:
    """Report keys that need each other or exclude each other."""

    def add(key: str, message: str) -> None:
        if not {key, f"{key}_file"} & problems.keys_in("tls_server_config"):
            problems.add(("tls_server_config", key), message)

    for key in ("cert", "key", "client_ca"):
        given = [name for name in (key, f"{key}_file") if getattr(tls, name) is not None]
        if len(given) > 1:
            add(f"{key}_file", f'"{key}" is given too; wanted only one of them')
        if not given and key != "client_ca":
            add(key, f"missing; give {key}_file or {key}")
    has_ca = tls.client_ca is not None or tls.client_ca_file is not None
    wants_certificate = tls.client_auth_type != "NoClientCert"
    if wants_certificate and not has_ca:
        add("client_auth_type", f"{tls.client_auth_type} needs a client_ca_file")
    if has_ca and not wants_certificate:
        add(
            "client_auth_type",
            "a client CA is given, but NoClientCert asks for no certificate",
        )
    if tls.client_allowed_sans and tls.client_auth_type != "RequireAndVerifyClientCert":
        add("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
    if tls.min_version > tls.max_version:
        add("min_version", f"wanted at most max_version, which is {tls.max_version}")


def _context(tls: TlsSettings, problems: Problems) -> ssl.SSLContext:
    context, errors = server_context(tls, problems.keys_in("tls_server_config"))
    for error in errors:
        problems.add(("tls_server_config", error.key), str(error))
    return context
