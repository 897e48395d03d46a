"""The process that runs, and its version."""

from grafana_foundation_sdk.builders import table

from deploy.grafana.generate import panels, queries, tables
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import COUNT, MOMENT, SHARE, About
from deploy.grafana.generate.selection import EXPORTERS

_EACH = "{{instance}}"


def process() -> Panels:
    """What the process takes of the machine."""
    return [
        panels.graph(
            About(
                "Memory", "Resident memory of the process. It grows with the calls held.", "bytes"
            ),
            queries.graph(EXPORTERS.total("process_resident_memory_bytes", "instance"), _EACH),
        ),
        panels.graph(
            About("CPU", "Processor time, in percent of one core.", SHARE),
            queries.graph(EXPORTERS.a_second("process_cpu_seconds_total", "instance"), _EACH),
        ),
        panels.graph(
            About("Open files", "Files and connections that are open.", COUNT),
            queries.graph(EXPORTERS.total("process_open_fds", "instance"), _EACH),
        ),
        panels.graph(
            About("Garbage collections", "Runs of Python's garbage collector a second.", "ops"),
            queries.graph(EXPORTERS.a_second("python_gc_collections_total", "instance"), _EACH),
        ),
    ]


def builds_table() -> table.Panel:
    """Which version runs where, since when."""
    about = About("Exporters", "The version of each exporter, and when it started.", COUNT)
    labels = {"instance": "Instance", "version": "Version", "python_version": "Python"}
    start = EXPORTERS.total("process_start_time_seconds", "instance")
    build = EXPORTERS.most("pearl_exporter_build_info", ", ".join(labels))
    started = f"1000 * {build} * on (instance) group_left () {start}"
    return tables.rows(about, labels, [tables.Column("Started", started, MOMENT, None)]).height(5)
