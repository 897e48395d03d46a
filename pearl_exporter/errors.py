"""Everything that can go wrong on purpose, and what to do about it.

An error carries the decision, so that nobody downstream has to guess::

    PearlError
    ├── ConfigError          the user's configuration is wrong: say so, exit 2, start nothing
    ├── StateError           the state can't be read or written      reason "state"
    │   └── DiskError            as the disk is full or fails: a later start may do
    ├── Inconsistent         no read of the range agreed with itself reason "inconsistent"
    └── ApiError             a request to NLPearl failed             retry?
        ├── AuthError            401, 403                            no   "auth"
        │   └── TokenBlockedError    not asked: the token is refused     no   (no failed poll)
        ├── NotFoundError        404                                 no   "not_found"
        ├── BadRequestError      any other 4xx                       no   "bad_request"
        ├── BadResponseError     an answer that is no calls search   no   "bad_response"
        ├── RateLimitedError     429                                 yes  "rate_limited"
        ├── ServerError          5xx                                 yes  "server_error"
        ├── RequestTimeoutError  no whole answer in time             yes  "timeout"
        └── ConnectionFailedError  no connection, or a broken one    yes  "connection"

``reason`` is the label value of ``pearl_exporter_poll_failures_total``. No message ever quotes the
body of an answer: an error text of the platform may hold a customer's phone number.
"""

from collections.abc import Iterable
from typing import ClassVar

REASONS = (
    "auth",
    "not_found",
    "rate_limited",
    "timeout",
    "connection",
    "server_error",
    "bad_request",
    "bad_response",
    "inconsistent",
    "state",
)
"""Every reason for which a poll may fail, in the contract's order."""


class PearlError(Exception):
    """The root: an error that pearl-exporter raises on purpose, with a message for its user."""


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

    reason: ClassVar[str]


class StateError(PollError):
    """The state could not be read or written."""

    reason = "state"


class DiskError(StateError):
    """The disk is full, or fails: nothing is wrong with the state, and it may be well later."""


class Inconsistent(PollError):  # noqa: N818 - a state of the data, named as the contract names it
    """The answers for one range kept contradicting each other, however often it was read."""

    reason = "inconsistent"


class ApiError(PollError):
    """A request failed. ``retry`` says whether sending it again may help."""

    retry: ClassVar[bool] = False


class AuthError(ApiError):
    """The API refused the token (401 or 403)."""

    reason = "auth"


TOKEN_FORM_HINT = "is the token right, in the form accountId:secretKey?"  # noqa: S105 - a hint
"""What a user should ask about a refused token."""


class TokenBlockedError(AuthError):
    """Not asked, since the API refuses the token to others; no poll, and so none that failed."""


class NotFoundError(ApiError):
    """The API knows no such outbound (404)."""

    reason = "not_found"


class BadRequestError(ApiError):
    """The API refused the request (a 4xx with no meaning of its own here)."""

    reason = "bad_request"


class BadResponseError(ApiError):
    """What came is no answer of the calls search: HTML, cut JSON, an error object, a redirect."""

    reason = "bad_response"


class RateLimitedError(ApiError):
    """The API asks to slow down (429). ``retry_after`` is in seconds, None where it named none."""

    reason = "rate_limited"
    retry = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ServerError(ApiError):
    """The API failed (5xx). ``retry_after`` as in `RateLimitedError`."""

    reason = "server_error"
    retry = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class RequestTimeoutError(ApiError):
    """No whole answer came in time."""

    reason = "timeout"
    retry = True


class ConnectionFailedError(ApiError):
    """No connection could be made, or it broke before the answer was whole."""

    reason = "connection"
    retry = True
