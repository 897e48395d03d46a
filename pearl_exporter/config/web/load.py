"""The web configuration: TLS, basic auth and headers, in Prometheus' exporter-toolkit's format.

A file of its own, named by ``web.config_file``. An empty one is valid and asks for nothing. Paths
in it are relative to its folder.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from pearl_exporter.config.files import file_stamp
from pearl_exporter.config.problems import Faults
from pearl_exporter.config.sections import Model, Section, checked, read_sections
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


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Who is let in, and how.

    Attributes:
        tls: What TLS was asked for; None for plain HTTP.
        context: What makes a connection's TLS of it, certificate and key loaded.
        headers: Added to every answer.
        users: Hashes of passwords by the user's name; empty where nobody is asked for one.
        rate_limit: How many requests are answered.
        files: What it was read from, each with its stamp of just before.
    """

    tls: TlsSettings | None = None
    context: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, SecretStr] = field(default_factory=dict)
    rate_limit: RateLimitSettings = field(default_factory=RateLimitSettings)
    files: Mapping[Path, object] = field(default_factory=dict)


def check_web_config(path: Path | None, faults: Faults) -> None:
    """Report every fault of the file that ``web.config_file`` names, and of those that it names."""
    if path is None:
        return
    if not path.is_file():
        reason = "is no regular file" if path.exists() else "there is no such file"
        faults.add_file(("web", "config_file"), reason, path)
        return
    try:
        read_web_config(path)
    except ConfigError as error:
        for fault in error.faults:
            faults.add_bare(fault)


def read_web_config(path: Path) -> WebConfig:
    """Read the file, certificates and keys included.

    Raises ConfigError with every fault that was found; no fault quotes a hash or a key.
    """
    faults = Faults(str(path))
    if not path.is_file():  # a FIFO would wait for a writer
        raise ConfigError([f"{path}: is no regular file, or there is none"])
    files = {path: file_stamp(path)}
    top = read_sections(path, _KNOWN, faults)
    tls = _section(TlsSettings, "tls_server_config", top, faults)
    http = _section(HttpSettings, "http_server_config", top, faults) or HttpSettings()
    rate_limit = _section(RateLimitSettings, "rate_limit", top, faults)
    users = _users(top.get("basic_auth_users"), faults)
    context = None
    if tls is not None:
        tls = _with_paths_from(path.parent, tls)
        given = (tls.cert_file, tls.key_file, tls.client_ca_file)
        files |= {file: file_stamp(file) for file in given if file is not None}
        _check_fit(tls, faults)
        context = _context(tls, faults)
    faults.raise_any()
    return WebConfig(
        tls=tls,
        context=context,
        headers=http.headers,
        users=users,
        rate_limit=rate_limit or RateLimitSettings(),
        files=files,
    )


def _section(
    model: type[Model], name: str, top: Mapping[str, object], faults: Faults
) -> Model | None:
    """Give a section without its faulty keys; None where there is none, or an empty one."""
    value = top.get(name)
    return None if value in (None, {}) else checked(model, value, (name,), faults, _KNOWN)


def _users(listed: object, faults: Faults) -> dict[str, SecretStr]:
    if listed is None:
        return {}
    if not isinstance(listed, dict):
        faults.add(("basic_auth_users",), "wanted a mapping of user names to bcrypt hashes")
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
            faults.add(("basic_auth_users", name), "; ".join(wrong))
        else:
            users[name] = SecretStr(value)
    return users


# --- TLS


def _with_paths_from(folder: Path, tls: TlsSettings) -> TlsSettings:
    names = ("cert_file", "key_file", "client_ca_file")
    paths = {name: getattr(tls, name) for name in names}
    return tls.model_copy(
        update={name: folder / path for name, path in paths.items() if path is not None}
    )


def _check_fit(tls: TlsSettings, faults: Faults) -> None:
    """Report keys that need each other, or exclude each other."""

    def add(key: str, message: str) -> None:
        if not {key, f"{key}_file"} & faults.wrong("tls_server_config"):
            faults.add(("tls_server_config", key), message)

    for key in ("cert", "key", "client_ca"):
        given = [name for name in (key, f"{key}_file") if getattr(tls, name) is not None]
        if len(given) > 1:
            add(f"{key}_file", f'there is "{key}" as well; wanted one of both')
        if not given and key != "client_ca":
            add(key, f"missing; give {key}_file, or {key} itself")
    has_ca = tls.client_ca is not None or tls.client_ca_file is not None
    wants_certificate = tls.client_auth_type != "NoClientCert"
    if wants_certificate and not has_ca:
        add("client_auth_type", f"{tls.client_auth_type} needs a client_ca_file to verify by")
    if has_ca and not wants_certificate:
        add("client_auth_type", "there is a client CA, but clients are not asked for certificates")
    if tls.client_allowed_sans and tls.client_auth_type != "RequireAndVerifyClientCert":
        add("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
    if tls.min_version > tls.max_version:
        add("min_version", f"wanted at most max_version, which is {tls.max_version}")


def _context(tls: TlsSettings, faults: Faults) -> ssl.SSLContext:
    context, errors = server_context(tls, faults.wrong("tls_server_config"))
    for error in errors:
        faults.add(("tls_server_config", error.key), str(error))
    return context
