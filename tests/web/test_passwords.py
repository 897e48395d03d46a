"""Basic auth: who is a user, at what cost, and what a flood of guesses costs others."""

import asyncio
import base64
import itertools
import threading
import time

import bcrypt
import pytest
from pydantic import SecretStr

from pearl_exporter.web import passwords
from pearl_exporter.web.passwords import BcryptWorker, Passwords, TooManyChecksError

pytestmark = pytest.mark.virtual_time

CPU_SECONDS = 0.1
"""What a check costs where it matters."""


def hashed(password: str | bytes, mark: bytes = b"2b") -> SecretStr:
    data = password if isinstance(password, bytes) else password.encode()
    made = bcrypt.hashpw(data, bcrypt.gensalt(4))
    return SecretStr(made.replace(b"2b", mark, 1).decode())


def basic(name: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


@pytest.fixture
def checks(monkeypatch) -> list[tuple[bytes, str]]:
    """Every check of bcrypt: the hash, and the thread that did it."""
    done: list[tuple[bytes, str]] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hash_: bytes) -> bool:
        done.append((hash_, threading.current_thread().name))
        return real(password, hash_)

    monkeypatch.setattr(passwords.bcrypt, "checkpw", counted)
    return done


USERS = {"alice": hashed("pässwörd:1"), "bob": hashed("b0b"), "": hashed("nobody")}


async def test_the_right_password_and_no_other():
    gate = Passwords(USERS, BcryptWorker())
    assert await gate.admit(basic("alice", "pässwörd:1"), "")
    assert await gate.admit(basic("", "nobody", "bAsIc"), "")
    for name, password in (("alice", "b0b"), ("bob", ""), ("Alice", "pässwörd:1"), ("eve", "b0b")):
        assert not await gate.admit(basic(name, password), ""), name


@pytest.mark.parametrize("mark", [b"2a", b"2b", b"2y"])
async def test_hashes_by_any_of_the_three_names(mark):
    gate = Passwords({"alice": hashed("secret", mark)}, BcryptWorker())
    assert await gate.admit(basic("alice", "secret"), "")
    assert not await gate.admit(basic("alice", "Secret"), "")


async def test_passwords_that_bcrypt_reads_in_part_only():
    gate = Passwords({"long": hashed("x" * 72), "zero": hashed("ab")}, BcryptWorker())
    assert await gate.admit(basic("long", "x" * 100), ""), "as htpasswd and the toolkit do"
    assert not await gate.admit(basic("long", "x" * 71), "")
    assert not await gate.admit(basic("zero", "ab\0cd"), "")


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!!", "Bearer YTpi", "Basic YQ==", "Basic YTpi YTpi", "Basic ü"]
)
async def test_what_is_no_header_of_basic_auth_costs_no_check(checks, header):
    assert not await Passwords(USERS, BcryptWorker()).admit(header, "")
    assert checks == []


async def test_what_was_right_is_not_checked_again(checks):
    gate = Passwords(USERS, BcryptWorker())
    for _ in range(3):
        assert await gate.admit(basic("alice", "pässwörd:1"), "")
    assert len(checks) == 1
    assert not await gate.admit(basic("alice", "wrong"), "")
    assert await gate.admit(basic("alice", "pässwörd:1"), "")
    assert len(checks) == 2


async def test_another_configuration_has_no_memory(checks):
    worker = BcryptWorker()
    for _ in range(2):
        assert await Passwords(USERS, worker).admit(basic("bob", "b0b"), "")
    assert len(checks) == 2
    gate = Passwords({"bob": hashed("new")}, worker)
    assert not await gate.admit(basic("bob", "b0b"), "")


async def test_an_unknown_name_costs_what_a_wrong_password_costs(checks):
    """One check, of a hash that is some user's, and for a name always the same."""
    gate = Passwords(USERS, BcryptWorker())
    for number in range(3):
        assert not await gate.admit(basic("eve", f"guess {number}"), "")
    assert not await gate.admit(basic("alice", "wrong"), "")
    assert len(checks) == 4
    decoys = {hash_ for hash_, _ in checks[:3]}
    assert len(decoys) == 1
    assert decoys <= {each.get_secret_value().encode() for each in USERS.values()}


async def test_what_is_remembered_is_neither_password_nor_plain_hash():
    gate = Passwords(USERS, BcryptWorker())
    await gate.admit(basic("alice", "pässwörd:1"), "")
    await gate.admit(basic("alice", "pässwörd:10"), "")
    memory = repr((vars(gate)["_right"], vars(gate)["_wrong"]))
    assert "rd:1" not in memory
    assert len(vars(gate)["_wrong"]) == 1
    assert len(vars(gate)["_right"]) == 1


