"""For all tests: nothing is timed, so that a busy machine fails none of them; in which order."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings

from tests.support.virtual_time import StillLoop, VirtualLoop

# Tests start this program some hundred times: each would compile all its modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

MAX_WORKERS = 8
"""Each reads and collects all tests for itself, which takes some seconds of a CPU."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two a core: a third of the time of all tests is waiting for other programs."""
    return min(2 * len(os.sched_getaffinity(0)), MAX_WORKERS)


LOOPS = {"virtual_time": VirtualLoop, "still_time": StillLoop}
"""The event loops that a mark asks for."""


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that a test of coroutines runs in: one of real time, if no mark says otherwise."""
    marked = {mark: loop for mark, loop in LOOPS.items() if item.get_closest_marker(mark)}
    return marked or {"real_time": asyncio.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow files: one that began last would leave the other processes idle."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Five thousand tests stay to the end: the garbage collector need not look at them again."""
    gc.collect()
    gc.freeze()
