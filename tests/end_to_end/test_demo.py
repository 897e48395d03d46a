"""The demo as a stranger runs it, watched by a real Prometheus, against the simulator's truth."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.end_to_end.truth import scraped_windows, tags_of, true_figures, without_zeros
from tests.support.patience import PATIENT
from tests.support.programs import Running, eventually, running_pearl
from tests.support.prometheus import Prometheus, first_scrape, prometheus
from tests.support.serving import serving

pytestmark = pytest.mark.slow

WINDOW_MS = 600_000
OUTBOUNDS = {"spring-renewals", "appointment-reminders", "night-shift"}


@dataclass
class Demo:
    process: Running
    url: str
    api: httpx.Client
    prometheus: Prometheus


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Demo and Prometheus; job ``demo`` negotiates OpenMetrics, job ``text`` gets the text."""
    folder: Path = tmp_path_factory.mktemp("demo")
    with running_pearl(folder / "demo", "demo", "--listen", "127.0.0.1:0") as process:
        url = _url(process.says("the metrics")).removesuffix("/metrics")
        api_url = _url(process.says("the API")).removesuffix("/_sim/state")
        process.says("Ctrl-C ends it")
        targets = {"demo": url.removeprefix("http://")}
        with serving(_as_text(url)) as text_url:
            targets["text"] = text_url.removeprefix("http://")
            flags = ("--enable-feature=exemplar-storage",)
            with (
                prometheus(folder / "prometheus", targets, *flags) as server,
                httpx.Client(base_url=api_url, **PATIENT) as api,
            ):
                for job in targets:
                    first_scrape(server, job)
                yield Demo(process, url, api, server)


def _url(line: str) -> str:
    found = re.search(r"http://\S+", line)
    assert found, line
    return found[0]


def _as_text(url: str) -> Starlette:
    """The demo's metrics as someone sees them who does not know OpenMetrics."""

    async def metrics(_: Request) -> Response:
        async with httpx.AsyncClient(**PATIENT) as client:
            headers = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}
            answer = await client.get(f"{url}/metrics", headers=headers)
        return Response(answer.content, answer.status_code, dict(answer.headers))

    return Starlette(routes=[Route("/metrics", metrics)])


def test_the_addresses_it_prints_can_be_opened(demo: Demo) -> None:
    said = demo.process.stdout
    for address in re.findall(r"http://\S+/(?:metrics|_sim/state|)(?=\s)", said):
        assert httpx.get(address, **PATIENT).status_code == 200, address
    assert all(name in said for name in OUTBOUNDS)


def test_every_scraped_poll_equals_the_truth(demo: Demo) -> None:
    """Live data move every second, so only polls during which nothing moved can be compared."""
    compared: dict[str, int] = dict.fromkeys(OUTBOUNDS, 0)
    seen: set[tuple[str, int]] = set()

    def enough() -> bool:
        for poll in scraped_windows(demo.prometheus, "demo", 60):
            if (poll.outbound, poll.at_ms) not in seen:
                seen.add((poll.outbound, poll.at_ms))
                compared[poll.outbound] += _equals_truth(demo, poll)
        return min(compared.values()) >= 6

    eventually(enough, what=f"six polls of each outbound compared ({compared})")


def _equals_truth(demo: Demo, poll) -> bool:
    """Whether it could be compared; then it must be equal."""
    about = {"from_ms": poll.at_ms - WINDOW_MS, "tags": tags_of(poll.figures)}
    margin_ms = round(poll.poll_seconds * 1000) + 20
    before, after = (
        true_figures(demo.api, poll.outbound, as_of_ms=poll.at_ms + shift, **about)
        for shift in (-20, margin_ms)
    )
    at = true_figures(demo.api, poll.outbound, as_of_ms=poll.at_ms, **about)
    if not before == at == after:
        return False
    assert without_zeros(poll.figures) == without_zeros(at), poll.outbound
    return True


def test_an_incident_set_over_http_is_visible(demo: Demo) -> None:
    errors = 'pearl_window_calls{job="demo",outbound="spring-renewals",status="error"}'
    before = eventually(lambda: demo.prometheus.values(errors), what="a first poll")
    incident = {
        "outbound": "spring-renewals",
        "kind": "error",
        "share": 1.0,
        "lasting_seconds": 300,
    }
    assert demo.api.post("/_sim/incidents", json=incident).status_code == 200
    wanted = next(iter(before.values())) + 3
    eventually(
        lambda: (demo.prometheus.value(errors) or 0) >= wanted,
        what="three errors more in the window",
    )


def test_exemplars_arrive_and_name_calls(demo: Demo) -> None:
    def exemplars() -> list[dict]:
        span = {"start": time.time() - 300, "end": time.time() + 1}
        query = 'pearl_call_duration_seconds_bucket{job="demo"}'
        return demo.prometheus.ask("/api/v1/query_exemplars", query=query, **span)

    for series in eventually(exemplars, what="an exemplar"):
        outbound, le = series["seriesLabels"]["outbound"], float(series["seriesLabels"]["le"])
        for exemplar in series["exemplars"]:
            assert list(exemplar["labels"]) == ["call_id"]
            assert float(exemplar["value"]) <= le
            assert exemplar["labels"]["call_id"] in _calls_around(demo, outbound, exemplar)


