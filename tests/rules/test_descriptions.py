"""What an alert says to the person whom it wakes: the figures of that outbound and of no other."""

import json
import re
from urllib.parse import quote_plus

import pytest

from tests.rules.promtool import ORDER, alerts, run
from tests.rules.test_share_alerts import NAMES, RAISED, USUAL
from tests.rules.world import shares, spring, well

ASSUMED = {"error": "10%", "unreachable": "60%"}
ENDED = {"error": "ended in error", "unreachable": "reached nobody"}


ANY_NAME = 'Win "VIP" \\ Mother\'s 50% {{ 1 }} & צה"ל\N{RIGHT-TO-LEFT MARK} 🎉'


@pytest.mark.parametrize("outbound", ["spring", ANY_NAME])
@pytest.mark.parametrize("status", NAMES)
def test_figures_are_those_of_the_exporter_that_saw_them(tmp_path, status, outbound):
    """Two exporters watch an outbound of the same name, such as production and a trial."""
    usual, raised = USUAL[status], RAISED[status]
    world = [
        *well("bad", 60, shares((30, 20, usual), (30, 20, raised), status=status)),
        *well("calm", 60, shares((60, 20, usual), status=status)),
    ]
    quoted = json.dumps(outbound, ensure_ascii=False)
    for each in world:
        each["series"] = each["series"].replace('outbound="spring"', f"outbound={quoted}")
    alert = NAMES[status][0]
    rule = alerts()[alert]
    description = (
        f"{outbound}: a far larger share of the calls of the last minutes than usual "
        f"{ENDED[status]}, up to {raised:.0%} (usually {ASSUMED[status]})."
    )
    link = f"/d/pearl-outbound-detail?var-outbound={quote_plus(outbound)}"
    links = {"dashboard_url": link}
    notes = {**rule["annotations"], **links, "description": description}
    labels = {**spring("bad"), **rule["labels"], "status": status, "speed": "fast"}
    labels["outbound"] = outbound
    wanted = [{"exp_labels": labels, "exp_annotations": notes}]
    asked = [{"eval_time": "55m", "alertname": alert, "exp_alerts": wanted}]
    assert not run(tmp_path, [{"input_series": world, "alert_rule_test": asked}], only=ORDER)


@pytest.mark.parametrize("name", sorted(alerts()))
def test_what_a_description_looks_up_is_of_the_same_target(name):
    queries = re.findall(r'printf "([^"]*)"', alerts()[name]["annotations"]["description"])
    assert all("{job=%q, instance=%q, outbound=%q" in query for query in queries)
    assert bool(queries) == (re.search("Error|Unreachable|Success", name) is not None)
