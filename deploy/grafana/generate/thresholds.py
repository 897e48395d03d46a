"""Where the alert rules draw the line, for colours and limits in the dashboards."""

from grafana_foundation_sdk.builders import timeseries

from deploy.grafana.generate import panels, queries
from deploy.grafana.generate.panels import SHARE, About, Steps

ERROR_SHARE = 0.15
UNREACHABLE_SHARE = 0.5

ERROR_STEPS: Steps = ((None, "green"), (ERROR_SHARE, "red"))
UNREACHABLE_STEPS: Steps = ((None, "green"), (UNREACHABLE_SHARE, "red"))
OF_THRESHOLD_STEPS: Steps = ((None, "green"), (0.7, "orange"), (1, "red"))
DATA_AGE_STEPS: Steps = ((None, "green"), (120, "orange"), (300, "red"))
"""poll.stale_after is 5 minutes by default; then the window series vanish."""


def of_threshold() -> str:
    """How much of its alert threshold an outbound has reached, by the worse share."""
    error = f"{queries.window_share('error')} / {ERROR_SHARE}"
    unreachable = f"{queries.window_share('unreachable')} / {UNREACHABLE_SHARE}"
    named = (
        f'label_replace({expr}, "share", "{name}", "", "")'
        for name, expr in (("error", error), ("unreachable", unreachable))
    )
    return f"max by (outbound) (\n  {' or '.join(named)}\n)"


def share_graph(title: str, status: str, calls: str) -> timeseries.Panel:
    """An outcome's share over time, with the line at which its alert fires."""
    limit = {"error": ERROR_SHARE, "unreachable": UNREACHABLE_SHARE}[status]
    panel = panels.graph(
        About(
            title, f"Calls {calls}, of all calls: of the window, and of those that settled.", SHARE
        ),
        queries.graph(queries.window_share(status, ""), "window"),
        queries.graph(queries.settled_share(status, ""), "settled"),
    )
    return panels.limits(panel, ((None, "transparent"), (limit, "red")))
