"""Over a real socket, an answer that goes wrong ends in time, by a reason, and leaves nothing."""

import asyncio
import gc

import httpcore
import pytest

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import ApiError
from pearl_exporter.reading.search import Page, Search
from tests.support.faulty_server import ANSWERS, served
from tests.support.real_client import a_real_client
from tests.support.virtual_time import in_passing_time, pass_time

pytestmark = pytest.mark.still_time

SEARCH = Search(0, 1, 0, 100)


async def test_whatever_comes_ends_in_time_by_its_reason():
    endless = {name for name, (_, reasons) in ANSWERS.items() if reasons == {"timeout"}}
    with served(ANSWERS) as url:
        async with a_real_client(url, timeout=0.5, concurrency=len(ANSWERS)) as client:
            asked = {name: asyncio.create_task(_reason(client, name)) for name in ANSWERS}
            await asyncio.wait([asked[name] for name in asked.keys() - endless])
            assert {name for name, task in asked.items() if not task.done()} == endless
            await pass_time(0.5)
            async with asyncio.timeout(0.5):
                await in_passing_time(asyncio.wait(asked.values()))
            assert not open_connections()
    for name, (_, reasons) in ANSWERS.items():
        assert asked[name].result() in (reasons or {None}), name


def open_connections() -> list[object]:
    """The connections of every pool of this process."""
    gc.collect()
    pools = [each for each in gc.get_objects() if isinstance(each, httpcore.AsyncConnectionPool)]
    return [connection for pool in pools for connection in pool.connections]


async def _reason(client, name: str) -> str | None:
    try:
        # less than the shortest backoff: there is no second try
        assert await client.search(name, SEARCH, Deadline(0.9)) == Page(0, [])
    except ApiError as error:
        return error.reason
    return None


@pytest.mark.parametrize("name", ["head-drips", "body-drips"])
async def test_what_drips_leaves_its_place_to_others(name):
    with served(ANSWERS) as url:
        async with a_real_client(url, timeout=0.5) as client:
            with pytest.raises(ApiError):
                await in_passing_time(client.search(name, SEARCH, Deadline(0.9)))
            assert await client.search("good", SEARCH, Deadline(5.0)) == Page(0, [])
