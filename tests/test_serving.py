"""How the exporter ends: SIGTERM wins over all that is under way, within the seconds promised."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from pearl_exporter.config import ListenAddress
from pearl_exporter.serving import hold_hangups, listen_on, run
from pearl_exporter.simulator import many_campaigns
from pearl_exporter.state.store import MemoryStore
from tests.support.patience import HANGING_SECONDS
from tests.support.virtual_time import in_passing_time, pass_time
from tests.support.world import DAWN_MS, World

FOR_EVER = 1e9
PROMISED_SECONDS = 5.0
TOO_LONG = "stopping took too long: ending without waiting for what is under way"


class Reloads:
    """A reload that never ends, and how often it was asked for."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> tuple[str, ...]:
        self.count += 1
        await asyncio.sleep(FOR_EVER)
        return ()


class HangingStore(MemoryStore):
    """A store that never comes to an end of what it does, where that is wanted."""

    def __init__(self, *, at: str) -> None:
        self._at = at

    async def load_progress(self, outbound_id):
        await self._hang("start")

    async def commit(self, outbound_id, delta):
        await self._hang("commit")

    async def aclose(self):
        await self._hang("end")

    async def _hang(self, at: str) -> None:
        if at == self._at:
            await asyncio.sleep(FOR_EVER)


@contextmanager
def signals_as_before() -> Iterator[None]:
    """Puts this process' own handlers of signals back in their places."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, handler)


def test_every_address_is_of_ipv4_and_ipv6():
    with listen_on(ListenAddress("", 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=HANGING_SECONDS).close()


def test_every_address_is_of_ipv4_where_there_is_no_ipv6(monkeypatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listen_on(ListenAddress("", 0)) as listener:
        assert listener.family is socket.AF_INET
        assert listener.getsockname()[0] == "0.0.0.0"


class Scene:
    """An exporter under way, in the test's own process."""

    def __init__(self, *faults: str, store: MemoryStore | None = None) -> None:
        campaigns = many_campaigns(2, DAWN_MS, calls_a_day=1000, history_ms=3_600_000)
        self.app = World(campaigns, faults=faults, store=store).app
        self.reloads = Reloads()

    async def runs(self, *, seconds: float, then: tuple[signal.Signals, ...]) -> float:
        """Runs for so long, then gets these signals at once; how long it ran on."""
        loop = asyncio.get_running_loop()
        with signals_as_before(), listen_on(ListenAddress("127.0.0.1", 0)) as listener:
            running = asyncio.create_task(
                run(self.app, listener, announce=lambda: None, reload=self.reloads)
            )
            await asyncio.sleep(seconds)
            assert not running.done()
            for number in then:
                signal.raise_signal(number)
            told = loop.time()
            async with asyncio.timeout(HANGING_SECONDS):
                await running
            return loop.time() - told


@pytest.fixture(autouse=True)
def _log(caplog):
    caplog.set_level(logging.INFO, "pearl_exporter")


@pytest.mark.virtual_time
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("fault", ["empty", "slow:seconds=3600"])
async def test_it_ends_at_once_whatever_the_api_does(number, fault, caplog):
    assert await Scene(fault).runs(seconds=100, then=(number,)) < 1
    assert caplog.messages[-2:] == ["stopping", "stopped"]


@pytest.mark.virtual_time
@pytest.mark.parametrize("at", ["commit", "end"])
async def test_it_ends_in_time_though_the_state_hangs(at, caplog):
    scene = Scene(store=HangingStore(at=at))
    assert await scene.runs(seconds=100, then=(signal.SIGTERM,)) < PROMISED_SECONDS
    assert caplog.messages[-1] == "stopped"
    assert (TOO_LONG in caplog.messages) == (at == "end")


@pytest.mark.virtual_time
async def test_it_ends_at_once_though_the_start_hangs(caplog):
    scene = Scene(store=HangingStore(at="start"))
    assert await scene.runs(seconds=100, then=(signal.SIGTERM,)) < 1
    assert caplog.messages[-2:] == ["stopping", "stopped"]


@pytest.mark.virtual_time
async def test_a_sighup_just_after_a_sigterm_reloads_nothing(caplog):
    scene = Scene()
    assert await scene.runs(seconds=100, then=(signal.SIGTERM, signal.SIGHUP)) < 1
    assert scene.reloads.count == 0
    assert "SIGHUP: already stopping" in caplog.messages


@pytest.mark.virtual_time
async def test_a_sigterm_does_not_wait_for_a_reload_under_way(caplog):
    scene = Scene()
    assert await scene.runs(seconds=100, then=(signal.SIGHUP, signal.SIGTERM)) < 1
    assert scene.reloads.count == 1
    assert TOO_LONG not in caplog.messages


@pytest.mark.virtual_time
async def test_a_sighup_of_the_start_is_not_made_up_for_while_stopping():
    scene = Scene(store=HangingStore(at="start"))
    hold_hangups()
    signal.raise_signal(signal.SIGHUP)
    assert await scene.runs(seconds=0, then=(signal.SIGTERM,)) < 1
    assert scene.reloads.count == 0


@asynccontextmanager
async def kept_from_ending(scene: Scene) -> AsyncIterator["asyncio.Task[None]"]:
    """An exporter under way, with someone who asks for much more than he reads."""
    loop = asyncio.get_running_loop()
    listener = listen_on(ListenAddress("127.0.0.1", 0))
    with signals_as_before(), listener, socket.socket() as slow:
        running = asyncio.create_task(
            run(scene.app, listener, announce=lambda: None, reload=scene.reloads)
        )
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        slow.setblocking(False)
        await loop.sock_connect(slow, listener.getsockname())
        await send_until_stuck(slow)
        yield running


async def send_until_stuck(slow: socket.socket) -> None:
    """Sends requests until no more are taken, as no answer is."""
    blocked = 0
    while blocked < 100:
        try:
            slow.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            blocked = 0
        except BlockingIOError:
            blocked += 1
            await asyncio.sleep(0)


async def seconds_to_the_end(running: "asyncio.Task[None]") -> float:
    began = asyncio.get_running_loop().time()
    await in_passing_time(running)
    return asyncio.get_running_loop().time() - began


@pytest.mark.still_time
async def test_it_ends_in_time_though_nobody_reads_an_answer(caplog):
    async with kept_from_ending(Scene()) as running:
        signal.raise_signal(signal.SIGTERM)
        assert 0.5 < await seconds_to_the_end(running) < PROMISED_SECONDS
    assert caplog.messages[-1] == "stopped"
    assert TOO_LONG not in caplog.messages


@pytest.mark.still_time
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGTERM, "already stopping"),
        (signal.SIGINT, "already stopping"),
        (signal.SIGHUP, "SIGHUP: already stopping"),
    ],
)
async def test_a_second_signal_says_one_line_and_changes_nothing(number, said, caplog):
    scene = Scene()
    async with kept_from_ending(scene) as running:
        signal.raise_signal(signal.SIGTERM)
        await pass_time(0.1)
        signal.raise_signal(number)
        assert await seconds_to_the_end(running) < PROMISED_SECONDS
    assert [each for each in caplog.messages if "stopp" in each] == ["stopping", said, "stopped"]
    assert scene.reloads.count == 0
