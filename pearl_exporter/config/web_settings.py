"""The sections of the web configuration: one frozen model each, with every key's default."""

from pydantic import Field

from pearl_exporter.config import web_rules as rules
from pearl_exporter.config.sections import Section


class TlsSettings(Section):
    """``tls_server_config``: the server's certificate, and what it asks of its clients."""

    cert: rules.Certificates | None = None
    key: rules.PrivateKey | None = None
    client_ca: rules.Certificates | None = None
    cert_file: rules.PemFile | None = None
    key_file: rules.PemFile | None = None
    client_auth_type: rules.ClientAuth = "NoClientCert"
    client_ca_file: rules.PemFile | None = None
    client_allowed_sans: rules.Names = ()
    min_version: rules.Version = "TLS12"
    max_version: rules.Version = "TLS13"
    cipher_suites: rules.Ciphers = ()
    prefer_server_cipher_suites: rules.Switch = True
    curve_preferences: rules.Curves = ()


class HttpSettings(Section):
    """``http_server_config``. There is no HTTP/2, so it can only be turned off."""

    http2: rules.Http2 = False
    headers: rules.Headers = Field(default_factory=dict)


class RateLimitSettings(Section):
    """``rate_limit``: a token bucket over all requests. No limit where the interval is 0."""

    interval: rules.Interval = 0.0
    burst: rules.Burst = 1
