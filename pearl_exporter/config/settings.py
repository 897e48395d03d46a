"""The settings: one frozen model for each section, with every key's default, bounds and meaning.

`load` makes them from a file and the environment. Durations are floats in seconds. What one model
can't see (another section, a file on disk) is checked in `checks`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pearl_exporter.config import fields
from pearl_exporter.config.addresses import ListenAddress
from pearl_exporter.config.sections import Section
from pearl_exporter.config.signals import DEFAULT_SIGNALS, SignalsSettings
from pearl_exporter.config.timings import (
    DAY,
    DEFAULT_API_TIMEOUT,
    MONTH,
    Interval,
    Settle,
    StaleAfter,
    Timings,
    Window,
    override,
)
from pearl_exporter.config.tokens import TokenSource

DURATION_BUCKETS = (5, 10, 15, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600)


class ApiSettings(Section):
    """Where the API is, with which token, and how many requests it may get."""

    url: fields.BaseUrl = Field(
        default="https://api.nlpearl.ai",
        description="Base URL of the API, without the `/v1` of its paths.",
    )
    token: fields.Token | None = Field(
        default=None,
        description="The API token, `accountId:secretKey`. Either this or `token_file`.",
    )
    token_file: fields.FilePath | None = Field(
        default=None, description="File that holds the token; read again when it changes."
    )
    timeout: Annotated[float, fields.duration(0.1, 600)] = Field(
        default=DEFAULT_API_TIMEOUT, description="How long one request may take."
    )
    page_size: Annotated[int, fields.whole(1, 1000)] = Field(
        default=100, description="Calls requested per page."
    )
    concurrency: Annotated[int, fields.whole(1, 64)] = Field(
        default=2, description="Requests in flight at once, all outbounds of a token together."
    )
    rate_limit: Annotated[float, fields.above_zero(1000)] = Field(
        default=2.0,
        description="Requests a second, all outbounds of a token together; "
        "lower while the API answers 429.",
    )
    ca_file: fields.FilePath | None = Field(
        default=None, description="Extra trust root: a file of PEM certificates."
    )
    proxy: fields.ProxyUrl | None = Field(
        default=None,
        description="HTTP proxy, `http://[user:password@]host:port`; treated as a secret.",
    )

    @property
    def token_source(self) -> TokenSource | None:
        """Where the token of this section comes from; None if it has no token."""
        if self.token is None and self.token_file is None:
            return None
        return TokenSource(literal=self.token, file=self.token_file)


class PollSettings(Timings):
    """When and what to read: the values for every outbound without its own."""

    full_scan_every: Annotated[float, fields.duration(1, MONTH)] = Field(
        default=900.0,
        description="How often the whole window is read again; less often if the window is large.",
    )
    follow: Annotated[float, fields.duration(0, MONTH)] = Field(
        default=DAY,
        description="How long after its start a call that has not settled is still read.",
    )
    catch_up: Annotated[float, fields.duration(0, MONTH)] = Field(
        default=DAY, description="How far back calls are counted after an outage."
    )
    max_unreadable: Annotated[float, fields.share()] = Field(
        default=0.01,
        description="Share of the calls that the API counts and does not list, up to which a poll "
        "is good; 2 calls always may be missing.",
    )


class OutboundEntry(Section):
    """An outbound as it was configured; what is left out comes from `PollSettings`."""

    id: fields.OutboundId = Field(description="The outbound's id at NLPearl.")
    name: fields.Name | None = Field(
        default=None,
        description="Value of the label `outbound`.",
        json_schema_extra={"default_text": "the id"},
    )
    interval: Interval | None = override("interval")
    window: Window | None = override("window")
    settle: Settle | None = override("settle")
    settle_unanswered: Settle | None = override("settle_unanswered")
    stale_after: StaleAfter | None = override("stale_after")
    token_file: fields.FilePath | None = Field(
        default=None,
        description="File with the token of another account.",
        json_schema_extra={"default_text": "the token of `api`"},
    )
    labels: fields.Labels = Field(
        default_factory=dict,
        description="Extra labels of `pearl_outbound_info`.",
        json_schema_extra={"default_text": "none"},
    )

    def timings(self) -> dict[str, float]:
        """Return the timing keys that this outbound has of its own."""
        keys = Timings.model_fields.keys() & OutboundEntry.model_fields.keys()
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


class OutboundSettings(Timings):
    """An outbound with every value resolved: whoever polls it needs no other section for them."""

    id: fields.OutboundId
    name: fields.Name = Field(default_factory=lambda data: data.get("id", ""))
    token: TokenSource
    idle_interval: float = Field(default_factory=lambda data: data.get("interval", 0.0))
    labels: fields.Labels = Field(default_factory=dict)
    signals: SignalsSettings = DEFAULT_SIGNALS


class DiscoverySettings(Section):
    """Outbounds found in the platform's own list."""

    enabled: fields.Switch = Field(
        default=False,
        description="Whether outbounds that the platform lists are polled too, with the token of "
        "`api`.",
    )
    interval: Annotated[float, fields.duration(1, DAY)] = Field(
        default=300.0, description="How often the platform's list is read."
    )
    include: fields.TagPattern = Field(
        default=fields.tag_pattern(".*"),
        description="Only outbounds whose whole name or whole id matches are polled.",
    )
    exclude: fields.TagPattern = Field(
        default=fields.tag_pattern(""),
        description="Outbounds whose whole name or whole id matches are not polled.",
    )
    paused: Annotated[Literal["poll", "skip"], fields.one_of("poll", "skip")] = Field(
        default="poll",
        description="Whether a paused or suspended outbound is still polled, or only until its "
        "calls have settled.",
    )
    vanished: Annotated[Literal["remove", "keep"], fields.one_of("remove", "keep")] = Field(
        default="remove",
        description="Whether an outbound that three successful answers in a row did not list is "
        "removed with its series, or still polled.",
    )
    max_outbounds: Annotated[int, fields.whole(1, 10_000)] = Field(
        default=500, description="Maximum number of discovered outbounds; the lowest ids win."
    )


