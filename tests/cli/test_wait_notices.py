"""``check`` and ``once`` say what they wait for, and why, while the API gives no answer."""

import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from pearl_exporter.cli.check import run_check
from pearl_exporter.cli.once import run_once
from pearl_exporter.cli.wait_notices import NOTICE_SECONDS
from tests.cli.simulated import write_config

THE_LIST = "waiting for the list of outbounds, up to 3s300ms (poll.give_up): "
OFTEN_SECONDS = 0.02

Run = Callable[..., "Ended"]


class Ended(NamedTuple):
    """How a command ended."""

    exit_code: object
    stdout: str
    stderr: str


@pytest.fixture
def silent() -> Iterator[str]:
    """An API that lets in and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _the_log_of_a_process_stays_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("pearl_exporter")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def once(config: Path, *, notice_seconds: float) -> NoReturn:
    run_once(config, None, notice_seconds=notice_seconds)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command that looks often for something to say."""

    def running(
        command: Callable[..., NoReturn],
        url: str,
        notice_seconds: float = OFTEN_SECONDS,
        **sections: object,
    ) -> Ended:
        # A second try after the backoff of 1 to 2 s has its whole timeout; a third is not made.
        given = {"poll": {"give_up": "3300ms"}, "api": {"timeout": "200ms"}, **sections}
        path = write_config(tmp_path, url, "65f1c0ffee", **given)
        with pytest.raises(SystemExit) as ended:
            command(path, notice_seconds=notice_seconds)
        return Ended(ended.value.code, *capsys.readouterr())

    return running


def test_the_first_notice_comes_within_a_second() -> None:
    assert OFTEN_SECONDS < NOTICE_SECONDS <= 1


def test_check_tells_whom_it_waits_for(run: Run, silent: str) -> None:
    result = run(run_check, silent, discovery={"enabled": True})
    assert result.stderr.splitlines() == [
        f"{THE_LIST}no answer yet",
        "waiting for one, up to 3s300ms (poll.give_up): timeout: no whole answer within 0.2 s",
    ]
    failed, *_ = result.stdout.splitlines()
    assert failed == "FAIL  the list of outbounds: timeout: no whole answer within 0.2 s"
    assert result.exit_code == 1


def test_once_tells_why_it_asks_again(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # nobody listens there any more
    url = f"http://127.0.0.1:{port}"
    # time enough to be refused, on a slow machine too
    result = run(once, url, 0.5, outbounds=[], discovery={"enabled": True})
    why = (
        f"connection: no connection to 127.0.0.1:{port}: refused, nobody listens there "
        "(check api.url, api.proxy)"
    )
    assert result.stderr.splitlines() == [f"{THE_LIST}{why}", f"the list of outbounds: {why}"]
    assert "pearl_discovery_up 0.0" in result.stdout
    assert result.exit_code == 1


def test_once_tells_how_many_outbounds_it_waits_for(run: Run, silent: str) -> None:
    outbounds = [{"id": "a1"}, {"id": "b1"}]
    result = run(once, silent, outbounds=outbounds, poll={"give_up": "1s"})
    first, *_ = result.stderr.splitlines()
    assert first == "waiting for 2 outbounds, up to 1s (poll.give_up): no answer yet"
