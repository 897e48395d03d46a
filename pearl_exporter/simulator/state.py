"""What a running simulator consists of: campaigns, clock, faults and counts of requests."""

from collections.abc import Iterable

from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.clock import SimulatedClock
from pearl_exporter.simulator.faults import Faults
from pearl_exporter.simulator.simulated_platform import SimulatedPlatform
from pearl_exporter.simulator.traffic import Traffic


class SimulatorState:
    """What the API serves and ``/_sim/`` changes; ``campaigns`` are by outbound id."""

    def __init__(
        self, campaigns: Iterable[Campaign], clock: SimulatedClock, faults: Faults
    ) -> None:
        self.campaigns = {campaign.outbound_id: campaign for campaign in campaigns}
        self.clock = clock
        self.faults = faults
        self.traffic = Traffic()
        self.platform = SimulatedPlatform()
