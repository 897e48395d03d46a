"""Decodes the platform's list of outbounds, and the account. Pure.

Nothing is promised about these answers, so any field may be missing or of a wrong type. An answer
of which nothing can be used is an error: it must not look as if all outbounds were gone.
"""

from typing import Any

import msgspec

from pearl_exporter.api.loose_json import MAX_NUMBER, number, read_json, whole_number
from pearl_exporter.errors import BadResponseError
from pearl_exporter.text import is_outbound_id, is_unicode

RUNNING, PAUSED, SUSPENDED, MAINTENANCE = 1, 2, 3, 10
"""The documented values of an outbound's ``status``."""

ACCOUNT_STATUSES = {
    1: "full_access",
    2: "limited",
    3: "no_credits",
    4: "suspended",
    5: "debt_reached",
}
"""The documented values of the account's ``status``, and their labels."""

_MAX_NAME = 1000
"""A longer name is ignored: nobody gave it, and it would be matched against expressions."""


class ListedOutbound(msgspec.Struct, frozen=True):
    """An outbound as the platform lists it; ``status`` is None if it is unknown."""

    id: str
    name: str = ""
    status: int | None = None


class Listing(msgspec.Struct, frozen=True):
    """The platform's list of outbounds, each once.

    Attributes:
        outbounds: The outbounds with a usable id.
        unusable: How many rows had no usable id.
        not_listed: How many more outbounds the answer counts than it lists.
    """

    outbounds: tuple[ListedOutbound, ...]
    unusable: int = 0
    not_listed: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether the list is complete, as far as the answer says."""
        return not self.not_listed


class Account(msgspec.Struct, frozen=True):
    """How the account stands; None for what the answer does not say. Its name is not kept."""

    credit_balance: float | None = None
    status: int | None = None
    agents: int | None = None

    @property
    def statuses(self) -> dict[str, bool]:
        """The status as a state set: whether it is each label; empty if it is not known."""
        if self.status is None:
            return {}
        current = ACCOUNT_STATUSES.get(self.status, f"unknown_{self.status}")
        return {label: label == current for label in (*ACCOUNT_STATUSES.values(), current)}


def is_running(status: int | None) -> bool | None:
    """Return whether an outbound of this status makes calls, None if that is not known.

    In maintenance it makes none, so that is not running either.
    """
    return {RUNNING: True, PAUSED: False, SUSPENDED: False, MAINTENANCE: False}.get(status or 0)


def decode_listing(body: bytes) -> Listing:
    """Return the list that a body holds; raise `BadResponseError` if it holds none."""
    rows, not_listed = _rows(_json(body))
    found: dict[str, ListedOutbound] = {}
    unusable = 0
    for row in rows:
        outbound = _outbound(row)
        if outbound is None:
            unusable += 1
        else:
            found.setdefault(outbound.id, outbound)
    if rows and not found:
        raise BadResponseError(f"the answer lists {len(rows)} outbounds, none with a usable id")
    return Listing(tuple(found.values()), unusable, not_listed)


def decode_account(body: bytes) -> Account:
    """Return the account that a body holds; raise `BadResponseError` if it holds none."""
    answer = _json(body)
    if not isinstance(answer, dict):
        raise BadResponseError("the answer is JSON, but not an object")
    account = Account(
        number(answer.get("creditBalance")),
        _whole(answer.get("status")),
        _not_negative(_whole(answer.get("totalAgents"))),
    )
    if account.credit_balance is None and account.agents is None:
        raise BadResponseError("the answer is an object without creditBalance and totalAgents")
    return account


def _rows(answer: Any) -> tuple[list[Any], int]:
    """Return the rows of a bare list, or of an object's ``results``; and how many are missing."""
    if isinstance(answer, list):
        return answer, 0
    results = answer.get("results", ...) if isinstance(answer, dict) else ...
    if results is None:
        results = []
    if not isinstance(results, list):
        raise BadResponseError("the answer is JSON, but not a list of outbounds")
    count = _whole(answer.get("count"))
    return results, max(0, (count or 0) - len(results))


def _outbound(row: Any) -> ListedOutbound | None:
    if not isinstance(row, dict):
        return None
    outbound_id, name = row.get("id"), row.get("name")
    if not isinstance(outbound_id, str) or not is_outbound_id(outbound_id):
        return None
    if not isinstance(name, str) or len(name) > _MAX_NAME or not is_unicode(name):
        name = ""
    return ListedOutbound(outbound_id, name.strip(), _whole(row.get("status")))


def _json(body: bytes) -> Any:
    try:
        return read_json(body)
    except ValueError:
        # the cause is left out: it holds the body
        raise BadResponseError(f"the answer is not JSON ({len(body)} bytes)") from None


def _whole(value: Any) -> int | None:
    code = whole_number(value)
    return code if code is not None and abs(code) <= MAX_NUMBER else None


def _not_negative(value: int | None) -> int | None:
    return None if value is not None and value < 0 else value
