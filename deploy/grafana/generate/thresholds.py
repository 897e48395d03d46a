"""Where the alert rules draw the line, for colours and limits in the dashboards.

An outbound's own limits come from the recording rules of `deploy/prometheus/rules`, which know what
is usual for it. Without rules, and for an outbound without a past, the limits of the shares that
the rules assume hold. A test compares every number here with the rules.
"""

from typing import NamedTuple

from grafana_foundation_sdk.builders import timeseries

from deploy.grafana.generate import panels, queries
from deploy.grafana.generate.panels import SHARE, About, Steps
from deploy.grafana.generate.selection import ALL, ONE, Selection

ASSUMED_SHARE = {"error": 0.1, "unreachable": 0.6}
"""What the rules take for usual where an outbound has no past of its own."""

EXCESS = {"error": 0.5, "unreachable": 0.8}
"""By how much of the usual share a share must be higher; less where there is little room above."""

STUCK_SECONDS = 10_800
DATA_AGE_SECONDS = 900
BUDGET_SHARE = 0.9
CREDIT = 0

LIMIT = "outbound_status:pearl_calls_share:limit"
USUAL = "outbound_status:pearl_calls_share:usual"
SURPRISE = "outbound_status:pearl_calls_share:surprise"


def assumed_limit(status: str) -> float:
    """The share above which an outbound without a past can be in a spike."""
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
    """The limit of an outcome's share: the outbound's own, else that of the assumed share."""
    own = selection.where(f'status="{status}"').most(LIMIT, by)
    outbounds = selection.most("pearl_window_seconds", by)
    return f"({own} or 0 * {outbounds} + {assumed_limit(status):g})"


def of_limit(status: str) -> str:
    """How much of its limit the share of an outcome has reached, for each outbound."""
    share = ALL.window_share(status, "outbound")
    return f"{share}\n  / {limit_of(ALL, status, 'outbound')}"


def worst_of_limits() -> str:
    """The same of the outcome that is nearer to its limit."""
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
    """An outcome's share over time, with the line below which its alert never fires."""
    usual = ONE.where(f'status="{share.status}"').most(USUAL)
    panel = panels.graph(
        About(
            share.title,
            f"Calls {share.calls}, of all: of the window, and of those that settled. The alert "
            "fires above the limit only, and only where chance cannot explain it. Limit and usual "
            "share are the outbound's own where the recording rules know them.",
            SHARE,
        ),
        queries.graph(ONE.window_share(share.status), "window"),
        queries.graph(ONE.settled_share(share.status), "settled"),
        queries.graph(f"{usual} or vector({ASSUMED_SHARE[share.status]})", "usual"),
        queries.graph(limit_of(ONE, share.status), "alert limit"),
    )
    panels.coloured(panel, {"window": "blue", "settled": "yellow"})
    panels.dashed(panel, "usual", "text")
    return panels.dashed(panel, "alert limit", "red")


def surprise_graph() -> timeseries.Panel:
    """How far from usual the shares are, against what the alerts take for a spike."""
    limit = 'min by (status, speed) (pearl:threshold{name="surprise"})'
    panel = panels.graph(
        About(
            "How unusual the shares are",
            "Standard deviations above the usual share: fast in the last minutes, slow in the "
            "last hours. An alert fires at the dashed lines, given enough calls and a share "
            "above its limit. Needs the rules of deploy/prometheus/rules.",
            "none",
        ),
        queries.graph(ONE.most(SURPRISE, "status, speed"), "{{status}}, {{speed}}"),
        queries.graph(limit, "limit of {{status}}, {{speed}}"),
    )
    for status, colour in (("error", "red"), ("unreachable", "orange")):
        for speed, shade in (("fast", colour), ("slow", f"light-{colour}")):
            panels.coloured(panel, {f"{status}, {speed}": shade})
            line = f"limit of {status}, {speed}"
            panels.unnamed(panels.dashed(panel, line, shade), line)
    return panel.decimals(1).fill_opacity(0)
