"""The cost benchmark runs at tiny sizes, which say nothing about speed; its arithmetic is right."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.cost.visibility_delay import delays, settling_moments
from bench.support.report import quantile
from bench.support.scrape import sums_by_outbound
from bench.support.simulated_api import STABLE, Workload
from pearl_exporter.counting.settlement import CountingRules

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
TITLES = (
    "The machine",
    "Requests and bytes a poll",
    "CPU of a first read, a call",
    "CPU a poll at steady state",
    "Memory a call, at 500 calls",
    "From settling to /metrics, with 3 outbounds",
    "Start-up with a saved state",
    "The state",
)


def test_all_measurements_run_and_write_a_page_with_plots(tmp_path):
    command = [sys.executable, "-m", "bench.cost", "--size", "tiny", "--output", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "tiny.md").read_text()
    assert page in ended.stdout
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == list(TITLES)
    plots = sorted(tmp_path.glob("*.svg"))
    assert len(plots) == page.count(".svg)") == 6
    for plot in plots:
        assert f"]({plot.name})" in page
        assert ET.parse(plot).getroot().tag.endswith("svg")


def test_a_page_names_no_path_and_no_host(tmp_path):
    code = "from bench.support.report import machine; print(machine().rows)"
    command = [sys.executable, "-c", code]
    rows = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert str(Path.home()) not in rows
    assert str(ROOT) not in rows


def test_a_metric_is_summed_by_outbound():
    text = (
        'a_total{outbound="x",status="s"} 1.0\na_total{outbound="x",status="t"} 2.0\na_total2 9\n'
    )
    assert sums_by_outbound(text, "a_total") == {"x": 3.0}
    assert sums_by_outbound("b 4.5\n", "b") == {"": 4.5}


@pytest.mark.parametrize(("share", "found"), [(0.01, 1), (0.5, 2), (0.75, 3), (0.99, 4), (1.0, 4)])
def test_a_quantile_is_one_of_the_values(share, found):
    assert quantile([4, 2, 3, 1], share) == found


def test_a_delay_is_from_the_kth_moment_to_the_first_scrape_of_k():
    counted = [(1_000.0, 0.0), (3_000.0, 2.0), (9_000.0, 3.0)]
    assert delays([500, 2_500, 4_000, 8_000], counted) == [2.5, 0.5, 5.0]


def test_a_call_settles_after_its_end_or_the_last_live_poll():
    campaign = Workload(200, STABLE).campaigns(NOW_MS)[0]
    calls = [call for call in campaign.calls(NOW_MS - 1_200_000, NOW_MS) if call.duration > 0]
    call = next(call for call in calls if call.written > call.start + call.duration * 1000 + 5_000)
    rules = CountingRules(
        window_ms=HOUR_MS,
        settle_ms=1_000,
        settle_unanswered_ms=1_000,
        follow_ms=HOUR_MS,
        catch_up_ms=HOUR_MS,
        scan_every_ms=HOUR_MS,
        buckets=(),
    )
    first, last = call.start - 100_000, call.written + 100_000
    end = call.start + call.duration * 1000
    unseen = settling_moments(campaign, [first, last], rules)
    assert end + 1_000 in unseen
    seen = settling_moments(campaign, [first, call.written - 1, last], rules)
    assert call.written - 1 + 1_000 in seen
    assert end + 1_000 not in seen


def test_a_workload_holds_about_as_many_calls_as_it_says():
    workload = Workload(5_000)
    campaign = workload.campaigns(NOW_MS)[0]
    held = campaign.count(NOW_MS - round(workload.window_seconds * 1000), NOW_MS, NOW_MS)
    assert held == pytest.approx(5_000, rel=0.1)
