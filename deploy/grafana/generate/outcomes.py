"""How the calls of an outbound end: outcomes, shares, telephony states."""

from deploy.grafana.generate import panels, queries, thresholds
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import CALLS_A_MINUTE, COUNT, SHARE, About
from deploy.grafana.generate.selection import ONE
from deploy.grafana.generate.statuses import OUTCOMES, TELEPHONY_STATES


def outcomes() -> Panels:
    """All outcomes on top of each other."""
    window = panels.graph(
        About(
            "Calls in the window by outcome",
            "The calls that started within the window, as they are now, those going on included.",
            COUNT,
        ),
        queries.graph(_present(ONE.total("pearl_window_calls", "status")), "{{status}}"),
    ).height(9)
    settled = panels.graph(
        About(
            "Settled calls by outcome",
            "Calls a minute by outcome, each counted once, when it has settled.",
            CALLS_A_MINUTE,
        ),
        queries.graph(_present(ONE.a_minute("pearl_calls_total", "status")), "{{status}}"),
    ).height(9)
    return [panels.coloured(panels.ranked_stack(each), OUTCOMES) for each in (window, settled)]


def shares() -> Panels:
    """The outcomes that alerts watch, as shares."""
    return [
        thresholds.share_graph(thresholds.ERRORS),
        thresholds.share_graph(thresholds.UNREACHABLES),
        thresholds.surprise_graph().span(8),
        panels.graph(
            About(
                "Success and answer rate",
                "Success rate: successes of the window's calls with a verdict, absent where the "
                "agent has no success definition. Answer rate: settled calls with a duration, "
                "voice mails left aside, of all that settled.",
                SHARE,
            ),
            queries.graph(ONE.success_rate(), "success rate"),
            queries.graph(ONE.answer_rate(), "answer rate"),
        )
        .span(8)
        .max(1),
        panels.graph(
            About(
                "Started and settled calls",
                "Calls a minute. Failures settle at once and conversations minutes later, so "
                "while a campaign ramps up, started calls are ahead.",
                CALLS_A_MINUTE,
            ),
            queries.graph(ONE.a_minute("pearl_calls_started_total"), "started"),
            queries.graph(ONE.a_minute("pearl_calls_total"), "settled"),
        ).span(8),
    ]


def telephony() -> Panels:
    """All telephony states on top of each other."""
    window = panels.graph(
        About(
            "Calls in the window by telephony state",
            "The same calls as by outcome, by what the telephone network said of them.",
            COUNT,
        ),
        queries.graph(
            _present(ONE.total("pearl_window_telephony_calls", "call_status")),
            "{{call_status}}",
        ),
    )
    settled = panels.graph(
        About(
            "Settled calls by telephony state",
            "Calls a minute by telephony state, each counted once, when it has settled.",
            CALLS_A_MINUTE,
        ),
        queries.graph(
            _present(ONE.a_minute("pearl_telephony_calls_total", "call_status")),
            "{{call_status}}",
        ),
    )
    return [
        panels.coloured(panels.ranked_stack(each), TELEPHONY_STATES) for each in (window, settled)
    ]


def _present(expr: str) -> str:
    """Leaves out the series at 0: of a dozen outcomes most never occur in a campaign."""
    return f"{expr} > 0"
