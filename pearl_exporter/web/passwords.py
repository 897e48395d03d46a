"""Basic auth: are name and password those of a user?

A check of bcrypt takes a tenth of a second of a processor. So it is done in a thread, one at a
time, and not done again for what was right once.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import bcrypt
from pydantic import SecretStr

MOST_WAITING = 32
MOST_WAITING_OF_AN_ADDRESS = 4
"""How many checks may wait for their turn. A scrape that is known waits for none."""

REST_FACTOR = 3
"""After a wrong password no check is done for this many times as long as the check took: a flood of
guesses gets a quarter of a processor at most."""

_BCRYPT_BYTES = 72
"""What bcrypt looks at of a password."""


class TooManyChecksError(Exception):
    """Too many passwords wait to be checked."""


class Checker:
    """Does checks of bcrypt off the event loop, one at a time, for all configurations."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")
        self._turn = asyncio.Lock()
        self._waiting: Counter[str] = Counter()
        self._free_at = 0.0

    async def matches(self, password: bytes, hashed: bytes, address: str) -> bool:
        """Whether the hash is the password's; ``address`` is who asks.

        Raises `TooManyChecksError` where too many wait.
        """
        if (
            self._waiting[address] >= MOST_WAITING_OF_AN_ADDRESS
            or self._waiting.total() >= MOST_WAITING
        ):
            raise TooManyChecksError
        self._waiting[address] += 1
        try:
            async with self._turn:
                return await self._check(password, hashed)
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    async def _check(self, password: bytes, hashed: bytes) -> bool:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._free_at - loop.time()))
        started = loop.time()
        is_right = await loop.run_in_executor(self._thread, _matches, password, hashed)
        if not is_right:
            ended = loop.time()
            self._free_at = ended + REST_FACTOR * (ended - started)
        return is_right


def _matches(password: bytes, hashed: bytes) -> bool:
    """Bcrypt's verdict. A byte 0 ends a password in some versions of bcrypt, so it is none here."""
    has_zero = b"\0" in password
    is_right = bcrypt.checkpw(b"" if has_zero else password[:_BCRYPT_BYTES], hashed)
    return is_right and not has_zero


class Passwords:
    """The users of one configuration. What was right is remembered, as a keyed hash."""

    def __init__(self, users: Mapping[str, SecretStr], checker: Checker) -> None:
        self._hashes = {
            name.encode(): hashed.get_secret_value().encode() for name, hashed in users.items()
        }
        self._checker = checker
        self._secret = secrets.token_bytes(32)
        self._right: dict[bytes, bytes] = {}

    async def admit(self, authorization: str, address: str) -> bool:
        """Whether this header is a user's; raises `TooManyChecksError`.

        An unknown name costs what a wrong password costs, a check of some user's hash.
        """
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        name, password = credentials
        digest = self._digest(name, password)
        if hmac.compare_digest(self._right.get(name, b""), digest):
            return True
        hashed = self._hashes.get(name)
        is_right = await self._checker.matches(password, hashed or self._decoy(name), address)
        if not is_right or hashed is None:
            return False
        self._right[name] = digest  # one for each user: this can't grow
        return True

    def _digest(self, name: bytes, password: bytes) -> bytes:
        parts = len(name).to_bytes(8, "big") + name + password
        return hmac.digest(self._secret, parts, hashlib.sha256)

    def _decoy(self, name: bytes) -> bytes:
        """Some user's hash, always the same for a name, so that time tells nothing of a name."""
        hashes = list(self._hashes.values())
        return hashes[int.from_bytes(self._digest(name, b"")) % len(hashes)]


def _credentials(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None
