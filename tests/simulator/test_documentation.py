"""docs/simulator.md lists every path under ``/_sim/`` and no other, and its commands work."""

import re
import shlex
from pathlib import Path

import httpx
import pytest

from pearl_exporter.simulator import SimulatedClock, build_simulator, default_campaigns
from pearl_exporter.simulator.control import control_routes

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
COMMANDS = re.findall(r"^curl (.*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def simulator():
    clock = SimulatedClock()
    return build_simulator(default_campaigns(0, clock(), history_ms=3_600_000), clock=clock)


def test_every_path_is_listed_and_no_other(simulator):
    listed = re.findall(r"^\| ([A-Z]+) \| `/_sim(/\w+)` \|", PAGE, re.MULTILINE)
    routes = [
        (method, route.path)
        for route in control_routes(simulator)
        for method in (route.methods or set()) - {"HEAD"}
    ]
    assert sorted(listed) == sorted(routes)


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_works(simulator, command):
    words = shlex.split(command)
    (url,) = (word for word in words if word.startswith("http://127.0.0.1:10043/"))
    body = words[words.index("-d") + 1] if "-d" in words else None
    sent = words[words.index("-H") + 1].split(":") if "-H" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
    transport = httpx.ASGITransport(simulator)
    async with httpx.AsyncClient(transport=transport) as client:
        headers = [(sent[0], sent[1])] if sent else []
        answer = await client.request(method, url, content=body, headers=headers)
    assert answer.status_code == 200, answer.text


def test_a_command_of_every_path_is_shown():
    shown = {path for command in COMMANDS for path in re.findall(r"/_sim/\w+", command)}
    assert shown == set(re.findall(r"`(/_sim/\w+)`", PAGE))
