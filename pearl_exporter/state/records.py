"""The records of the state that no other package defines."""

from typing import NamedTuple


class Saved(NamedTuple):
    """What outlasts a restart: the name is empty where it may not be shown."""

    id: str
    name: str
