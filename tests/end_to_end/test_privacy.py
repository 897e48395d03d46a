"""No phone number and no token leaves the exporter: not at debug, not when the API fails."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pearl_exporter.simulator import Campaign, Profile, SimulatedClock, build_simulator
from tests.cli.simulated import base_url, write_config
from tests.end_to_end.api_server import ApiServer
from tests.end_to_end.scrape import OPENMETRICS, Scrape, scrape
from tests.programs import eventually, run_pearl, running_pearl

ID = "65f1c0ffee"
TOKEN = "acct-4711:s3cr3t-k3y"
NUMBER_IN_ERRORS = "+15125550142"
PERSONAL_TAGS = (
    "call +1 (415) 555-0134 back",
    "0049 30 5550 1234",
    "٠١٥١٢٣٤٥٦٧٨",  # digits of another script
    "jane.doe@example.org",
)
FAULTS = (
    ("bad_request", "bad_request"),
    ("error_object", "bad_response"),
    ("cut", "bad_response"),
    ("html", "bad_response"),
    ("server_error", "server_error"),
    ("drop:1,when=middle", "connection"),
    ("not_found", "not_found"),
    ("forbidden", "auth"),
)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    clock = SimulatedClock()
    profile = Profile(
        outbound_id=ID,
        name="chatty",
        calls_a_day=100_000,
        hours=(1.0,) * 24,
        tags=("interested", *PERSONAL_TAGS),
        tagged_share=1.0,
    )
    campaign = Campaign(profile, seed=5, start_ms=clock() - 7_200_000)
    server = ApiServer(build_simulator([campaign], clock=clock, token=TOKEN))
    yield server
    server.stop()


@pytest.fixture
def config(tmp_path: Path, api: ApiServer) -> Path:
    return write_config(
        tmp_path,
        api.url,
        ID,
        api={"rate_limit": 50, "page_size": 1000},
        poll={"interval": "1s", "give_up": "1s", "settle": "1s"},
        log={"level": "debug"},
    )


def test_neither_number_nor_token_is_ever_told(
    tmp_path: Path, api: ApiServer, config: Path
) -> None:
    seen: list[str] = []
    with running_pearl(tmp_path / "run", "serve", "--config", config) as process:
        url = base_url(process.says("msg=listening"))
        eventually(
            lambda: metric(url, "pearl_tagged_calls_total", tag="_other"),
            seconds=20,
            what="settled calls with personal tags",
        )
        seen += everything(url)
        for fault, reason in FAULTS:
            before = metric(url, "pearl_exporter_poll_failures_total", reason=reason) or 0
            api.set_faults(fault)
            eventually(
                lambda reason=reason, before=before: (
                    (metric(url, "pearl_exporter_poll_failures_total", reason=reason) or 0) > before
                ),
                seconds=15,
                what=f"a poll that failed for {reason}",
            )
            seen += everything(url)
        assert httpx.get(f"{url}/{NUMBER_IN_ERRORS}", trust_env=False).status_code == 404
        seen += [process.stderr, process.stdout]
    assert "level=DEBUG" in process.stderr
    assert "poll failed" in process.stderr
    assert_tells_nothing(seen, numbers(api))


@pytest.mark.parametrize("command", ["check", "once"])
def test_nor_by_a_command_that_meets_an_error(
    tmp_path: Path, api: ApiServer, config: Path, command: str
) -> None:
    seen: list[str] = []
    for fault in (None, "bad_request", "error_object", "not_found"):
        api.set_faults(*filter(None, [fault]))
        told = run_pearl(tmp_path, command, "--config", config)
        assert told.returncode == (0 if fault is None else 1)
        seen += [told.stdout, told.stderr]
    assert_tells_nothing(seen, numbers(api))


def test_the_bait_is_there(api: ApiServer) -> None:
    """Without it, the tests above would prove nothing."""
    assert len(numbers(api)) > 100
    for fault, *_ in FAULTS[:2] + FAULTS[-2:]:
        api.set_faults(fault)
        answer = httpx.post(
            f"{api.url}/v1/Outbound/{ID}/Calls",
            headers={"Authorization": f"Bearer {TOKEN}"},
            json={"fromDate": "2020-01-01T00:00:00Z", "toDate": "2020-01-02T00:00:00Z"},
            trust_env=False,
        )
        assert NUMBER_IN_ERRORS in answer.text, fault


def metric(url: str, name: str, **labels: str) -> float | None:
    return Scrape(scrape(url)).value(name, **labels)


def everything(url: str) -> list[str]:
    page = httpx.get(f"{url}/", trust_env=False)
    assert page.status_code == 200
    return [scrape(url, "text/plain"), scrape(url, OPENMETRICS), page.text]


def numbers(api: ApiServer) -> set[str]:
    """Every number that the API has served, and those that its errors name, as bare digits."""
    (campaign,) = api.simulator.campaigns.values()
    now = api.simulator.clock()
    served = campaign.rows(now - 7_200_000, now, now)
    told = {number for row in served for number in (row["from"], row["to"]) if number}
    digits = {re.sub(r"\D", "", number) for number in {*told, NUMBER_IN_ERRORS}}
    return {number for number in digits if len(number) > 7}


def assert_tells_nothing(seen: list[str], phone_numbers: set[str]) -> None:
    lengths = {len(number) for number in phone_numbers}
    for text in seen:
        told = {
            run[begin : begin + length]
            for run in re.findall(r"\d{8,}", text)
            for length in lengths
            for begin in range(len(run) - length + 1)
        }
        assert not told & phone_numbers
        for secret in (TOKEN, *TOKEN.split(":"), "jane.doe", "555-0134", "5550 1234", "٠١٥١"):
            assert secret not in text
