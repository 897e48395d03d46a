"""Basic auth: check name and password, and slow down clients that guess.

A check of a bcrypt hash takes a tenth of a second of CPU. So checks run in a thread, one at a time,
and each verdict is remembered. A flood of guesses brings more passwords than can be checked, and
none of them shows whether it is right. What shows is who comes back: a scraper sends the same
password at each scrape, and a guesser has no reason to repeat one. So the order of the checks is
this, and the last in order are refused when too many wait::

    1. a password that came before, was not checked for lack of time, and comes again
    2. the first password of an address that sent no wrong one
    3. all others, which are guesses: after a rest
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import bcrypt
from pydantic import SecretStr

MAX_WAITING = 32
MAX_WAITING_PER_ADDRESS = 4
"""How many passwords, and how many requests, may wait for a check at a time.

A password with a remembered verdict does not wait.
"""

WAIT_SECONDS = 5.0
"""How long a request waits for the check of its password, half of Prometheus' usual timeout.

The check itself is done all the same, and its verdict is there when the client comes back.
"""

COMES_BACK_SECONDS = 1.0
"""A password that comes again after this time has come back: it is more than a retry."""

REST_FACTOR = 3
"""Length of the rest after a wrong password, as a multiple of the CPU seconds of its check.

With 3 a flood of guesses gets at most a quarter of a processor.
"""

SHARED_REST_SECONDS = 10.0
"""Guesses wait until the whole rest is over; all other passwords until it is no longer than this.

So a flood of first guesses, each from another address, gets no more of the processor than a flood
from one address.
"""

MAX_GUESSERS = 1000
MAX_WRONG = 1000
"""How many guessers and how many wrong passwords are remembered: the latest."""

MAX_UNCHECKED = 50_000
"""How many passwords are remembered that came and were not checked: the latest.

About 10 MB, and as many as a flood brings between two scrapes.
"""

_BCRYPT_BYTES = 72
"""bcrypt ignores what follows these bytes of a password."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class TooManyChecksError(Exception):
    """A password could not be checked in time: answer 503."""


def _new_future() -> "asyncio.Future[bool | None]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class PasswordCheck:
    """One password to be checked, for every request that sent it meanwhile.

    Attributes:
        key: Stands for name and password.
        password: What the client sent.
        hashed: The hash to compare it with.
        address: The address of the client that sent it first.
        is_decoy: Whether the hash is another user's, checked for an unknown name. Then a match
            counts as wrong.
        take_verdict: Called with whether the password is right.
        first_asked: When it came for the first time, in seconds of the event loop.
        has_come_back: Whether it came again at least `COMES_BACK_SECONDS` later.
        is_running: Whether it is being checked right now.
        done: Whether the password is right; None if it had to make room for another one.
    """

    key: bytes
    password: bytes
    hashed: bytes
    address: str
    is_decoy: bool
    take_verdict: Callable[[bool], None]
    first_asked: float = 0.0
    has_come_back: bool = False
    is_running: bool = False
    done: "asyncio.Future[bool | None]" = field(default_factory=_new_future)


