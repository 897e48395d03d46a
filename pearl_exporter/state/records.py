"""Records of the durable state that no other package defines."""

from typing import NamedTuple


class DiscoveredOutbound(NamedTuple):
    """An outbound that discovery added, as it is saved for the next start.

    Attributes:
        id: The outbound's id at NLPearl.
        name: The platform's name for it; empty if the name may not be shown.
    """

    id: str
    name: str
