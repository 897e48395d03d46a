"""All faults that the simulated API can have, by what they are about."""

from collections.abc import Mapping

from pearl_exporter.simulator.count_faults import COUNT_FAULTS
from pearl_exporter.simulator.fault_kind import FaultKinds
from pearl_exporter.simulator.http_faults import (
    BODY_FAULTS,
    DATE_FAULTS,
    ERROR_FAULTS,
    WIRE_FAULTS,
)
from pearl_exporter.simulator.row_faults import ROW_FAULTS
from pearl_exporter.simulator.search_faults import SEARCH_FAULTS
from pearl_exporter.simulator.simulated_platform import LIST_FAULTS
from pearl_exporter.simulator.table_faults import TABLE_FAULTS

FAULT_GROUPS: Mapping[str, FaultKinds] = {
    "Errors in place of answers": ERROR_FAULTS,
    "Bodies": BODY_FAULTS,
    "Dates": DATE_FAULTS,
    "Connections": WIRE_FAULTS,
    "Searches": SEARCH_FAULTS,
    "Calls that are deleted or out of date": TABLE_FAULTS,
    "Counts": COUNT_FAULTS,
    "Rows": ROW_FAULTS,
    "The list of outbounds": LIST_FAULTS,
}
"""Every fault, in groups with their titles."""

FAULTS: FaultKinds = {name: kind for kinds in FAULT_GROUPS.values() for name, kind in kinds.items()}
"""Every fault by name, in the order in which they apply to one request."""
