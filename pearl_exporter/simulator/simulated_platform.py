"""What the simulated platform says besides calls: its list of outbounds, and the account.

What it says can be changed while it runs: an outbound is paused, renamed or taken away; credit runs
out. Codes and types may be any, since the real platform promises none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.fault_kind import Fault, FaultKind, FaultKinds

LIST_PATH = "/v1/Outbound"
ACCOUNT_PATH = "/v1/Account"
"""The API's paths, by which a fault can be for one of them alone."""


@dataclass
class SimulatedPlatform:
    """The list of outbounds and the account, as the campaigns' profiles say unless changed.

    Attributes:
        outbounds: Fields that are changed in the row of an outbound, by its id.
        account: Fields that are changed in the account.
        gone: Ids of outbounds that are not listed any more.
    """

    outbounds: dict[str, dict[str, Any]] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def outbound_row(self, campaign: Campaign) -> dict[str, Any]:
        """Return the row of one outbound, as in the list."""
        created = datetime.fromtimestamp(campaign.start_ms // 1000, UTC)
        row = {
            "id": campaign.outbound_id,
            "name": campaign.profile.name,
            "status": campaign.profile.status,
            "totalAgents": campaign.profile.total_agents,
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return row | self.outbounds.get(campaign.outbound_id, {})

    def outbound_list(self, campaigns: Iterable[Campaign]) -> list[Any]:
        """Return the answer of `LIST_PATH`."""
        listed = [each for each in campaigns if each.outbound_id not in self.gone]
        return [self.outbound_row(campaign) for campaign in listed]

    def account_row(self, campaigns: Iterable[Campaign]) -> dict[str, Any]:
        """Return the answer of `ACCOUNT_PATH`."""
        agents = sum(campaign.profile.total_agents for campaign in campaigns)
        row = {"name": "Simulated", "totalAgents": agents, "creditBalance": 1000.0, "status": 1}
        return row | self.account

    def change_outbound(self, outbound_id: str, changes: Mapping[str, Any]) -> None:
        """Change fields of an outbound's row; None makes a field null.

        Args:
            outbound_id: The outbound's id.
            changes: The fields with their new values; and ``gone``, where true takes the outbound
                out of the list, and false puts it back.

        Raises:
            ValueError: ``gone`` is neither true nor false.
        """
        fields = dict(changes)
        is_gone = fields.pop("gone", None)
        if is_gone not in (None, True, False):
            raise ValueError(f"gone is {is_gone!r}, wanted true or false")
        if is_gone is not None:
            (self.gone.add if is_gone else self.gone.discard)(outbound_id)
        self.outbounds.setdefault(outbound_id, {}).update(fields)


def _odd_outbounds(_fault: Fault, rows: list[Any]) -> Any:
    return [*_malformed_rows(rows), *rows]


def _wrapped_outbounds(_fault: Fault, rows: list[Any]) -> Any:
    return {"count": len(rows), "results": rows}


def _malformed_rows(rows: list[Any]) -> list[Any]:
    """Return malformed rows, and each good row once more with a code that nobody knows."""
    return [
        None,
        7,
        {},
        {"id": None, "name": "no id", "status": 1},
        {"id": "../Account", "name": "leads elsewhere", "status": 1},
        {"id": 4711, "name": "a number for an id", "status": 1},
        *({**row, "status": "Running", "name": row["name"]} for row in rows[:1]),
        *({**row, "status": 77, "extra": {"nested": []}} for row in rows[1:]),
    ]


LIST_FAULTS: FaultKinds = {
    "odd_outbounds": FaultKind(
        help="the list of outbounds has malformed rows, and some rows twice",
        on_list=_odd_outbounds,
    ),
    "wrapped_outbounds": FaultKind(
        help="the list of outbounds is an object with results", on_list=_wrapped_outbounds
    ),
}
