"""docs/simulator.md has every path under ``/_sim/`` and every fault, and its commands work."""

import re
import shlex
from pathlib import Path

import httpx
import pytest

from pearl_exporter.simulator import (
    COMMON,
    FAULT_GROUPS,
    SimulatedClock,
    build_simulator,
    default_campaigns,
)
from pearl_exporter.simulator.control import control_routes
from pearl_exporter.simulator.fault_kind import FaultKind

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


def settings_of(kind: FaultKind) -> str:
    """The settings of a fault as the page has them."""
    texts = []
    for name, default in kind.settings.items():
        value = f"{default:g}" if isinstance(default, float) else default
        others = [f"`{word}`" for word in kind.words.get(name, ()) if word != default]
        texts.append(f"`{name}={value}`" + (f" or {', '.join(others)}" if others else ""))
    return "; ".join(texts)


@pytest.mark.parametrize("title", FAULT_GROUPS)
def test_every_fault_is_in_a_table_as_the_code_has_it(title):
    _, _, section = PAGE.partition(f"\n### {title}\n")
    table = [line for line in section.partition("\n### ")[0].splitlines() if line.startswith("| `")]
    assert table == [
        f"| `{name}` | {settings_of(kind)} | {kind.help} |".replace("|  |", "| |")
        for name, kind in FAULT_GROUPS[title].items()
    ]


def test_the_page_has_no_other_table_of_faults():
    faults = PAGE.partition("\n## Faults\n")[2]
    assert re.findall(r"^### (.*)$", faults, re.MULTILINE) == list(FAULT_GROUPS)


def test_the_settings_of_every_fault_are_listed():
    table = [f"| `{name}` | {meaning} |" for name, meaning in COMMON.items()]
    assert "\n".join(table) in PAGE
