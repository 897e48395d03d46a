"""The settings: one frozen model a section, with every key's default, bounds and meaning.

`pearl_exporter.config.load_settings` makes them from a file and the environment. Durations are
floats in seconds. What one model can't see (another section, a file on disk) is checked there.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pearl_exporter.config import fields
from pearl_exporter.config.sections import Section as _Section
from pearl_exporter.config.tokens import TokenSource

DAY = 86_400.0
MONTH = 31 * DAY
DURATION_BUCKETS = (5, 10, 15, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600)


def default_settle_unanswered(settle: float) -> float:
    """Give ``poll.settle_unanswered`` where it is not configured. All in seconds."""
    return min(30.0, settle)


def default_stale_after(longest_interval: float) -> float:
    """Give ``poll.stale_after`` where it is not configured. All in seconds."""
    return max(300.0, 3 * longest_interval)


def default_give_up(interval: float, timeout: float) -> float:
    """Give ``poll.give_up`` where it is not configured. All in seconds."""
    return max(interval, 2 * timeout)


class ApiSettings(_Section):
    """Where the API is and how hard it may be asked."""

    url: fields.BaseUrl = Field(
        default="https://api.nlpearl.ai", description="Base URL of the API."
    )
    token: fields.Token | None = Field(
        default=None,
        description="The API token, `accountId:secretKey`. Either this or `token_file`.",
    )
    token_file: fields.FilePath | None = Field(
        default=None, description="File that holds the token; read anew when it changes."
    )
    timeout: Annotated[float, fields.duration(0.1, 600)] = Field(
        default=30.0, description="How long one request may take."
    )
    page_size: Annotated[int, fields.whole(1, 1000)] = Field(
        default=100, description="Calls asked for at once."
    )
    concurrency: Annotated[int, fields.whole(1, 64)] = Field(
        default=2, description="Requests in flight, all outbounds of a token together."
    )
    rate_limit: Annotated[float, fields.above_zero(1000)] = Field(
        default=2.0,
        description="Requests a second, all outbounds of a token together; slowed further by 429s.",
    )
    ca_file: fields.FilePath | None = Field(
        default=None, description="Extra trust root: a file of PEM certificates."
    )
    proxy: fields.ProxyUrl | None = Field(
        default=None,
        description="HTTP proxy, `http://[user:password@]host:port`; kept as a secret.",
    )

    @property
    def token_source(self) -> TokenSource | None:
        """Where the token of this section comes from, None if it has none."""
        if self.token is None and self.token_file is None:
            return None
        return TokenSource(literal=self.token, file=self.token_file)


class PollSettings(_Section):
    """When and what to read: the values that hold for every outbound without its own."""

    interval: Annotated[float, fields.duration(1, DAY)] = Field(
        default=30.0, description="How often each outbound is polled."
    )
    idle_interval: Annotated[float, fields.duration(1, DAY)] | None = Field(
        default=None,
        description="Up to here the interval stretches while nothing happens in an outbound; "
        "none: never.",
    )
    window: Annotated[float, fields.duration(1, MONTH)] = Field(
        default=3600.0,
        description="How far back the window gauges reach; not shorter than `interval` "
        "and `idle_interval`.",
    )
    settle: Annotated[float, fields.duration(0, DAY)] = Field(
        default=120.0, description="How long after its end an answered call is counted."
    )
    settle_unanswered: Annotated[float, fields.duration(0, DAY)] = Field(
        default_factory=lambda data: default_settle_unanswered(data.get("settle", 120.0)),
        description="The same for a call of duration 0; not longer than `settle`.",
        json_schema_extra={"default_text": "the smaller of 30s and `settle`"},
    )
    full_scan_every: Annotated[float, fields.duration(1, MONTH)] = Field(
        default=900.0,
        description="How often the whole window is read again; stretches where it is large.",
    )
    follow: Annotated[float, fields.duration(0, MONTH)] = Field(
        default=DAY,
        description="How long a call that has not settled is followed past the window's edge.",
    )
    catch_up: Annotated[float, fields.duration(0, MONTH)] = Field(
        default=DAY, description="How far back calls are counted after an outage."
    )
    stale_after: Annotated[float, fields.duration(2, MONTH)] = Field(
        default_factory=lambda data: default_stale_after(data.get("interval", 30.0)),
        description="Without a good poll for this long the window series vanish; "
        "at least two intervals, idle ones included.",
        json_schema_extra={"default_text": "the larger of 5m and three of the longest interval"},
    )
    give_up: Annotated[float, fields.duration(1, DAY)] = Field(
        default_factory=lambda data: default_give_up(data.get("interval", 30.0), 30.0),
        description="A poll that got no good page for this long fails.",
        json_schema_extra={"default_text": "the larger of `interval` and twice `api.timeout`"},
    )


class OutboundEntry(_Section):
    """An outbound as the file has it; what is left out comes from `PollSettings`."""

    id: fields.OutboundId = Field(description="The outbound's id at NLPearl.")
    name: fields.Name | None = Field(
        default=None,
        description="Value of the label `outbound`.",
        json_schema_extra={"default_text": "the id"},
    )
    interval: Annotated[float, fields.duration(1, DAY)] | None = Field(
        default=None,
        description="Instead of `poll.interval`.",
        json_schema_extra={"default_text": "`poll.interval`"},
    )
    window: Annotated[float, fields.duration(1, MONTH)] | None = Field(
        default=None,
        description="Instead of `poll.window`.",
        json_schema_extra={"default_text": "`poll.window`"},
    )
    settle: Annotated[float, fields.duration(0, DAY)] | None = Field(
        default=None,
        description="Instead of `poll.settle`.",
        json_schema_extra={"default_text": "`poll.settle`"},
    )
    settle_unanswered: Annotated[float, fields.duration(0, DAY)] | None = Field(
        default=None,
        description="Instead of `poll.settle_unanswered`.",
        json_schema_extra={"default_text": "`poll.settle_unanswered`"},
    )
    stale_after: Annotated[float, fields.duration(2, MONTH)] | None = Field(
        default=None,
        description="Instead of `poll.stale_after`.",
        json_schema_extra={"default_text": "`poll.stale_after`"},
    )
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


class OutboundSettings(_Section):
    """An outbound with every value resolved, so that its readers never look further."""

    id: fields.OutboundId
    name: fields.Name = Field(default_factory=lambda data: data.get("id", ""))
    token: TokenSource
    interval: float = 30.0
    idle_interval: float = Field(default_factory=lambda data: data.get("interval", 30.0))
    window: float = 3600.0
    settle: float = 120.0
    settle_unanswered: float = Field(
        default_factory=lambda data: default_settle_unanswered(data.get("settle", 120.0))
    )
    stale_after: float = Field(
        default_factory=lambda data: default_stale_after(data.get("idle_interval", 30.0))
    )
    give_up: float = Field(
        default_factory=lambda data: default_give_up(data.get("interval", 30.0), 30.0)
    )
    labels: fields.Labels = Field(default_factory=dict)


class DiscoverySettings(_Section):
    """Outbounds that are found by the platform's own list of them."""

    enabled: fields.Switch = Field(
        default=False,
        description="Whether outbounds that the platform lists are polled too, by the token of "
        "`api`.",
    )
    interval: Annotated[float, fields.duration(1, DAY)] = Field(
        default=300.0, description="How often the platform is asked for its list."
    )
    include: fields.TagPattern = Field(
        default=fields.tag_pattern(".*"),
        description="An outbound is polled only if this matches its whole name or its whole id.",
    )
    exclude: fields.TagPattern = Field(
        default=fields.tag_pattern(""),
        description="An outbound is not polled if this matches its whole name or its whole id.",
    )
    paused: Annotated[Literal["poll", "skip"], fields.one_of("poll", "skip")] = Field(
        default="poll",
        description="Whether one that is paused or suspended is polled on, or no more once its "
        "calls have settled.",
    )
    vanished: Annotated[Literal["remove", "keep"], fields.one_of("remove", "keep")] = Field(
        default="remove",
        description="What becomes of one that three good answers in a row did not list.",
    )
    max_outbounds: Annotated[int, fields.whole(1, 10_000)] = Field(
        default=500, description="At most so many are polled, those with the least ids."
    )


