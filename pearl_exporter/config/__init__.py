"""The configuration: one frozen `Settings` from file and environment, or all faults at once."""

from pearl_exporter.config.load import load_settings
from pearl_exporter.config.rules import ListenAddress, parse_listen
from pearl_exporter.config.settings import (
    ApiSettings,
    LogSettings,
    MetricsSettings,
    OutboundSettings,
    PollSettings,
    Settings,
    StateSettings,
    WebSettings,
)
from pearl_exporter.config.tokens import TokenSource, normalise_token
from pearl_exporter.errors import ConfigError

__all__ = [
    "ApiSettings",
    "ConfigError",
    "ListenAddress",
    "LogSettings",
    "MetricsSettings",
    "OutboundSettings",
    "PollSettings",
    "Settings",
    "StateSettings",
    "TokenSource",
    "WebSettings",
    "load_settings",
    "normalise_token",
    "parse_listen",
]