class BcryptWorker:
    """The thread that checks passwords, and the order of the checks; one for all configurations.

    An address whose last password was wrong is a *guesser*. After each wrong password there is a
    rest, and the rests of several add up.

    ``cpu_seconds`` returns the CPU time of the thread that calls it.
    """

    def __init__(self, cpu_seconds: Callable[[], float] = time.thread_time) -> None:
        self._cpu_seconds = cpu_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")
        self._waiting: dict[bytes, PasswordCheck] = {}  # with the one that is being checked
        self._requests: Counter[str] = Counter()  # that wait, by address
        self._unchecked: dict[bytes, float] = {}  # when each came first
        self._guessers: dict[str, None] = {}
        self._rested_at = 0.0
        self._came = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    async def check(self, check: PasswordCheck) -> bool:
        """Return whether a password is right.

        Raises:
            TooManyChecksError: Others were checked in its place, or it took too long.
        """
        now = asyncio.get_running_loop().time()
        first_asked = self._unchecked.get(check.key)
        if first_asked is None:
            first_asked = now
            _remember(self._unchecked, check.key, now, MAX_UNCHECKED)
        check.first_asked = first_asked
        check.has_come_back = now - first_asked >= COMES_BACK_SECONDS
        address = check.address
        check = self._queued(check)
        self._requests[address] += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                # shielded: the check goes on for those who ask for it later
                is_right = await asyncio.shield(check.done)
        except TimeoutError:
            raise TooManyChecksError from None
        finally:
            self._requests[address] -= 1
            if not self._requests[address]:
                del self._requests[address]
        if is_right is None:
            raise TooManyChecksError
        return is_right

    def _queued(self, check: PasswordCheck) -> PasswordCheck:
        """Return the check that waits from now on: this one, or one for the same password.

        Raises:
            TooManyChecksError: Too many wait, and this one would be the last in order.
        """
        waiting = self._waiting.get(check.key)
        rivals = self._rivals(check.address)
        if waiting is not None:
            waiting.has_come_back |= check.has_come_back
            if rivals is not None:
                raise TooManyChecksError
        elif rivals is not None:
            last = self._in_order(rivals)[-1:]
            if not last or self._rank(last[0]) <= self._rank(check):
                raise TooManyChecksError
            self._end(last[0], is_right=None)
        if waiting is None:
            waiting = self._waiting[check.key] = check
            self._work()
        self._came.set()
        return waiting

    def _rivals(self, address: str) -> list[PasswordCheck] | None:
        """Return the checks of which one must go before another one waits; None if none must."""
        of_all = list(self._waiting.values())
        of_address = [each for each in of_all if each.address == address]
        if max(len(of_address), self._requests[address]) >= MAX_WAITING_PER_ADDRESS:
            return of_address
        if max(len(of_all), self._requests.total()) >= MAX_WAITING:
            return of_all
        return None

    def _work(self) -> None:
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._check_all())

    async def _check_all(self) -> None:
        """Check what waits, in order, until nothing does."""
        while self._waiting:
            self._came.clear()
            first = self._in_order(self._waiting.values())[0]
            rest = self._rest_before(first)
            if rest > 0:
                # until then another one may come that is before this one
                await _wait(self._came, rest)
                continue
            first.is_running = True
            try:
                self._end(first, is_right=await self._verdict(first))
            finally:
                self._end(first, is_right=None)

    def _in_order(self, checks: Iterable[PasswordCheck]) -> list[PasswordCheck]:
        return sorted((each for each in checks if not each.is_running), key=self._rank)

    def _rank(self, check: PasswordCheck) -> tuple[bool, bool, float]:
        """Return what orders checks, the lowest first.

        Nobody with a lower rank has to rest longer: see `_rest_before`.
        """
        return not check.has_come_back, self._is_guess(check), check.first_asked

    def _is_guess(self, check: PasswordCheck) -> bool:
        return check.address in self._guessers

    def _rest_before(self, check: PasswordCheck) -> float:
        rest = self._rested_at - asyncio.get_running_loop().time()
        must_rest = self._is_guess(check) and not check.has_come_back
        return rest if must_rest else rest - SHARED_REST_SECONDS

    async def _verdict(self, check: PasswordCheck) -> bool:
        """Run bcrypt in the thread, and draw the conclusions for the address and the rest."""
        loop = asyncio.get_running_loop()
        matches, seconds = await loop.run_in_executor(
            self._thread, self._timed, check.password, check.hashed
        )
        is_right = matches and not check.is_decoy
        self._guessers.pop(check.address, None)
        if not is_right:
            _remember(self._guessers, check.address, None, MAX_GUESSERS)
            self._rested_at = max(self._rested_at, loop.time()) + REST_FACTOR * seconds
        self._unchecked.pop(check.key, None)
        check.take_verdict(is_right)
        return is_right

    def _end(self, check: PasswordCheck, *, is_right: bool | None) -> None:
        """Answer those who wait for a check; None if there is no verdict."""
        self._waiting.pop(check.key, None)
        if not check.done.done():
            check.done.set_result(is_right)

    def _timed(self, password: bytes, hashed: bytes) -> tuple[bool, float]:
        """Return bcrypt's verdict and its CPU seconds, which a busy machine does not stretch."""
        began = self._cpu_seconds()
        return _matches(password, hashed), self._cpu_seconds() - began


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, but no longer than this."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _matches(password: bytes, hashed: bytes) -> bool:
    """Return bcrypt's verdict; a password with a byte 0 never matches.

    Some versions of bcrypt end a password there, so a part of the password would do.
    """
    has_zero = b"\0" in password
    is_right = bcrypt.checkpw(b"" if has_zero else password[:_BCRYPT_BYTES], hashed)
    return bool(is_right) and not has_zero


class Passwords:
    """The users of one configuration, and the verdicts so far.

    A verdict is remembered by a keyed hash of name and password, never by the password itself.
    """

    def __init__(self, users: Mapping[str, SecretStr], worker: BcryptWorker) -> None:
        self._hashes = {
            name.encode(): hashed.get_secret_value().encode() for name, hashed in users.items()
        }
        self._worker = worker
        self._secret = secrets.token_bytes(32)
        self._right: dict[bytes, bytes] = {}
        self._wrong: dict[bytes, None] = {}

    async def admit(self, authorization: str, address: str) -> bool:
        """Return whether an ``Authorization`` header has the name and password of a user.

        An unknown name costs what a wrong password costs: one check, of some user's hash.

        Args:
            authorization: The value of the header.
            address: The client's address.

        Raises:
            TooManyChecksError: It could not be checked in time.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        name, password = credentials
        digest = self._digest(name, password)
        verdict = self._remembered(name, digest)
        if verdict is not None:
            return verdict
        hashed = self._hashes.get(name)
        check = PasswordCheck(
            digest,
            password,
            hashed or self._decoy(name),
            address,
            is_decoy=hashed is None,
            take_verdict=lambda is_right: self._take_verdict(name, digest, is_right=is_right),
        )
        return await self._worker.check(check)

    def _take_verdict(self, name: bytes, digest: bytes, *, is_right: bool) -> None:
        if is_right:
            self._right[name] = digest  # one for each user: this can't grow
        else:
            _remember(self._wrong, digest, None, MAX_WRONG)

    def _remembered(self, name: bytes, digest: bytes) -> bool | None:
        if hmac.compare_digest(self._right.get(name, b""), digest):
            return True
        return False if digest in self._wrong else None

    def _digest(self, name: bytes, password: bytes) -> bytes:
        parts = len(name).to_bytes(8, "big") + name + password
        return hmac.digest(self._secret, parts, hashlib.sha256)

    def _decoy(self, name: bytes) -> bytes:
        """Return some user's hash, always the same one for a name.

        So the time of an answer does not show whether a name is a user's.
        """
        hashes = list(self._hashes.values())
        return hashes[int.from_bytes(self._digest(name, b"")) % len(hashes)]


def _remember(known: dict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Add a key as the latest, and forget the oldest if there are more than ``most``."""
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]


def _credentials(authorization: str) -> tuple[bytes, bytes] | None:
    """Return name and password of a header of basic auth (RFC 7617); None if it is no such."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None