class AccountSettings(_Section):
    """The account's own figures."""

    enabled: fields.Switch = Field(
        default=False,
        description="Whether `pearl_account_*` is published, of the account of `api`'s token.",
    )
    interval: Annotated[float, fields.duration(1, DAY)] = Field(
        default=300.0, description="How often the platform is asked for it."
    )


class MetricsSettings(_Section):
    """What the metrics look like."""

    duration_buckets: fields.Buckets = Field(
        default=DURATION_BUCKETS, description="Upper bounds of the duration histograms, in seconds."
    )
    max_tags: Annotated[int, fields.whole(0, 10_000)] = Field(
        default=100, description="Tag values with a series of their own, for each outbound."
    )
    tag_include: fields.TagPattern = Field(
        default=fields.tag_pattern(".*"),
        description="A tag that it does not match as a whole goes to `_other`.",
    )
    tag_exclude: fields.TagPattern = Field(
        default=fields.tag_pattern(""),
        description="A tag that it matches as a whole goes to `_other`.",
    )


class StateSettings(_Section):
    """Where the state is kept."""

    url: fields.StateUrl = Field(
        default="sqlite:///data/pearl-exporter.db",
        description="Relative to the working directory; `memory:` keeps nothing over a restart.",
    )


class WebSettings(_Section):
    """How the exporter is scraped."""

    listen: fields.Listen = Field(
        # An exporter is there to be scraped from elsewhere.
        default=fields.ListenAddress("0.0.0.0", 10042),  # noqa: S104
        description="Address to listen on; `:port` is every IPv4 address, `[::]:port` every IPv6.",
    )
    config_file: fields.FilePath | None = Field(
        default=None,
        description="TLS, basic auth and headers, in a file of their own: see [access](access.md).",
    )
    enable_reload: fields.Switch = Field(
        default=False, description="Whether `POST /-/reload` is answered."
    )


class LogSettings(_Section):
    """What is logged, to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        fields.one_of("debug", "info", "warning", "error"),
    ] = Field(
        default="info",
        description="The least severity that is logged.",
    )
    format: Annotated[Literal["logfmt", "json"], fields.one_of("logfmt", "json")] = Field(
        default="logfmt", description="What a log line looks like."
    )


class Settings(_Section):
    """Everything that was configured, resolved and checked."""

    api: ApiSettings = ApiSettings()
    poll: PollSettings = PollSettings()
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
"""The sections that are mappings of keys; ``outbounds`` is a list of `OutboundEntry`."""
