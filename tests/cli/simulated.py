"""A simulated API in a thread of the test, and configuration files that point at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pearl_exporter.simulator import SimulatedClock, build_simulator, default_campaigns
from tests.support.serving import serving

TOKEN = "acct-4711:s3cr3t-k3y"


class Api(NamedTuple):
    url: str
    outbound: str
    others: tuple[str, ...] = ()


@contextmanager
def simulated_api(*faults: str, outbounds: int = 1) -> Iterator[Api]:
    """Serves campaigns with two hours of history; only `TOKEN` is let in."""
    clock = SimulatedClock()
    campaigns = default_campaigns(7, clock(), outbounds, history_ms=7_200_000)
    simulator = build_simulator(campaigns, clock=clock, token=TOKEN, faults=faults)
    first, *others = simulator.campaigns
    with serving(simulator) as url:
        yield Api(url, first, tuple(others))


def write_config(folder: Path, api_url: str, outbound: str, **sections: Any) -> Path:
    """A configuration of one outbound named ``one``; ``sections`` go over it key by key.

    Its rate is above the default, which would make whoever waits for a poll wait for seconds.
    """
    config: dict[str, Any] = {
        "api": {"url": api_url, "token": TOKEN, "rate_limit": 50},
        "poll": {"interval": "1s", "window": "10m"},
        "outbounds": [{"id": outbound, "name": "one"}],
        "web": {"listen": "127.0.0.1:0"},
    }
    for section, keys in sections.items():
        config[section] = {**config.get(section, {}), **keys} if isinstance(keys, dict) else keys
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def base_url(line: str) -> str:
    """Where a ``serve`` that said this listens."""
    return "http://" + line.partition("address=")[2].split(maxsplit=1)[0]
