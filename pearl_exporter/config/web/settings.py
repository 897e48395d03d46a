"""The sections of the web configuration: one frozen model for each, with every key's default."""

from pydantic import Field

from pearl_exporter.config.fields import Switch
from pearl_exporter.config.sections import Section
from pearl_exporter.config.web import fields


class TlsSettings(Section):
    """``tls_server_config``: the server's certificate, and what clients must show."""

    cert: fields.Certificates | None = None
    key: fields.PrivateKey | None = None
    client_ca: fields.Certificates | None = None
    cert_file: fields.PemFile | None = None
    key_file: fields.PemFile | None = None
    client_auth_type: fields.ClientAuth = "NoClientCert"
    client_ca_file: fields.PemFile | None = None
    client_allowed_sans: fields.Names = ()
    min_version: fields.Version = "TLS12"
    max_version: fields.Version = "TLS13"
    cipher_suites: fields.Ciphers = ()
    prefer_server_cipher_suites: Switch = True
    curve_preferences: fields.Curves = ()


class HttpSettings(Section):
    """``http_server_config``. The server has no HTTP/2, so with TLS ``http2`` can't be true."""

    http2: Switch = False
    headers: fields.Headers = Field(default_factory=dict)


class RateLimitSettings(Section):
    """``rate_limit``: a token bucket for all requests together; no limit if the interval is 0."""

    interval: fields.Interval = 0.0
    burst: fields.Burst = 1
