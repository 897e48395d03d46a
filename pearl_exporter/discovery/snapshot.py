"""What is known of the platform at one moment, apart from its calls. Pure, immutable."""

from collections.abc import Mapping

import msgspec

from pearl_exporter.api.decode_platform import Account
from pearl_exporter.counting.calls import Instant


class RequestSnapshot(msgspec.Struct, frozen=True):
    """Whether a periodic request succeeds.

    Attributes:
        is_up: Whether the last one did.
        last_success: When the last good answer came, None before any.
    """

    is_up: bool = False
    last_success: Instant | None = None


class PlatformSnapshot(msgspec.Struct, frozen=True):
    """What is known of the platform at one moment.

    Attributes:
        listing: Whether the list of outbounds can be read, None if it is not asked for.
        found: How many listed outbounds there are, by what becomes of them; empty without
            discovery.
        running: Whether an outbound makes calls, by its name; only those of which it is known.
        account_request: Whether the account can be read, None if it is not asked for.
        account: How the account stands, None if that is not known or too old.
    """

    listing: RequestSnapshot | None = None
    found: Mapping[str, int] = {}
    running: Mapping[str, bool] = {}
    account_request: RequestSnapshot | None = None
    account: Account | None = None
