"""What an old backup of the state does to counters, by Prometheus' own engine."""

import re
from pathlib import Path

from tests.rules.promtool import counter, holds, run, series

PAGE = Path(__file__).parents[2] / "docs" / "state.md"
DAY = 1440.0
BACK = 2 * DAY
"""When a backup that is six hours old is put back, two days after the first call."""


USUAL = "sum by (outbound, status) (increase(pearl_calls_total[1d]))"
"""What has the counter's whole value too much."""


def documented() -> str:
    (query,) = re.findall(r"```promql\n(.+)\n```", PAGE.read_text())
    return query


def test_the_documented_query_survives_an_old_backup(tmp_path):
    """One call a minute; six hours of them are counted again within half an hour."""
    labels = {"outbound": "one", "status": "success"}
    late = 6 * 60
    values = " ".join(
        (
            counter((BACK, 1)),
            counter((30, late / 30 + 1), start=BACK - late),
            counter((2 * DAY, 1), start=BACK + 30),
        )
    )
    after = BACK + 12 * 60
    asked = [
        holds(BACK - 60, documented(), DAY, **labels),
        holds(after, documented(), DAY, **labels),
        holds(after, f"{USUAL} > bool {DAY + 2000}", 1, **labels),
    ]
    test = {
        "input_series": [series("pearl_calls_total", values, labels)],
        "promql_expr_test": asked,
    }
    assert run(tmp_path, [test], only=["none"]) == ""
