"""Panels about the exporter's process and its version."""

from grafana_foundation_sdk.builders import table

from tools.dashboards import panels, queries, tables
from tools.dashboards.layout import Panels
from tools.dashboards.panels import COUNT, MOMENT, SHARE, PanelInfo
from tools.dashboards.promql import EXPORTERS

_EACH = "{{instance}}"


def process() -> Panels:
    """Return panels about the memory, CPU, files and log of the process."""
    return [
        panels.time_series(
            PanelInfo(
                "Memory", "Resident memory of the process. It grows with the calls held.", "bytes"
            ),
            queries.over_range(EXPORTERS.sum("process_resident_memory_bytes", "instance"), _EACH),
        ),
        panels.time_series(
            PanelInfo("CPU", "Processor time, in percent of one core.", SHARE),
            queries.over_range(
                EXPORTERS.per_second("process_cpu_seconds_total", "instance"), _EACH
            ),
        ),
        panels.time_series(
            PanelInfo("Open files", "Files and connections that are open.", COUNT),
            queries.over_range(EXPORTERS.sum("process_open_fds", "instance"), _EACH),
        ),
        panels.time_series(
            PanelInfo("Garbage collections", "Runs of Python's garbage collector a second.", "ops"),
            queries.over_range(
                EXPORTERS.per_second("python_gc_collections_total", "instance"), _EACH
            ),
        ),
        panels.time_series(
            PanelInfo(
                "Log lines dropped",
                "Lines a second that standard error did not take. Above 0: whoever reads the log "
                "has stopped.",
                "ops",
            ),
            queries.over_range(
                EXPORTERS.per_second("pearl_exporter_log_lines_dropped_total", "instance"), _EACH
            ),
        ),
    ]


def builds_table() -> table.Panel:
    """Return a table of exporters with version and start time."""
    info = PanelInfo("Exporters", "The version of each exporter, and when it started.", COUNT)
    labels = {"instance": "Instance", "version": "Version", "python_version": "Python"}
    start = EXPORTERS.sum("process_start_time_seconds", "instance")
    build = EXPORTERS.max("pearl_exporter_build_info", ", ".join(labels))
    started = f"1000 * {build} * on (instance) group_left () {start}"
    return tables.rows(info, labels, [tables.Column("Started", started, MOMENT, None)]).height(5)
