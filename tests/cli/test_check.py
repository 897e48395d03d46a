"""``check``: a line for each outbound, the request budget, and an exit code to rely on."""

import re
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.simulated import TOKEN, simulated_api, write_config
from tests.support.certificates import make_certificates
from tests.support.programs import run_pearl

pytestmark = pytest.mark.slow


def test_it_prints_a_line_for_each_outbound_and_the_budget(tmp_path: Path) -> None:
    with simulated_api(outbounds=2) as api:
        other = api.others[0]
        outbounds = [{"id": api.outbound, "name": "one"}, {"id": other}]
        sections = {"outbounds": outbounds, "poll": {"interval": "1m"}, "api": {"rate_limit": 2}}
        path = write_config(tmp_path, api.url, api.outbound, **sections)
        told = run_pearl(tmp_path, "check", "--config", path)
    one, two, *habits, budget = told.stdout.splitlines()
    assert [habit.partition(":")[0] for habit in habits] == [
        f"ok    one, {subject}"
        for subject in ("zone", "order", "ends", "count", "rows", "page", "filter")
    ]
    calls = r"[1-9][0-9,]* calls? in its window of 10m"
    assert re.fullmatch(rf"ok +one \({api.outbound}\): {calls}", one)
    assert re.fullmatch(rf"ok +{other}: {calls}", two)
    assert re.fullmatch(
        r"budget: about \d+ requests a minute are needed, 120 are allowed by api.rate_limit", budget
    )
    assert told.stderr == ""
    assert told.returncode == 0


def test_it_warns_when_the_budget_does_not_fit(tmp_path: Path) -> None:
    with simulated_api() as api:
        api_keys = {"page_size": 1, "rate_limit": 1}
        path = write_config(tmp_path, api.url, api.outbound, api=api_keys)
        told = run_pearl(tmp_path, "check", "--config", path)
    *_, budget, warning = told.stdout.splitlines()
    needed = float(re.findall(r"about ([\d,]+) requests", budget)[0].replace(",", ""))
    calls = float(re.findall(r"([\d,]+) calls", told.stdout)[0].replace(",", ""))
    # a call a page, a poll a second: three requests, and the calls that are new since the last
    assert needed == pytest.approx((3 + calls / 600) * 60, abs=1)
    assert warning.startswith("WARNING")
    factor = float(re.findall(r"factor of ([\d.]+)", warning)[0])
    assert factor == pytest.approx(needed / 60, abs=0.06)  # both are rounded
    assert "poll.interval" in warning
    assert told.returncode == 0