class AccountSettings(Section):
    """The account's own metrics."""

    enabled: fields.Switch = Field(
        default=False,
        description="Whether `pearl_account_*` is published, for the account of `api`'s token.",
    )
    interval: Annotated[float, fields.duration(1, DAY)] = Field(
        default=300.0, description="How often the account is read."
    )


class MetricsSettings(Section):
    """What the metrics look like."""

    duration_buckets: fields.Buckets = Field(
        default=DURATION_BUCKETS, description="Upper bounds of the duration histograms, in seconds."
    )
    max_tags: Annotated[int, fields.whole(0, 10_000)] = Field(
        default=100,
        description="Maximum number of tag values with series of their own, per outbound.",
    )
    tag_include: fields.TagPattern = Field(
        default=fields.tag_pattern(".*"),
        description="Tags that this does not match as a whole go to `_other`.",
    )
    tag_exclude: fields.TagPattern = Field(
        default=fields.tag_pattern(""),
        description="Tags that this matches as a whole go to `_other`.",
    )


class StateSettings(Section):
    """Where the state is kept."""

    url: fields.StateUrl = Field(
        default="sqlite:///data/pearl-exporter.db",
        description="Where the state is kept; a relative path begins at the working directory, "
        "`memory:` keeps nothing across a restart.",
    )


class WebSettings(Section):
    """How the exporter is scraped."""

    listen: fields.Listen = Field(
        # Prometheus scrapes an exporter from another machine.
        default=ListenAddress("", 10042),
        description="Address to listen on; `:port` is every address, IPv4 and IPv6.",
    )
    config_file: fields.FilePath | None = Field(
        default=None,
        description="File with TLS, basic auth and headers: see [access](access.md).",
    )
    enable_reload: fields.Switch = Field(
        default=False, description="Whether `POST /-/reload` reads the configuration again."
    )


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        fields.one_of("debug", "info", "warning", "error"),
    ] = Field(
        default="info",
        description="The lowest severity that is logged.",
    )
    format: Annotated[Literal["logfmt", "json"], fields.one_of("logfmt", "json")] = Field(
        default="logfmt", description="The form of a log line."
    )


class Settings(Section):
    """Everything that was configured, resolved and checked."""

    api: ApiSettings = ApiSettings()
    poll: PollSettings = PollSettings()
    signals: SignalsSettings = DEFAULT_SIGNALS
    outbounds: tuple[OutboundSettings, ...] = ()
    discovery: DiscoverySettings = DiscoverySettings()
    account: AccountSettings = AccountSettings()
    metrics: MetricsSettings = MetricsSettings()
    state: StateSettings = StateSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()


SECTIONS: Mapping[str, type[BaseModel]] = {
    "api": ApiSettings,
    "poll": PollSettings,
    "discovery": DiscoverySettings,
    "account": AccountSettings,
    "metrics": MetricsSettings,
    "state": StateSettings,
    "web": WebSettings,
    "log": LogSettings,
}
"""The sections that are mappings; ``outbounds`` is a list of `OutboundEntry`."""
