"""Outbounds with every value resolved: defaults that depend on other keys, and the token."""

from pearl_exporter.config.settings import ApiSettings, OutboundEntry, OutboundSettings, Settings
from pearl_exporter.config.signals import DEFAULT_SIGNALS, SignalsSettings
from pearl_exporter.config.timings import Timings, resolve_timings
from pearl_exporter.config.tokens import TokenSource


def resolve_outbound(
    entry: OutboundEntry,
    poll: Timings,
    api: ApiSettings,
    signals: SignalsSettings = DEFAULT_SIGNALS,
) -> OutboundSettings:
    """Return an outbound with every value resolved.

    Args:
        entry: The outbound as it was configured. Its token has been checked.
        poll: The section `poll`, for what the entry leaves out.
        api: The section `api`, for the token and the timeout of one request.
        signals: The outbound's signals, resolved.
    """
    timings = resolve_timings(poll, entry.timings(), api.timeout)
    if entry.token_file is not None:
        token = TokenSource(file=entry.token_file)
    else:
        token = TokenSource(literal=api.token, file=api.token_file)
    return OutboundSettings(
        id=entry.id,
        name=entry.name or entry.id,
        token=token,
        labels=entry.labels,
        signals=signals,
        **timings.model_dump(),
    )


def discovered_outbound(outbound_id: str, name: str, settings: Settings) -> OutboundSettings:
    """Return an outbound that was discovered: it has the values for all outbounds."""
    entry = OutboundEntry(id=outbound_id, name=name)
    return resolve_outbound(entry, settings.poll, settings.api, settings.signals)
