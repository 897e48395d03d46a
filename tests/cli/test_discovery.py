"""``check``, ``once`` and ``serve`` with discovery and the account, as real processes."""

from pathlib import Path

import httpx

from tests.cli.simulated import base_url, simulated_api, write_config
from tests.support.patience import PATIENT
from tests.support.programs import eventually, run_pearl, running_pearl

ON = {"discovery": {"enabled": True, "exclude": "night.*"}, "account": {"enabled": True}}


def test_check_says_what_discovery_finds_and_tries_it(tmp_path: Path) -> None:
    with simulated_api(outbounds=3) as api:
        poll = {"interval": "1m"}
        path = write_config(tmp_path, api.url, api.outbound, poll=poll, **ON)
        told = run_pearl(tmp_path, "check", "--config", path)
    found, skipped, account, one, two, *habits, budget = told.stdout.splitlines()
    assert found == (
        "ok    the list of outbounds: 3 outbounds "
        "(1 polled, 1 configured, 1 excluded, 0 paused, 0 over limit)"
    )
    assert skipped.startswith(f"skip  night-shift ({api.others[1]}): excluded by discovery")
    assert account == "ok    the account: its status is full_access"
    assert one.startswith(f"ok    one ({api.outbound}): ")
    assert two.startswith(f"ok    appointment-reminders ({api.others[0]}): ")
    assert habits
    assert all(line.startswith("ok") for line in habits)
    assert budget.startswith("budget: about ")
    assert (told.stderr, told.returncode) == ("", 0)


def test_check_warns_of_patterns_that_leave_nothing(tmp_path: Path) -> None:
    with simulated_api() as api:
        nothing = {"enabled": True, "include": "nothing"}
        path = write_config(tmp_path, api.url, "", outbounds=[], discovery=nothing)
        told = run_pearl(tmp_path, "check", "--config", path)
    nothing = "discovery finds no outbounds of the platform to poll"
    assert told.stdout.splitlines()[-2:] == [
        f"WARNING  {nothing}: all that it lists are left out",
        "no outbounds configured or found: nothing to check",
    ]
    assert told.returncode == 0


def test_check_tells_of_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with simulated_api("html:outbound=/v1/Outbound") as api:
        path = write_config(tmp_path, api.url, "", outbounds=[], discovery={"enabled": True})
        told = run_pearl(tmp_path, "check", "--config", path)
    assert told.stdout.splitlines() == [
        "FAIL  the list of outbounds: bad_response: the answer is not JSON (91 bytes)",
        "no outbounds configured or found: nothing to check",
    ]
    assert told.returncode == 1


def test_once_discovers_and_tells_what_could_not_be_asked(tmp_path: Path) -> None:
    with simulated_api("unauthorized:outbound=/v1/Account", outbounds=3) as api:
        path = write_config(tmp_path, api.url, "", outbounds=[], **ON)
        told = run_pearl(tmp_path, "once", "--config", path)
    assert 'pearl_outbound_up{outbound="spring-renewals"} 1.0' in told.stdout
    assert 'pearl_outbound_running{outbound="spring-renewals"} 1.0' in told.stdout
    assert "night-shift" not in told.stdout
    assert "pearl_account_up 0.0" in told.stdout
    assert told.stderr.startswith("the account: auth: the API answered 401")
    assert told.returncode == 1


def test_saved_counters_are_published_while_the_api_is_down(
    tmp_path: Path,
) -> None:
    with simulated_api(outbounds=2) as api:
        path = write_config(
            tmp_path,
            api.url,
            "",
            outbounds=[],
            discovery={"enabled": True},
            poll={"settle": "0s", "interval": "1s"},
            state={"url": "sqlite:///state.db"},
        )
        with running_pearl(tmp_path, "serve", "--config", path) as process:
            url = base_url(process.says("address="))
            before = eventually(
                lambda: any(started(url).values()) and started(url),
                what="a first call that started",
            )
    with running_pearl(tmp_path, "serve", "--config", path) as process:
        after = started(base_url(process.says("address=")))
    assert after.keys() == before.keys() == {"spring-renewals", "appointment-reminders"}
    assert all(after[name] >= before[name] for name in before)


def started(url: str) -> dict[str, float]:
    """Calls started by outbound, as the counters have them now."""
    lines = httpx.get(f"{url}/metrics", **PATIENT).text.splitlines()
    found = (line for line in lines if line.startswith("pearl_calls_started_total{"))
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in found}
