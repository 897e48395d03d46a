"""Over a real socket, an answer that goes wrong ends in time, by a reason, and leaves nothing."""

import asyncio

import pytest

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import ApiError
from pearl_exporter.reading.search import Page, Search
from tests.support.real_client import a_real_client
from tests.support.wire import ANSWERS, served

SEARCH = Search(0, 1, 0, 100)


async def test_whatever_comes_ends_by_its_reason_within_the_timeout():
    with served(ANSWERS) as url:
        async with a_real_client(url, timeout=0.5, concurrency=len(ANSWERS)) as client:
            told = await asyncio.wait_for(
                asyncio.gather(*(_reason(client, name) for name in ANSWERS)), 30
            )
            assert not client._wire._transport._pool.connections
    for (name, (_, reasons)), reason in zip(ANSWERS.items(), told, strict=True):
        assert reason in (reasons or {None}), name


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
                await client.search(name, SEARCH, Deadline(0.9))
            assert await client.search("good", SEARCH, Deadline(5.0)) == Page(0, [])
