"""``serve``, ``simulate`` and ``demo`` as real processes: they begin, they listen to signals."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.simulated import TOKEN, Api, base_url, simulated_api, write_config
from tests.support.patience import HANGING_SECONDS, PATIENT
from tests.support.programs import Running, eventually, running_pearl

pytestmark = pytest.mark.slow

STOPPED = "msg=stopped"


@pytest.fixture
def api() -> Iterator[Api]:
    with simulated_api() as api:
        yield api


def get(url: str) -> httpx.Response:
    return httpx.get(url, **PATIENT)


def polled_well(url: str) -> None:
    up = 'pearl_outbound_up{outbound="one"} 1.0\n'
    eventually(lambda: up in get(f"{url}/metrics").text, what="a good poll")


def ends_well(process: Running) -> None:
    """It ends, well and without a traceback. That it does so in time: `tests/test_serving.py`."""
    assert process.ends() == 0
    assert STOPPED in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, api: Api, number: signal.Signals) -> None:
    path = write_config(tmp_path, api.url, api.outbound)
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        url = base_url(process.says("msg=listening"))
        polled_well(url)
        assert get(f"{url}/-/ready").status_code == 200
        process.send(number)
        ends_well(process)
        assert f"msg=stopping signal={number.name}" in process.stderr
        with pytest.raises(httpx.ConnectError):
            get(f"{url}/metrics")


def test_it_says_where_it_listens_and_which_version_it_is(tmp_path: Path, api: Api) -> None:
    path = write_config(tmp_path, api.url, api.outbound)
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        line = process.says("msg=listening")
        assert re.search(r" address=127\.0\.0\.1:[1-9]\d* version=\d+\.\d+\.\d+ outbounds=1 ", line)


def test_a_signal_before_the_first_poll_ends_it_well(tmp_path: Path) -> None:
    with simulated_api("slow:1,seconds=3600") as api:
        path = write_config(tmp_path, api.url, api.outbound)
        with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
            process.says("msg=listening")
            process.send(signal.SIGTERM)
            ends_well(process)


def test_a_signal_while_the_api_hangs_ends_it_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        path = write_config(tmp_path, url, "65f1c0ffee")
        with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
            process.says("msg=listening")
            silent.settimeout(HANGING_SECONDS)
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(4) == b"POST"
                process.send(signal.SIGTERM)
                ends_well(process)


def test_sighup_reloads_and_refuses_a_bad_configuration(tmp_path: Path, api: Api) -> None:
    path = write_config(tmp_path, api.url, api.outbound)
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        url = base_url(process.says("msg=listening"))
        polled_well(url)
        reloaded = "pearl_exporter_config_last_reload_successful"
        path.write_text("poll: {intervall: 5s}\n")
        process.send(signal.SIGHUP)
        assert "level=ERROR" in process.says('did you mean \\"interval\\"?')
        assert f"{reloaded} 0.0\n" in get(f"{url}/metrics").text
        polled_well(url)
        outbounds = [{"id": api.outbound, "name": "renamed"}]
        write_config(tmp_path, api.url, api.outbound, outbounds=outbounds)
        process.send(signal.SIGHUP)
        process.says("configuration reloaded")
        text = get(f"{url}/metrics").text
        assert f"{reloaded} 1.0\n" in text
        assert 'pearl_outbound_up{outbound="renamed"}' in text
        assert 'outbound="one"' not in text
        path.unlink()
        process.send(signal.SIGHUP)
        process.says("can't be read: No such file")
        path.mkdir()
        process.send(signal.SIGHUP)
        process.says("can't be read: Is a directory")
        text = get(f"{url}/metrics").text
        assert f"{reloaded} 0.0\n" in text
        assert 'pearl_outbound_up{outbound="renamed"} 1.0\n' in text
        assert "Traceback" not in process.stderr


def test_a_sighup_while_it_starts_is_made_up_for(tmp_path: Path, api: Api) -> None:
    path = write_config(tmp_path, api.url, api.outbound)
    text = path.read_text()
    path.unlink()
    os.mkfifo(path)
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        with path.open(
            "w"
        ) as pipe:  # opens when the process does: it is in the middle of its start
            path.unlink()
            path.write_text(text)
            process.send(signal.SIGHUP)
            pipe.write(text)
        process.says("configuration reloaded")
        outbounds = [{"id": api.outbound, "name": "renamed"}]
        write_config(tmp_path, api.url, api.outbound, outbounds=outbounds)
        process.send(signal.SIGHUP)
        process.says("renamed: name")


def test_sighup_does_no_harm_where_there_is_no_configuration(tmp_path: Path) -> None:
    with running_pearl(tmp_path, "simulate", "--listen", "127.0.0.1:0") as process:
        process.says("/_sim/state")
        process.send(signal.SIGHUP)
        process.says("SIGHUP: there is no configuration to read")
        process.send(signal.SIGTERM)
        assert process.ends() == 0


def test_a_refused_token_is_logged_once_and_serving_goes_on(tmp_path: Path, api: Api) -> None:
    path = write_config(tmp_path, api.url, api.outbound, api={"token": "acct-1:wr0ng-k3y"})
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        url = base_url(process.says("msg=listening"))
        line = process.says("poll failed")
        assert "level=WARNING" in line
        assert "outbound=one reason=auth" in line
        assert get(f"{url}/-/healthy").status_code == 200
        assert get(f"{url}/-/ready").status_code == 200
        failures = 'pearl_exporter_poll_failures_total{outbound="one",reason="auth"}'
        eventually(lambda: f"{failures} 2.0" in get(f"{url}/metrics").text, what="a second try")
        assert process.stderr.count("poll failed") == 1
        assert "wr0ng-k3y" not in process.stderr


def test_log_lines_are_json_if_so_configured(tmp_path: Path, api: Api) -> None:
    path = write_config(tmp_path, api.url, api.outbound, log={"format": "json"})
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        line = process.says('"msg": "listening"')
        assert line.startswith('{"ts": "2')
        assert '"level": "INFO"' in line
        process.send(signal.SIGTERM)
        process.ends()


def test_an_empty_list_of_outbounds_is_served(tmp_path: Path) -> None:
    path = write_config(tmp_path, "http://127.0.0.1:9", "", outbounds=[])
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        url = base_url(process.says("msg=listening"))
        for address in ("/", "/metrics", "/-/ready"):
            assert get(url + address).status_code == 200
        eventually(lambda: get(f"{url}/-/healthy").status_code == 200, what="a heartbeat")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_simulate_serves_what_it_says_and_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    options = ("--listen", "127.0.0.1:0", "--token", TOKEN, "--outbounds", "2")
    with running_pearl(tmp_path, "simulate", *options, "--fault", "html:0") as process:
        url = process.says("listens on").split("listens on ")[1].split(",")[0]
        process.says("/_sim/state")
        assert get(f"{url}/v1/Outbound").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        listed = httpx.get(f"{url}/v1/Outbound", headers=headers, **PATIENT).json()
        assert len(listed) == 2
        for outbound in listed:
            assert f"  {outbound['id']}  {outbound['name']}\n" in process.stdout
        process.send(number)
        assert process.ends() == 0
        assert "Traceback" not in process.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_demo_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    with running_pearl(tmp_path, "demo", "--listen", "127.0.0.1:0") as process:
        process.says("Ctrl-C ends it")
        process.send(number)
        ends_well(process)
