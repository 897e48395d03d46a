"""Thresholds of the alert rules, for colours and limits in the dashboards.

An outbound's own limits come from the recording rules of `deploy/prometheus/rules`, which know its
usual shares. Without the rules, or for an outbound without a past, the assumed shares below are
used. A test compares every number here with the rules.
"""

from typing import NamedTuple

from grafana_foundation_sdk.builders import timeseries

from tools.dashboards import panels, queries
from tools.dashboards.panels import SHARE, PanelInfo, Steps
from tools.dashboards.promql import CHOSEN, Selection

ASSUMED_SHARE = {"error": 0.1, "unreachable": 0.6}
"""Shares that the rules assume as usual for an outbound without a past."""

EXCESS = {"error": 0.5, "unreachable": 0.8}
"""A share ``u`` may rise to ``u + excess * u * (1 - u)`` before an alert can fire."""

STUCK_SECONDS = 10_800
DATA_AGE_SECONDS = 900
BUDGET_SHARE = 0.9
CREDIT = 0

LIMIT = "outbound_status:pearl_calls_share:limit"
USUAL = "outbound_status:pearl_calls_share:usual"
SURPRISE = "outbound_status:pearl_calls_share:surprise"


def assumed_limit(status: str) -> float:
    """Return the share above which the alerts of an outbound without a past can fire."""
    usual = ASSUMED_SHARE[status]
    return usual + EXCESS[status] * usual * (1 - usual)


ERROR_STEPS: Steps = ((None, "green"), (assumed_limit("error"), "red"))
UNREACHABLE_STEPS: Steps = ((None, "green"), (assumed_limit("unreachable"), "red"))
OF_LIMIT_STEPS: Steps = ((None, "green"), (0.75, "orange"), (1, "red"))
DATA_AGE_STEPS: Steps = (
    (None, "green"),
    (DATA_AGE_SECONDS / 3, "orange"),
    (DATA_AGE_SECONDS, "red"),
)
LIVE_AGE_STEPS: Steps = ((None, "text"), (STUCK_SECONDS, "red"))
BUDGET_STEPS: Steps = ((None, "green"), (0.7, "orange"), (BUDGET_SHARE, "red"))


def limit_of(selection: Selection, status: str, by: str = "") -> str:
    """Return the limit of an outcome's share: the outbound's own, else the assumed one."""
    own = selection.where(f'status="{status}"').max(LIMIT, by)
    outbounds = selection.max("pearl_window_seconds", by)
    return f"({own} or 0 * {outbounds} + {assumed_limit(status):g})"


def of_limit(status: str) -> str:
    """Return the share of an outcome divided by its limit, for each outbound."""
    share = CHOSEN.window_share(status, "outbound")
    return f"{share}\n  / {limit_of(CHOSEN, status, 'outbound')}"


def worst_of_limits() -> str:
    """Return `of_limit` of the outcome that is nearer to its limit, for each outbound."""
    each = (
        f'label_replace({of_limit(status)}, "status", "{status}", "", "")'
        for status in ASSUMED_SHARE
    )
    return f"max by (outbound) (\n  {' or '.join(each)}\n)"


class _Share(NamedTuple):
    title: str
    status: str
    calls: str


ERRORS = _Share("Error share", "error", "that ended in error")
UNREACHABLES = _Share("Unreachable share", "unreachable", "that reached nobody")


def share_graph(share: _Share) -> timeseries.Panel:
    """Return a panel with an outcome's share over time and the limit below which no alert fires."""
    usual = CHOSEN.where(f'status="{share.status}"').max(USUAL)
    panel = panels.time_series(
        PanelInfo(
            share.title,
            f"Calls {share.calls}, of all: of the window, and of those that settled. The alert "
            "fires above the limit only, and only where chance cannot explain it. Limit and usual "
            "share are the outbound's own where the recording rules know them.",
            SHARE,
        ),
        queries.over_range(CHOSEN.window_share(share.status), "window"),
        queries.over_range(CHOSEN.settled_share(share.status), "settled"),
        queries.over_range(f"{usual} or vector({ASSUMED_SHARE[share.status]})", "usual"),
        queries.over_range(limit_of(CHOSEN, share.status), "alert limit"),
    )
    panels.with_colours(panel, {"window": "blue", "settled": "yellow"})
    panels.dashed(panel, "usual", "text")
    return panels.dashed(panel, "alert limit", "red")


def surprise_graph() -> timeseries.Panel:
    """Return a panel with the z-scores of the shares and the thresholds of the alerts."""
    limit = 'min by (status, speed) (pearl:threshold{name="surprise"})'
    panel = panels.time_series(
        PanelInfo(
            "How unusual the shares are",
            "Standard deviations above the usual share: fast in the last minutes, slow in the "
            "last hours. An alert fires at the dashed lines, given enough calls and a share "
            "above its limit. Needs the rules of deploy/prometheus/rules.",
            "none",
        ),
        queries.over_range(CHOSEN.max(SURPRISE, "status, speed"), "{{status}}, {{speed}}"),
        queries.over_range(limit, "limit of {{status}}, {{speed}}"),
    )
    for status, colour in (("error", "red"), ("unreachable", "orange")):
        for speed, shade in (("fast", colour), ("slow", f"light-{colour}")):
            panels.with_colours(panel, {f"{status}, {speed}": shade})
            line = f"limit of {status}, {speed}"
            panels.without_legend(panels.dashed(panel, line, shade), line)
    return panel.decimals(1).fill_opacity(0)
