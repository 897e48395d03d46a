"""Basic auth: check name and password, and slow down clients that guess.

A check of a bcrypt hash takes a tenth of a second of CPU. So checks run in a thread, one at a time,
and each verdict is remembered. A right password does not wait behind wrong ones from other
addresses.

How a password is checked::

    is its verdict remembered? ──yes──► that verdict
        │ no
    one check at a time for each address
        │
    is the address a guesser? ──yes──► one guesser at a time, after a rest ──┐
        │ no                                                                 │
        └─────────────────────────────► bcrypt ◄─────────────────────────────┘
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import bcrypt
from pydantic import SecretStr

MAX_WAITING = 32
MAX_WAITING_PER_ADDRESS = 4
"""How many checks may wait for their turn. A password with a remembered verdict does not wait."""

REST_FACTOR = 3
"""Length of the rest after a wrong password, as a multiple of the CPU seconds of its check.

With 3 a flood of guesses gets at most a quarter of a processor.
"""

SHARED_REST_SECONDS = 10.0
"""A rest longer than this is waited for by every address, not by guessers alone.

So a flood of guesses from many addresses, each with a first guess that does not wait, gets no more
of the processor than a flood from one address.
"""

MAX_GUESSERS = 1000
MAX_WRONG = 1000
"""How many guessers and how many wrong passwords are remembered: the latest."""

_BCRYPT_BYTES = 72
"""bcrypt ignores what follows these bytes of a password."""

Key = TypeVar("Key")


class TooManyChecksError(Exception):
    """Too many passwords wait to be checked: answer 503."""


class BcryptWorker:
    """The thread that checks passwords, and the order of the checks; one for all configurations.

    An address whose last password was wrong is a *guesser*. Guessers are checked one after the
    other, with a rest after each wrong password. All other addresses wait for at most one check of
    a guesser.

    ``cpu_seconds`` returns the CPU time of the thread that calls it.
    """

    def __init__(self, cpu_seconds: Callable[[], float] = time.thread_time) -> None:
        self._cpu_seconds = cpu_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")
        self._waiting: Counter[str] = Counter()  # checks by address
        self._turns: dict[str, asyncio.Lock] = {}
        self._guessers: dict[str, None] = {}
        self._guessers_turn = asyncio.Lock()
        self._rested_at = 0.0

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait until a password from this address may be checked.

        Raises:
            TooManyChecksError: Too many checks wait already.
        """
        if (
            self._waiting[address] >= MAX_WAITING_PER_ADDRESS
            or self._waiting.total() >= MAX_WAITING
        ):
            raise TooManyChecksError
        self._waiting[address] += 1
        try:
            # One check of an address at a time: its verdict decides how the next one waits.
            async with self._turns.setdefault(address, asyncio.Lock()):
                if not self._must_rest(address):
                    yield
                    return
                async with self._guessers_turn:
                    await asyncio.sleep(self._rest_seconds)
                    yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address], self._turns[address]

    async def check(self, password: bytes, hashed: bytes, address: str, *, is_decoy: bool) -> bool:
        """Return whether the password is right. The caller holds the `turn` of the address.

        Args:
            password: What the client sent.
            hashed: The hash to compare it with.
            address: The client's address.
            is_decoy: Whether the hash is another user's, checked for an unknown name. Then a match
                counts as wrong.
        """
        loop = asyncio.get_running_loop()
        matches, seconds = await loop.run_in_executor(self._thread, self._timed, password, hashed)
        is_right = matches and not is_decoy
        self._guessers.pop(address, None)
        if not is_right:
            _remember(self._guessers, address, MAX_GUESSERS)
            self._rested_at = loop.time() + self._rest_seconds + REST_FACTOR * seconds
        return is_right

    @property
    def _rest_seconds(self) -> float:
        return max(0.0, self._rested_at - asyncio.get_running_loop().time())

    def _must_rest(self, address: str) -> bool:
        return address in self._guessers or self._rest_seconds > SHARED_REST_SECONDS

    def _timed(self, password: bytes, hashed: bytes) -> tuple[bool, float]:
        """Return bcrypt's verdict and its CPU seconds, which a busy machine does not stretch."""
        began = self._cpu_seconds()
        return _matches(password, hashed), self._cpu_seconds() - began


def _matches(password: bytes, hashed: bytes) -> bool:
    """Return bcrypt's verdict; a password with a byte 0 never matches.

    Some versions of bcrypt end a password there, so a part of the password would do.
    """
    has_zero = b"\0" in password
    is_right = bcrypt.checkpw(b"" if has_zero else password[:_BCRYPT_BYTES], hashed)
    return is_right and not has_zero


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
            TooManyChecksError: Too many checks wait for their turn.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        name, password = credentials
        digest = self._digest(name, password)
        verdict = self._remembered(name, digest)
        if verdict is not None:
            return verdict
        async with self._worker.turn(address):
            verdict = self._remembered(name, digest)  # another request may have had it checked
            return await self._check(name, password, address) if verdict is None else verdict

    async def _check(self, name: bytes, password: bytes, address: str) -> bool:
        hashed = self._hashes.get(name)
        is_right = await self._worker.check(
            password, hashed or self._decoy(name), address, is_decoy=hashed is None
        )
        digest = self._digest(name, password)
        if is_right:
            self._right[name] = digest  # one for each user: this can't grow
        else:
            _remember(self._wrong, digest, MAX_WRONG)
        return is_right

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


def _remember(known: dict[Key, None], key: Key, most: int) -> None:
    """Add a key as the latest, and forget the oldest if there are more than ``most``."""
    known[key] = None
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
