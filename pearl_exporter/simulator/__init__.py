"""The simulated NLPearl API: seeded campaigns, faults on demand, and the truth to compare with.

Only the command line and tests import it.
"""

from pearl_exporter.simulator.campaign import CallPage, CallQuery, Campaign
from pearl_exporter.simulator.campaign_profile import Profile
from pearl_exporter.simulator.clock import SimulatedClock
from pearl_exporter.simulator.fault_catalogue import FAULT_GROUPS, FAULTS
from pearl_exporter.simulator.fault_kind import Fault
from pearl_exporter.simulator.faults import COMMON, FaultError, Faults, fault
from pearl_exporter.simulator.incident import Incident
from pearl_exporter.simulator.presets import (
    default_campaigns,
    default_profiles,
    demo_incident,
    many_campaigns,
)
from pearl_exporter.simulator.server import Simulator, build_simulator
from pearl_exporter.simulator.truth import Truth, truth

__all__ = [
    "COMMON",
    "FAULTS",
    "FAULT_GROUPS",
    "CallPage",
    "CallQuery",
    "Campaign",
    "Fault",
    "FaultError",
    "Faults",
    "Incident",
    "Profile",
    "SimulatedClock",
    "Simulator",
    "Truth",
    "build_simulator",
    "default_campaigns",
    "default_profiles",
    "demo_incident",
    "fault",
    "many_campaigns",
    "truth",
]
