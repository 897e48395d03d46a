"""Everything that can go wrong on purpose, and what to do about it.

An error carries the decision, so that no caller has to guess::

    PearlError
    ├── ConfigError          the configuration is wrong: print it, exit 2, start nothing
    └── PollError            a poll failed: nothing of it is published
        ├── StateError           the state can't be read or written      "state"
        │   └── DiskError            the disk is full or fails: a later start may succeed
        ├── Inconsistent         no read of the range agreed with itself "inconsistent"
        └── ApiError             a request to NLPearl failed             retry?
            ├── AuthError            401, 403                            no   "auth"
            │   └── TokenBlockedError    not sent: the token is refused  no   (no failed poll)
            ├── NotFoundError        404                                 no   "not_found"
            ├── BadRequestError      any other 4xx                       no   "bad_request"
            ├── BadResponseError     not an answer of the calls search   no   "bad_response"
            │   └── InterceptedError     204, or a firewall's page           yes
            ├── RateLimitedError     429                                 yes  "rate_limited"
            ├── ServerError          5xx                                 yes  "server_error"
            ├── RequestTimeoutError  408, 425, no answer in time         yes  "timeout"
            └── ConnectionFailedError  407, no connection, a broken one  yes  "connection"

No message quotes the body of an answer: an error text of the platform may hold a customer's phone
number.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Why a poll failed: the label values of ``pearl_exporter_poll_failures_total``, in order."""

    AUTH = "auth"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    SERVER_ERROR = "server_error"
    BAD_REQUEST = "bad_request"
    BAD_RESPONSE = "bad_response"
    INCONSISTENT = "inconsistent"
    STATE = "state"


class PearlError(Exception):
    """An error that pearl-exporter raises on purpose, with a message for its user."""


class ConfigError(PearlError):
    """The configuration is wrong. ``problems`` has one line for each thing to correct."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


STATE_UNCHANGED_HINT = "file left unchanged: restore a backup, or move it away to start over"
"""What a user can do about a damaged state."""

WRITE_ACCESS_HINT = "the user that runs this must be able to write the file and its folder"
"""What a user can do about a state that can't be written."""


class PollError(PearlError):
    """A poll failed; nothing of it is published."""

    reason: ClassVar[Reason]


class StateError(PollError):
    """The state could not be read or written."""

    reason = Reason.STATE


class DiskError(StateError):
    """The disk is full or fails. Nothing is wrong with the state: a later start may succeed."""


class Inconsistent(PollError):  # noqa: N818 - a state of the data, named as the contract names it
    """The answers for one range contradicted each other each time that it was read."""

    reason = Reason.INCONSISTENT


class ApiError(PollError):
    """A request failed.

    Attributes:
        retry: Whether sending it again may help.
        retry_after: After how many seconds, as the answer asks; None if it does not.
    """

    retry: ClassVar[bool] = False

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class AuthError(ApiError):
    """The API refused the token (401 or 403)."""

    reason = Reason.AUTH


TOKEN_FORM_HINT = "is the token right, in the form accountId:secretKey?"  # noqa: S105 - a hint
"""What a user can do about a refused token."""


class TokenBlockedError(AuthError):
    """Request not sent: the token is known to be refused. Not counted as a failed poll."""


class NotFoundError(ApiError):
    """The API knows no such outbound (404)."""

    reason = Reason.NOT_FOUND


class BadRequestError(ApiError):
    """The API refused the request (a 4xx without a class of its own)."""

    reason = Reason.BAD_REQUEST


class BadResponseError(ApiError):
    """The answer is not one of the calls search: HTML, cut JSON, an error object, a redirect."""

    reason = Reason.BAD_RESPONSE


class InterceptedError(BadResponseError):
    """Something in front of the API answered in its place: a firewall's page, or no content."""

    retry = True


class RateLimitedError(ApiError):
    """The API asks to slow down (429)."""

    reason = Reason.RATE_LIMITED
    retry = True


class ServerError(ApiError):
    """The API failed (5xx)."""

    reason = Reason.SERVER_ERROR
    retry = True


class RequestTimeoutError(ApiError):
    """No complete answer came in time, or the request came too late or too early (408, 425)."""

    reason = Reason.TIMEOUT
    retry = True


class ConnectionFailedError(ApiError):
    """No connection could be made, a proxy refused it (407), or it broke too early."""

    reason = Reason.CONNECTION
    retry = True
