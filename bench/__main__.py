"""Runs all measurements in one run, and writes a table and plots.

make bench                                    all, at full size: about 20 minutes
.venv/bin/python -m bench --quick             a fast look
.venv/bin/python -m bench --only memory       one of them
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import first_read, memory, polls, startup, state, visible
from bench.lab import FULL, QUICK, TINY, Lab
from bench.plots import draw
from bench.processes import Others, progress
from bench.report import Section, machine, page

MEASUREMENTS: dict[str, Callable[[Lab], Section]] = {
    "requests": polls.requests,
    "first-read": first_read.first_read,
    "cpu": polls.cpu,
    "memory": memory.memory,
    "visible": visible.visible,
    "startup": startup.startup,
    "state": state.state,
}
SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_const", const="quick", dest="size")
    parser.add_argument("--size", choices=SIZES, help="tiny is for the tests")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, metavar="MEASUREMENT")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    parser.set_defaults(size="full")
    given = parser.parse_args()
    wanted = [name for name in MEASUREMENTS if name in (given.only or MEASUREMENTS)]
    name = given.size + ("-only-" + "-".join(wanted) if given.only else "")
    others = Others()
    with (
        tempfile.TemporaryDirectory(prefix="pearl-bench-") as folder,
        Lab(SIZES[given.size], Path(folder)) as lab,
    ):
        sections: list[Section] = []
        for each in wanted:
            sections.append(_measured(each, lab))
            # after each one: what is cut short has not been for nothing
            write(given.output, name, machine(), *sections)
    print(write(given.output, name, _machine(others.share()), *sections))
    progress(f"written: {name}.md")


def _measured(name: str, lab: Lab) -> Section:
    progress(f"measuring: {name}")
    return MEASUREMENTS[name](lab)


def _machine(others: float) -> Section:
    here = machine()
    noise = ("processor time that others took meanwhile", f"{others:.0%} of all cores")
    return Section(here.title, here.head, [*here.rows, noise])


def write(folder: Path, name: str, *sections: Section) -> str:
    """Write the page, and the plots of its last section; gives the page."""
    folder.mkdir(parents=True, exist_ok=True)
    text = page(name, sections)
    (folder / f"{name}.md").write_text(text)
    for plot in sections[-1].plots:
        draw(plot, folder / f"{name}-{plot.name}.svg")
    return text


if __name__ == "__main__":
    main()
