"""Run all measurements, and write a table and plots of each.

make bench                                         all, at full size: about 25 minutes
.venv/bin/python -m bench.cost --quick             a fast look, about 3 minutes
.venv/bin/python -m bench.cost --only memory       one of them
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.cost import first_read, memory, poll_cost, startup, state_file, visibility_delay
from bench.cost.runs import Runs
from bench.cost.sizes import FULL, QUICK, TINY
from bench.support.plots import draw
from bench.support.process_stats import OtherLoad
from bench.support.processes import ROOT, progress
from bench.support.report import Section, machine, page

MEASUREMENTS: dict[str, Callable[[Runs], Section]] = {
    "requests": poll_cost.requests,
    "first-read": first_read.first_read,
    "cpu": poll_cost.cpu,
    "memory": memory.memory,
    "visible": visibility_delay.visibility_delay,
    "startup": startup.startup,
    "state": state_file.state_file,
}
SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}


def main() -> None:
    """Run the measurements that the command line names, by default all."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cost", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_const", const="quick", dest="size")
    parser.add_argument("--size", choices=SIZES, help="tiny is for the tests")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, metavar="MEASUREMENT")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    parser.set_defaults(size="full")
    arguments = parser.parse_args()
    chosen = [name for name in MEASUREMENTS if name in (arguments.only or MEASUREMENTS)]
    name = arguments.size + ("-only-" + "-".join(chosen) if arguments.only else "")
    others = OtherLoad()
    with (
        tempfile.TemporaryDirectory(prefix="pearl-bench-") as folder,
        Runs(SIZES[arguments.size], Path(folder)) as runs,
    ):
        sections: list[Section] = []
        for each in chosen:
            progress(f"measuring: {each}")
            sections.append(MEASUREMENTS[each](runs))
            # after each measurement, so that an interrupted run leaves what it has measured
            write(arguments.output, name, machine(), *sections)
    print(write(arguments.output, name, _machine(others.share()), *sections))
    progress(f"written: {name}.md")


def _machine(other_load: float) -> Section:
    here = machine()
    load = ("processor time of other processes meanwhile", f"{other_load:.0%} of all cores")
    return Section(here.title, here.head, [*here.rows, load])


def write(folder: Path, name: str, *sections: Section) -> str:
    """Write the report, and the plots of its last section. Return the report as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = page(name, sections)
    (folder / f"{name}.md").write_text(text)
    for plot in sections[-1].plots:
        draw(plot, folder / f"{name}-{plot.name}.svg")
    return text


if __name__ == "__main__":
    main()
