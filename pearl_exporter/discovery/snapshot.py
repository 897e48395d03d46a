"""What is known of the platform at one moment, apart from its calls. Pure."""

from collections.abc import Mapping

import msgspec

from pearl_exporter.api.decode_platform import Account
from pearl_exporter.counting.calls import Instant


class RequestSnapshot(msgspec.Struct, frozen=True):
    """How asking fares; ``last_success`` None before the first good answer."""

    is_up: bool = False
    last_success: Instant | None = None


class PlatformSnapshot(msgspec.Struct, frozen=True):
    """What is known of the platform at one moment.

    Attributes:
        listing: How asking for the list of outbounds fares, None where nobody asks.
        found: How many listed outbounds there are by what became of them, empty without discovery.
        running: Whether an outbound makes calls, by its name; those of which it is known.
        account_watch: How asking for the account fares, None where nobody asks.
        account: How it stands, None where that is not known, or too old.
    """

    listing: RequestSnapshot | None = None
    found: Mapping[str, int] = {}
    running: Mapping[str, bool] = {}
    account_request: RequestSnapshot | None = None
    account: Account | None = None
