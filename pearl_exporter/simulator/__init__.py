"""The simulated NLPearl API: seeded campaigns, faults on demand, and the truth to compare with.

Only the command line and tests import it.
"""

from pearl_exporter.simulator.campaign import CallPage, CallQuery, Campaign
from pearl_exporter.simulator.campaign_profile import Profile
from pearl_exporter.simulator.clock import SimulatedClock
from pearl_exporter.simulator.faults import FAULTS, Fault, FaultError, Faults, fault
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
    "FAULTS",
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
