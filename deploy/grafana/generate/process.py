"""The process that runs, and its version."""

from grafana_foundation_sdk.builders import table

from deploy.grafana.generate import panels, queries, tables
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import COUNT, MOMENT, SHARE, About
from deploy.grafana.generate.queries import EXPORTER, RANGE

_EACH = "{{instance}}"


def process() -> Panels:
    """What the process takes of the machine."""
    return [
        panels.graph(
            About(
                "Memory", "Resident memory of the process. It grows with the calls held.", "bytes"
            ),
            queries.graph(
                queries.total("process_resident_memory_bytes", "instance", EXPORTER), _EACH
            ),
        ),
        panels.graph(
            About("CPU", "Processor time, in percent of one core.", SHARE),
            queries.graph(_rate("process_cpu_seconds_total"), _EACH),
        ),
        panels.graph(
            About("Open files", "Files and connections that are open.", COUNT),
            queries.graph(queries.total("process_open_fds", "instance", EXPORTER), _EACH),
        ),
        panels.graph(
            About("Garbage collections", "Runs of Python's garbage collector a second.", "ops"),
            queries.graph(_rate("python_gc_collections_total"), _EACH),
        ),
    ]


def builds_table() -> table.Panel:
    """Which version runs where, since when."""
    about = About("Exporters", "The version of each exporter, and when it started.", COUNT)
    labels = {"instance": "Instance", "version": "Version", "python_version": "Python"}
    by = "instance, version, python_version"
    start = f"sum by (instance) (process_start_time_seconds{{{EXPORTER}}})"
    build = f"max by ({by}) (pearl_exporter_build_info{{{EXPORTER}}})"
    started = f"1000 * {build} * on (instance) group_left () {start}"
    return tables.rows(about, labels, [tables.Column("Started", started, MOMENT, None)]).height(5)


def _rate(counter: str) -> str:
    return f"sum by (instance) (rate({counter}{{{EXPORTER}}}[{RANGE}]))"