def told_with_web_config(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    web_config = folder / "web.yml"
    web_config.write_text(text)
    with simulated_api() as api:
        web = {"config_file": str(web_config)}
        path = write_config(folder, api.url, api.outbound, web=web)
        return run_pearl(folder, "check", "--config", path)


def test_it_warns_of_a_certificate_that_has_expired(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    certificates.renew(not_after=datetime.now(UTC) - timedelta(hours=1))
    tls = "tls_server_config: {cert_file: server.crt, key_file: server.key}"
    told = told_with_web_config(tmp_path, tls)
    web_config = tmp_path / "web.yml"
    warnings = [line for line in told.stdout.splitlines() if line.startswith("WARNING")]
    assert warnings[0] == f"WARNING  {web_config}: the certificate has expired: clients refuse it"
    assert told.returncode == 0


def test_it_warns_of_an_empty_web_configuration(tmp_path: Path) -> None:
    told = told_with_web_config(tmp_path, "# users come later\n")
    web_config = tmp_path / "web.yml"
    assert f"WARNING  {web_config}: the web configuration is empty, so everybody" in told.stdout
    assert "api.url" not in told.stdout  # http to this machine itself is safe
    assert told.returncode == 0


def test_a_wrong_id_fails_and_the_others_are_still_tested(tmp_path: Path) -> None:
    with simulated_api() as api:
        outbounds = [{"id": "65f1c0ffee", "name": "typo"}, {"id": api.outbound, "name": "fine"}]
        poll = {"interval": "1m"}
        path = write_config(tmp_path, api.url, api.outbound, outbounds=outbounds, poll=poll)
        told = run_pearl(tmp_path, "check", "--config", path)
    wrong, fine, *habits, budget = told.stdout.splitlines()
    assert {habit.partition(",")[0] for habit in habits} == {"ok    fine"}
    assert wrong.startswith("FAIL  typo (65f1c0ffee): not_found: the API answered 404")
    assert "id right" in wrong
    assert fine.startswith("ok    fine (")
    assert budget.startswith("budget: at least ")
    assert told.returncode == 1


@pytest.mark.parametrize(
    ("fault", "reason", "said"),
    [
        ("unauthorized", "auth", "401"),
        ("bad_request", "bad_request", "400"),
        ("html", "bad_response", "HTML"),
        ("server_error", "server_error", "503"),
        ("drop", "connection", "connection"),
    ],
)
def test_a_failing_api_is_told_by_its_reason(
    tmp_path: Path, fault: str, reason: str, said: str
) -> None:
    with simulated_api(fault) as api:
        poll = {"give_up": "1s", "interval": "1s"}
        path = write_config(tmp_path, api.url, api.outbound, poll=poll)
        told = run_pearl(tmp_path, "check", "--config", path)
    line = told.stdout.splitlines()[0]
    assert line.startswith(f"FAIL  one ({api.outbound}): {reason}: ")
    assert said in line
    assert told.stderr == ""
    assert told.returncode == 1


def test_a_wrong_token_is_told_without_showing_it(tmp_path: Path) -> None:
    with simulated_api() as api:
        path = write_config(tmp_path, api.url, api.outbound, api={"token": "acct-1:wr0ng-k3y"})
        told = run_pearl(tmp_path, "check", "--config", path)
    assert "FAIL  one" in told.stdout
    assert "auth: the API answered 401 Unauthorized: is the token right" in told.stdout
    assert "wr0ng-k3y" not in told.stdout + told.stderr
    assert told.returncode == 1


def test_a_dead_api_is_told_when_patience_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}"
    path = write_config(tmp_path, dead, "65f1c0ffee", poll={"give_up": "2s"})
    told = run_pearl(tmp_path, "check", "--config", path)
    assert told.stdout.startswith("FAIL  one (65f1c0ffee): connection: no connection")
    assert told.returncode == 1


def test_a_clock_that_is_off_is_noted(tmp_path: Path) -> None:
    with simulated_api("skew:1,seconds=3600") as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, "check", "--config", path)
    (note,) = [line for line in told.stdout.splitlines() if line.startswith("note")]
    assert re.search(r"(3599|3600) s behind the API's", note)
    assert note.endswith("the newest row is nearer to this machine's, so this machine's is used")
    assert told.returncode == 0


def test_numbers_that_would_be_wrong_fail(tmp_path: Path) -> None:
    with simulated_api("local_time:hours=3") as api:
        path = write_config(tmp_path, api.url, api.outbound)
        told = run_pearl(tmp_path, "check", "--config", path)
    (wrong,) = [line for line in told.stdout.splitlines() if line.startswith("FAIL")]
    expected = "FAIL  one, zone: rows start 3 h after the end asked for: is startTime UTC?"
    assert wrong == expected
    assert told.returncode == 1


def test_an_empty_list_of_outbounds_is_well(tmp_path: Path) -> None:
    path = write_config(tmp_path, "http://127.0.0.1:9", "", outbounds=[])
    told = run_pearl(tmp_path, "check", "--config", path)
    assert told.stdout == "no outbounds configured: nothing to check\n"
    assert told.returncode == 0


def test_the_environment_alone_is_a_configuration(tmp_path: Path) -> None:
    with simulated_api() as api:
        variables = {
            "PEARL_API_URL": api.url,
            "PEARL_API_TOKEN": f"Bearer {TOKEN} ",
            "PEARL_OUTBOUNDS": f"{api.outbound}=from-env",
        }
        told = run_pearl(tmp_path, "check", **variables)
    assert told.stdout.startswith(f"ok    from-env ({api.outbound}): ")
    assert told.returncode == 0