async def test_what_was_wrong_is_not_checked_again(checks):
    gate = Passwords(USERS, BcryptWorker())
    for name in ("alice", "eve"):
        for _ in range(3):
            assert not await gate.admit(basic(name, "wrong"), "")
    assert len(checks) == 2


async def test_the_latest_wrong_passwords_are_remembered(checks, monkeypatch):
    monkeypatch.setattr(passwords.bcrypt, "checkpw", lambda *asked: checks.append(asked))
    gate = Passwords(USERS, BcryptWorker())
    guesses = [basic("alice", str(number)) for number in range(passwords.MAX_WRONG + 1)]
    for guess in (*guesses, guesses[-1]):
        assert not await gate.admit(guess, "")
    assert len(checks) == len(guesses)
    assert not await gate.admit(guesses[0], "")
    assert len(checks) == len(guesses) + 1


@pytest.mark.parametrize("password", ["b0b", "wrong"])
async def test_what_is_asked_at_the_same_time_is_checked_once(checks, password):
    gate = Passwords(USERS, BcryptWorker())
    asked = [gate.admit(basic("bob", password), "") for _ in range(4)]
    assert await asyncio.gather(*asked) == [password == "b0b"] * 4
    assert len(checks) == 1


async def test_checks_are_done_one_at_a_time_off_the_loop(checks, monkeypatch):
    at_once, most = 0, 0
    inner = passwords.bcrypt.checkpw

    def slow(password: bytes, hash_: bytes) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.01)
        at_once -= 1
        return inner(password, hash_)

    monkeypatch.setattr(passwords.bcrypt, "checkpw", slow)
    gate = Passwords(USERS, BcryptWorker())
    asked = [gate.admit(basic("alice", f"wrong {number}"), str(number)) for number in range(8)]
    assert not any(await asyncio.gather(*asked))
    assert most == 1
    assert {thread for _, thread in checks} == {"bcrypt_0"}


async def test_only_so_many_wait_and_fewer_of_one_address():
    worker = BcryptWorker()
    gate = Passwords(USERS, worker)
    flood = [gate.admit(basic("alice", f"guess {number}"), "10.0.0.1") for number in range(20)]
    others = [gate.admit(basic("bob", "b0b"), "10.0.0.2")]
    results = await asyncio.gather(*flood, *others, return_exceptions=True)
    refused = [each for each in results if isinstance(each, TooManyChecksError)]
    assert len(refused) == 20 - passwords.MAX_WAITING_PER_ADDRESS
    assert results[-1] is True, "a user from elsewhere is not kept out by the flood"
    many = [gate.admit(basic("eve", "x"), f"10.0.1.{number}") for number in range(50)]
    results = await asyncio.gather(*many, return_exceptions=True)
    assert len([each for each in results if each is False]) == passwords.MAX_WAITING
    assert worker._waiting == {}


def costly() -> BcryptWorker:
    """One whose checks take `CPU_SECONDS` each."""
    return BcryptWorker(itertools.count(0.0, CPU_SECONDS).__next__)


