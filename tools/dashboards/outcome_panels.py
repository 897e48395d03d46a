"""Panels about how an outbound's calls end: outcomes, shares, telephony states."""

from tools.dashboards import panels, queries, thresholds
from tools.dashboards.colours import OUTCOMES, TELEPHONY_STATES
from tools.dashboards.layout import Panels
from tools.dashboards.panels import CALLS_A_MINUTE, COUNT, SHARE, PanelInfo
from tools.dashboards.promql import CHOSEN


def outcomes() -> Panels:
    """Return panels with all outcomes stacked."""
    window = panels.time_series(
        PanelInfo(
            "Calls in the window by outcome",
            "The calls that started within the window, as they are now, those going on included.",
            COUNT,
        ),
        queries.over_range(_present(CHOSEN.sum("pearl_window_calls", "status")), "{{status}}"),
    ).height(9)
    settled = panels.time_series(
        PanelInfo(
            "Settled calls by outcome",
            "Calls a minute by outcome, each counted once, when it has settled.",
            CALLS_A_MINUTE,
        ),
        queries.over_range(
            _present(CHOSEN.per_minute("pearl_calls_total", "status")), "{{status}}"
        ),
    ).height(9)
    return [
        panels.with_colours(panels.stacked_and_ranked(each), OUTCOMES) for each in (window, settled)
    ]


def shares() -> Panels:
    """Return panels with the shares of the outcomes that have alerts."""
    return [
        thresholds.share_graph(thresholds.ERRORS),
        thresholds.share_graph(thresholds.UNREACHABLES),
        thresholds.surprise_graph().span(8),
        panels.time_series(
            PanelInfo(
                "Success and answer rate",
                "Success rate: successes of the window's calls with a verdict, absent where the "
                "agent has no success definition. Answer rate: settled calls with a duration, "
                "voice mails left aside, of all that settled.",
                SHARE,
            ),
            queries.over_range(CHOSEN.success_rate(), "success rate"),
            queries.over_range(CHOSEN.answer_rate(), "answer rate"),
        )
        .span(8)
        .max(1),
        panels.time_series(
            PanelInfo(
                "Started and settled calls",
                "Calls a minute. Failures settle at once and conversations minutes later, so "
                "while a campaign ramps up, started calls are ahead.",
                CALLS_A_MINUTE,
            ),
            queries.over_range(CHOSEN.per_minute("pearl_calls_started_total"), "started"),
            queries.over_range(CHOSEN.per_minute("pearl_calls_total"), "settled"),
        ).span(8),
    ]


def telephony() -> Panels:
    """Return panels with all telephony states stacked."""
    window = panels.time_series(
        PanelInfo(
            "Calls in the window by telephony state",
            "The same calls as by outcome, by what the telephone network said of them.",
            COUNT,
        ),
        queries.over_range(
            _present(CHOSEN.sum("pearl_window_telephony_calls", "call_status")),
            "{{call_status}}",
        ),
    )
    settled = panels.time_series(
        PanelInfo(
            "Settled calls by telephony state",
            "Calls a minute by telephony state, each counted once, when it has settled.",
            CALLS_A_MINUTE,
        ),
        queries.over_range(
            _present(CHOSEN.per_minute("pearl_telephony_calls_total", "call_status")),
            "{{call_status}}",
        ),
    )
    return [
        panels.with_colours(panels.stacked_and_ranked(each), TELEPHONY_STATES)
        for each in (window, settled)
    ]


def _present(expr: str) -> str:
    """Return the expression without series at 0: most of a dozen outcomes never occur."""
    return f"{expr} > 0"
