"""``check`` and ``once`` say what they wait for, and why, while the API gives no answer."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pearl_exporter.cli import main, waiting
from tests.cli.simulated import write_config

THE_LIST = "waiting for the list of outbounds, up to 3s300ms (poll.give_up): "


@pytest.fixture
def silent() -> Iterator[str]:
    """An API that lets in and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _a_short_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting.MOMENT_SECONDS <= 1
    monkeypatch.setattr(waiting, "MOMENT_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def _the_log_of_a_process_stays_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("pearl_exporter")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def told(folder: Path, command: str, url: str, **sections: object) -> Result:
    # give_up: a second try after the backoff of 1 to 2 s has its whole timeout, a third is not made
    given = {"poll": {"give_up": "3300ms"}, "api": {"timeout": "200ms"}, **sections}
    path = write_config(folder, url, "65f1c0ffee", **given)
    return CliRunner().invoke(main, [command, "--config", str(path)])


def test_check_tells_whom_it_waits_for(tmp_path: Path, silent: str) -> None:
    result = told(tmp_path, "check", silent, discovery={"enabled": True})
    assert result.stderr.splitlines() == [
        f"{THE_LIST}no answer yet",
        "waiting for one, up to 3s300ms (poll.give_up): timeout: no whole answer within 0.2 s",
    ]
    failed, *_ = result.stdout.splitlines()
    assert failed == "FAIL  the list of outbounds: timeout: no whole answer within 0.2 s"
    assert result.exit_code == 1


def test_once_tells_why_it_asks_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # nobody listens there any more
    url = f"http://127.0.0.1:{port}"
    result = told(tmp_path, "once", url, outbounds=[], discovery={"enabled": True})
    why = (
        f"connection: no connection to 127.0.0.1:{port}: refused, nobody listens there "
        "(check api.url, api.proxy)"
    )
    assert result.stderr.splitlines() == [f"{THE_LIST}{why}", f"the list of outbounds: {why}"]
    assert "pearl_discovery_up 0.0" in result.stdout
    assert result.exit_code == 1


def test_once_tells_how_many_outbounds_it_waits_for(tmp_path: Path, silent: str) -> None:
    outbounds = [{"id": "a1"}, {"id": "b1"}]
    result = told(tmp_path, "once", silent, outbounds=outbounds, poll={"give_up": "1s"})
    first, *_ = result.stderr.splitlines()
    assert first == "waiting for 2 outbounds, up to 1s (poll.give_up): no answer yet"
