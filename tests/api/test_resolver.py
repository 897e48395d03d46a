"""A resolver that hangs holds up nothing else, and nobody waits for it at the end."""

import asyncio
import socket
import threading

import pytest

from pearl_exporter.api.resolver import ResolverLoop
from tests.support.patience import HANGING_SECONDS, until


@pytest.fixture
def resolver(monkeypatch):
    """Names are looked up when it is set; it counts the look-ups."""
    let = threading.Event()
    let.asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host, *more):
        let.asked.append(host)
        assert let.wait(HANGING_SECONDS)
        return real(host, *more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield let
    let.set()


def run(story, loop_factory=ResolverLoop):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(story())


def test_all_who_ask_at_the_same_time_share_one_look_up(resolver):
    async def story():
        loop = asyncio.get_running_loop()
        asked = [asyncio.create_task(loop.getaddrinfo("localhost", 80)) for _ in range(50)]
        await asyncio.sleep(0)
        # the threads that compress scrapes are free
        assert await asyncio.to_thread(lambda: "done") == "done"
        asked[0].cancel()
        await asyncio.sleep(0)
        resolver.set()
        found = await asyncio.gather(*asked[1:])
        assert found[0] == found[-1] != []
        assert resolver.asked == ["localhost"]
        await loop.getaddrinfo("localhost", 80)
        assert len(resolver.asked) == 2  # nothing is remembered

    run(story)


def test_the_end_does_not_wait_for_one_that_hangs(resolver):
    async def story():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().getaddrinfo("localhost", 80)

    run(story)
    assert not resolver.is_set()


@pytest.mark.parametrize("name", ["no.invalid", "a" * 70 + ".invalid", "a..b"])
def test_a_name_that_is_none_is_an_oserror(name):
    async def story():
        with pytest.raises(OSError):
            await asyncio.get_running_loop().create_connection(asyncio.Protocol, name, 80)

    run(story)


def test_after_a_look_up_that_cannot_begin_the_next_is_made(monkeypatch):
    async def story():
        loop = asyncio.get_running_loop()
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", no_thread_left)
            with pytest.raises(OSError, match="can't start new thread"):
                await loop.getaddrinfo("localhost", 80)
        assert await loop.getaddrinfo("localhost", 80)

    run(story)


def no_thread_left(_thread):
    raise RuntimeError("can't start new thread")


def test_a_look_up_that_never_ends_is_given_up(resolver):
    """The name is looked up again."""

    async def story():
        loop = asyncio.get_running_loop()
        for _ in range(2):
            with pytest.raises(OSError, match="does not answer"):
                await loop.getaddrinfo("localhost", 80)
        await until(lambda: len(resolver.asked) == 2)

    run(story, lambda: ResolverLoop(max_seconds=0.01))