def _calls_around(demo: Demo, outbound: str, exemplar: dict) -> set[str]:
    """The calls of the hour before the exemplar's scrape, deleted ones too."""
    ids: set[str] = set()
    for seconds_before in (0, 20, 60):
        at_ms = round(exemplar["timestamp"] * 1000) - seconds_before * 1000
        asked = {"outbound": outbound, "at": at_ms, "window": 3600, "rows": 1}
        ids |= {row["id"] for row in demo.api.get("/_sim/truth", params=asked).json()["rows"]}
    return ids


def test_the_balance_of_calls_holds_at_every_scrape(demo: Demo) -> None:
    started = 'pearl_calls_started_total{job="demo"}'
    parts = (
        'sum by (outbound) (pearl_calls_total{job="demo"})',
        'pearl_live_calls{job="demo"}',
        'pearl_pending_calls{job="demo"}',
        'sum by (outbound) (pearl_calls_uncounted_total{job="demo"})',
    )
    difference = " - on (outbound) ".join((started, *parts))
    settled = f"sum({parts[0]})"
    eventually(lambda: (demo.prometheus.value(settled) or 0) > 0, what="settled calls")
    eventually(
        lambda: (demo.prometheus.value(f"min(count_over_time({started}[1m]))") or 0) >= 15,
        what="fifteen scrapes",
    )
    now = time.time()
    span = {"start": now - 60, "end": now, "step": 1}
    found = demo.prometheus.ask("/api/v1/query_range", query=difference, **span)["result"]
    assert {each["metric"]["outbound"] for each in found} == OUTBOUNDS
    assert {value for each in found for _, value in each["values"]} == {"0"}
    assert all(len(each["values"]) >= 10 for each in found)


def test_while_time_stands_still_the_window_is_the_truth(demo: Demo) -> None:
    """With the API's clock stopped, no poll can be said to have come at a bad moment."""
    paused_ms = demo.api.post("/_sim/clock", json={"paused": True}).json()["now_ms"]
    try:
        eventually(
            lambda: _all_polled_after(demo, paused_ms),
            what="in both formats each outbound was polled after the pause",
        )
        for job in ("demo", "text"):
            last = {poll.outbound: poll for poll in scraped_windows(demo.prometheus, job, 10)}
            assert last.keys() == OUTBOUNDS
            for poll in last.values():
                assert poll.at_ms > paused_ms
                truth = true_figures(
                    demo.api,
                    poll.outbound,
                    as_of_ms=paused_ms,
                    from_ms=poll.at_ms - WINDOW_MS,
                    tags=tags_of(poll.figures),
                )
                assert without_zeros(poll.figures) == without_zeros(truth), poll.outbound
    finally:
        real = round(time.time() * 1000)
        demo.api.post("/_sim/clock", json={"set": str(real), "paused": False})


def _all_polled_after(demo: Demo, paused_ms: int) -> bool:
    moments = demo.prometheus.values("min by (job) (pearl_outbound_data_timestamp_seconds)")
    return len(moments) == 2 and all(round(each * 1000) > paused_ms for each in moments.values())


def test_text_and_openmetrics_make_the_same_series(demo: Demo) -> None:
    def series(job: str) -> set[frozenset[tuple[str, str]]]:
        found = demo.prometheus.values(f'{{__name__=~"pearl_.+",job="{job}"}}')
        return {labels - {("job", job)} for labels in found}

    eventually(
        lambda: len(series("demo")) > 200 and series("demo") == series("text"),
        what="the same series by both formats",
    )


def test_no_scrape_failed(demo: Demo) -> None:
    eventually(
        lambda: (demo.prometheus.value("min(sum_over_time(up[5m]))") or 0) >= 10,
        what="ten good scrapes of each target",
    )
    # one that took its whole second met a busy machine, and tells nothing of what it would have got
    failed = "((up == 0) and (scrape_duration_seconds < 0.95))"
    assert demo.prometheus.values(f"count_over_time({failed}[5m:1s])") == {}
    eventually(lambda: _health(demo) == {("up", "")}, what="both targets are well")
    for line in demo.prometheus.own_metrics().splitlines():
        if re.match(r"prometheus_target_scrapes_(sample|exceeded|exemplar)\w+_total", line):
            assert line.endswith(" 0"), line


def _health(demo: Demo) -> set[tuple[str, str]]:
    return {(each["health"], each["lastError"]) for each in demo.prometheus.targets()}


def test_it_logs_nothing_while_all_is_well(demo: Demo) -> None:
    assert "level=WARNING" not in demo.process.stderr
    assert "level=ERROR" not in demo.process.stderr
    assert "Traceback" not in demo.process.stderr
