"""What the platform itself says: which outbounds run, which were discovered, how the account is."""

from deploy.grafana.generate import panels, queries, thresholds
from deploy.grafana.generate.dashboard import Panels, data_link, detail_link
from deploy.grafana.generate.panels import COUNT, SECONDS, About
from deploy.grafana.generate.selection import ALL, EXPORTERS, JOBS

RUNNING = {"1": ("running", "green"), "0": ("not running", "blue")}
_ANSWERED = {"1": ("answered", "green"), "0": ("failed", "red")}
_IS_IT = {"1": ("yes", "blue"), "0": ("no", "transparent")}
_ONLY_WITH = "Only with {} in the configuration."


def campaigns() -> Panels:
    """Whether outbounds run, and whether the account lets them."""
    details = data_link(
        "Details of ${__field.labels.outbound}",
        detail_link("${__field.labels.outbound:percentencode}"),
    )
    return [
        panels.states(
            About(
                "Running",
                "Whether the platform lets each outbound make calls; if not, it is paused, "
                "suspended or in maintenance. "
                + _ONLY_WITH.format("discovery.enabled or account.enabled"),
                COUNT,
            ),
            RUNNING,
            queries.graph(ALL.least("pearl_outbound_running", "outbound"), "{{outbound}}"),
        ).data_links([details]),
        panels.limit(
            panels.graph(
                About(
                    "Credit balance",
                    "The account's credit, in the platform's own unit, and the balance at which "
                    "an alert fires. " + _ONLY_WITH.format("account.enabled"),
                    COUNT,
                ),
                queries.graph(
                    JOBS.least("pearl_account_credit_balance", "instance"), "{{instance}}"
                ),
            ),
            thresholds.CREDIT,
        ),
    ]


def discovery() -> Panels:
    """What is asked of the platform beside calls, and what came of it."""
    return [
        panels.states(
            About(
                "Platform asked",
                "Whether the last requests for the list of outbounds and for the account "
                "succeeded. A failed one removes nothing.",
                COUNT,
            ),
            _ANSWERED,
            queries.graph(EXPORTERS.least("pearl_discovery_up", "instance"), "list, {{instance}}"),
            queries.graph(EXPORTERS.least("pearl_account_up", "instance"), "account, {{instance}}"),
        ),
        panels.ranked(
            panels.graph(
                About(
                    "Age of the platform's answers",
                    "How long ago the list of outbounds and the account were last read.",
                    SECONDS,
                ),
                queries.graph(
                    EXPORTERS.age("pearl_discovery_last_success_timestamp_seconds", "instance"),
                    "list, {{instance}}",
                ),
                queries.graph(
                    EXPORTERS.age("pearl_account_last_success_timestamp_seconds", "instance"),
                    "account, {{instance}}",
                ),
            )
        ),
        panels.stacked(
            panels.graph(
                About(
                    "Listed outbounds",
                    "Outbounds that the platform lists by what becomes of them here. "
                    + _ONLY_WITH.format("discovery.enabled"),
                    COUNT,
                ),
                queries.graph(EXPORTERS.total("pearl_discovery_outbounds", "state"), "{{state}}"),
            )
        ),
        panels.states(
            About("Account status", "The status that the account has.", COUNT),
            _IS_IT,
            queries.graph(EXPORTERS.most("pearl_account_status", "status"), "{{status}}"),
        ),
        panels.graph(
            About("Agents", "Agents of the account.", COUNT),
            queries.graph(EXPORTERS.most("pearl_account_agents", "instance"), "{{instance}}"),
        ),
    ]
