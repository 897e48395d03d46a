"""Panels about the platform: running outbounds, discovery, and the account."""

from tools.dashboards import panels, queries, thresholds
from tools.dashboards.layout import Panels, data_link, detail_link
from tools.dashboards.panels import COUNT, SECONDS, PanelInfo
from tools.dashboards.promql import CHOSEN, EXPORTERS, JOBS

RUNNING = {"1": ("running", "green"), "0": ("not running", "blue")}
_ANSWERED = {"1": ("answered", "green"), "0": ("failed", "red")}
_IS_IT = {"1": ("yes", "blue"), "0": ("no", "transparent")}
_ONLY_WITH = "Only with {} in the configuration."


def campaigns() -> Panels:
    """Return panels about whether outbounds run, and the account's credit."""
    details = data_link(
        "Details of ${__field.labels.outbound}",
        detail_link("${__field.labels.outbound:percentencode}"),
    )
    return [
        panels.state_timeline(
            PanelInfo(
                "Running",
                "Whether the platform lets each outbound make calls; if not, it is paused, "
                "suspended or in maintenance. "
                + _ONLY_WITH.format("discovery.enabled or account.enabled"),
                COUNT,
            ),
            RUNNING,
            queries.over_range(CHOSEN.min("pearl_outbound_running", "outbound"), "{{outbound}}"),
        ).data_links([details]),
        panels.with_limit(
            panels.time_series(
                PanelInfo(
                    "Credit balance",
                    "The account's credit, in the platform's own unit, and the balance at which "
                    "an alert fires. " + _ONLY_WITH.format("account.enabled"),
                    COUNT,
                ),
                queries.over_range(
                    JOBS.min("pearl_account_credit_balance", "instance"), "{{instance}}"
                ),
            ),
            thresholds.CREDIT,
        ),
    ]


def discovery() -> Panels:
    """Return panels about discovery and account requests, and what they returned."""
    return [
        panels.state_timeline(
            PanelInfo(
                "Platform asked",
                "Whether the last requests for the list of outbounds and for the account "
                "succeeded. A failed one removes nothing.",
                COUNT,
            ),
            _ANSWERED,
            queries.over_range(
                EXPORTERS.min("pearl_discovery_up", "instance"), "list, {{instance}}"
            ),
            queries.over_range(
                EXPORTERS.min("pearl_account_up", "instance"), "account, {{instance}}"
            ),
        ),
        panels.ranked(
            panels.time_series(
                PanelInfo(
                    "Age of the platform's answers",
                    "How long ago the list of outbounds and the account were last read.",
                    SECONDS,
                ),
                queries.over_range(
                    EXPORTERS.age("pearl_discovery_last_success_timestamp_seconds", "instance"),
                    "list, {{instance}}",
                ),
                queries.over_range(
                    EXPORTERS.age("pearl_account_last_success_timestamp_seconds", "instance"),
                    "account, {{instance}}",
                ),
            )
        ),
        panels.stacked(
            panels.time_series(
                PanelInfo(
                    "Listed outbounds",
                    "Outbounds that the platform lists by what becomes of them here. "
                    + _ONLY_WITH.format("discovery.enabled"),
                    COUNT,
                ),
                queries.over_range(
                    EXPORTERS.sum("pearl_discovery_outbounds", "state"), "{{state}}"
                ),
            )
        ),
        panels.state_timeline(
            PanelInfo("Account status", "The status that the account has.", COUNT),
            _IS_IT,
            queries.over_range(EXPORTERS.max("pearl_account_status", "status"), "{{status}}"),
        ),
        panels.time_series(
            PanelInfo("Agents", "Agents of the account.", COUNT),
            queries.over_range(EXPORTERS.max("pearl_account_agents", "instance"), "{{instance}}"),
        ),
    ]
