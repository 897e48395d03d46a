"""The configuration: one frozen `Settings` from file and environment, or all problems at once."""

from pearl_exporter.config.addresses import ListenAddress, parse_listen
from pearl_exporter.config.load import load_settings
from pearl_exporter.config.resolve import discovered_outbound
from pearl_exporter.config.settings import (
    AccountSettings,
    ApiSettings,
    DiscoverySettings,
    LogSettings,
    MetricsSettings,
    OutboundSettings,
    PollSettings,
    Settings,
    StateSettings,
    WebSettings,
)
from pearl_exporter.config.tokens import TokenSource
from pearl_exporter.errors import ConfigError

__all__ = [
    "AccountSettings",
    "ApiSettings",
    "ConfigError",
    "DiscoverySettings",
    "ListenAddress",
    "LogSettings",
    "MetricsSettings",
    "OutboundSettings",
    "PollSettings",
    "Settings",
    "StateSettings",
    "TokenSource",
    "WebSettings",
    "discovered_outbound",
    "load_settings",
    "parse_listen",
]