async def seconds_of(*asked) -> list[float]:
    """When each of these is answered, all of them asked now."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def seconds(one) -> float:
        await one
        return loop.time() - began

    return await asyncio.gather(*map(seconds, asked))


async def test_a_right_password_waits_for_at_most_one_wrong_one(checks):
    gate = Passwords(USERS, costly())
    guesses = [gate.admit(basic("alice", f"guess {number}"), "10.0.0.1") for number in range(4)]
    *waited, right = await seconds_of(*guesses, gate.admit(basic("bob", "b0b"), "10.0.0.2"))
    assert waited == pytest.approx([0, 0.3, 0.6, 0.9])
    assert right == 0
    assert [hash_ for hash_, _ in checks].index(hash_of("bob")) <= 1


def hash_of(name: str) -> bytes:
    return USERS[name].get_secret_value().encode()


async def test_after_a_wrong_password_its_address_has_a_rest():
    gate = Passwords(USERS, costly())
    assert await seconds_of(gate.admit(basic("alice", "wrong"), "10.0.0.1")) == [0]
    (rested,) = await seconds_of(gate.admit(basic("bob", "b0b"), "10.0.0.1"))
    assert rested == pytest.approx(passwords.REST_FACTOR * CPU_SECONDS)
    assert await seconds_of(gate.admit(basic("alice", "again"), "10.0.0.1")) == [0], "it was right"


async def test_a_match_with_the_decoy_is_a_wrong_password():
    gate = Passwords({"bob": USERS["bob"]}, costly())
    assert not await gate.admit(basic("eve", "b0b"), "")
    (rested,) = await seconds_of(gate.admit(basic("bob", "b0b"), ""))
    assert rested == pytest.approx(passwords.REST_FACTOR * CPU_SECONDS)


async def test_guesses_from_many_addresses_cost_no_more_cpu():
    gate, loop = Passwords(USERS, costly()), asyncio.get_running_loop()
    began = loop.time()
    for number in range(100):
        assert not await gate.admit(basic("alice", f"guess {number}"), f"10.0.0.{number}")
    rests = 100 * passwords.REST_FACTOR * CPU_SECONDS
    assert loop.time() - began >= rests - passwords.SHARED_REST_SECONDS - 1


# --- floods


def guess_of(number: int) -> str:
    return basic("alice", f"guess {number}")


async def flood(gate: Passwords, address, *, seconds: float, a_second: int = 60) -> None:
    """Guesses without end, each another password; all those asked together come at one moment."""
    loop = asyncio.get_running_loop()
    until, numbers, asked = loop.time() + seconds, itertools.count(), []
    while loop.time() < until:
        asked += [
            asyncio.ensure_future(gate.admit(guess_of(number), address(number)))
            for number in itertools.islice(numbers, a_second // 10)
        ]
        await asyncio.sleep(0.1)
        for each in [each for each in asked if each.done()]:
            each.exception()  # 503, nearly always
            asked.remove(each)
    for each in asked:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


async def scrapes(gate: Passwords, address: str, *, every: float) -> list[tuple[object, float]]:
    """What five scrapes are answered, and after how many seconds."""
    loop, answers = asyncio.get_running_loop(), []
    for _ in range(5):
        began = loop.time()
        try:
            answer = await gate.admit(basic("bob", "b0b"), address)
        except TooManyChecksError:
            answer = None
        answers.append((answer, loop.time() - began))
        await asyncio.sleep(every)
    return answers


FLOODS = {
    "the scraper's own address": lambda _: "10.0.0.2",
    "another address": lambda _: "10.0.0.1",
    "a few addresses": lambda number: f"10.0.1.{number % 20}",
    "an address each": lambda number: f"2001:db8::{number:x}",
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("cpu_seconds", [0.1, 1.0])
@pytest.mark.parametrize("every", [1.5, 15.0])
async def test_no_flood_of_guesses_keeps_a_scraper_out(checks, name, cpu_seconds, every):
    """It is let in within three scrapes, and none of them takes as long as a scrape may."""
    gate = Passwords(USERS, BcryptWorker(itertools.count(0.0, cpu_seconds).__next__))
    flooding = asyncio.ensure_future(flood(gate, FLOODS[name], seconds=120.0))
    await asyncio.sleep(20.0)
    answers = await scrapes(gate, "10.0.0.2", every=every)
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    # with a check of a second there is a rest of three after each
    most = 3 if every > 3 * cpu_seconds else 5
    assert True in [answer for answer, _ in answers[:most]]
    assert False not in [answer for answer, _ in answers]
    assert max(seconds for _, seconds in answers) <= passwords.WAIT_SECONDS


async def test_who_is_in_stays_in_whatever_is_guessed(checks):
    gate = Passwords(USERS, costly())
    assert await gate.admit(basic("bob", "b0b"), "10.0.0.2")
    flooding = asyncio.ensure_future(flood(gate, lambda _: "10.0.0.2", seconds=60.0))
    await asyncio.sleep(5.0)
    assert await scrapes(gate, "10.0.0.2", every=1.0) == [(True, 0.0)] * 5
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)


async def test_a_check_is_made_though_nobody_waits_for_it(checks, monkeypatch):
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.0)
    gate = Passwords(USERS, BcryptWorker())
    with pytest.raises(TooManyChecksError):
        await gate.admit(basic("bob", "b0b"), "10.0.0.2")
    await asyncio.sleep(1.0)
    assert await gate.admit(basic("bob", "b0b"), "10.0.0.2")
    assert len(checks) == 1


async def test_a_flood_costs_a_quarter_of_a_processor(checks):
    gate = Passwords(USERS, costly())
    await flood(gate, FLOODS["an address each"], seconds=100.0)
    # checks take no time here: what is left of the time is the rests
    rests = len(checks) * CPU_SECONDS * passwords.REST_FACTOR
    assert rests <= 100.0 + passwords.SHARED_REST_SECONDS + 1


async def test_what_is_remembered_of_a_flood_is_bounded(checks, monkeypatch):
    monkeypatch.setattr(passwords, "MAX_UNCHECKED", 50)
    worker = BcryptWorker()
    await flood(Passwords(USERS, worker), FLOODS["an address each"], seconds=2.0)
    assert len(worker._unchecked) <= 50
    assert len(worker._waiting) <= passwords.MAX_WAITING
