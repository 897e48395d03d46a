"""What the simulated platform says beside calls: its list of outbounds, and the account.

What stands there can be changed while it runs: a campaign is paused, renamed, taken away; credit
runs out. Codes and types may be any, for the real platform promises none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.faults import Fault

LIST = "/v1/Outbound"
ACCOUNT = "/v1/Account"
"""The paths, by which a fault can be for one of them alone."""


@dataclass
class Platform:
    """What is told instead of the campaigns' own profiles; ``gone`` are ids no longer there."""

    outbounds: dict[str, dict[str, Any]] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def about(self, campaign: Campaign) -> dict[str, Any]:
        """Return the row of one outbound."""
        created = datetime.fromtimestamp(campaign.start_ms // 1000, UTC)
        row = {
            "id": campaign.outbound_id,
            "name": campaign.profile.name,
            "status": campaign.profile.status,
            "totalAgents": campaign.profile.total_agents,
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return row | self.outbounds.get(campaign.outbound_id, {})

    def listing(self, campaigns: Iterable[Campaign], struck: Mapping[str, Fault]) -> Any:
        """Return the answer of `LIST`."""
        there = [each for each in campaigns if each.outbound_id not in self.gone]
        rows: list[Any] = [self.about(campaign) for campaign in there]
        if "odd_outbounds" in struck:
            rows = [*_odd_rows(rows), *rows]
        if "wrapped_outbounds" in struck:
            return {"count": len(rows), "results": rows}
        return rows

    def of_account(self, campaigns: Iterable[Campaign]) -> dict[str, Any]:
        """Return the answer of `ACCOUNT`."""
        agents = sum(campaign.profile.total_agents for campaign in campaigns)
        told = {"name": "Simulated", "totalAgents": agents, "creditBalance": 1000.0, "status": 1}
        return told | self.account

    def change_outbound(self, outbound_id: str, changes: Mapping[str, Any]) -> None:
        """Let a row say ``changes``; ``gone`` true takes the outbound away, false brings it back.

        A value of None is told as null.
        """
        wanted = dict(changes)
        is_gone = wanted.pop("gone", None)
        if is_gone not in (None, True, False):
            raise ValueError(f"gone is {is_gone!r}, wanted true or false")
        if is_gone is not None:
            (self.gone.add if is_gone else self.gone.discard)(outbound_id)
        self.outbounds.setdefault(outbound_id, {}).update(wanted)


def _odd_rows(rows: list[Any]) -> list[Any]:
    """Rows of a wrong form, and each good row once more with a code that nobody knows."""
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
