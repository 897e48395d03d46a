"""Time what grows with an answer: that it is linear, and that it does not hold the event loop.

.venv/bin/python -m bench.growth                   at full size: about 3 minutes
.venv/bin/python -m bench.growth --size tiny       to see that it runs
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from bench.growth.loop_hold import loop_hold
from bench.growth.steps import growth
from bench.support.processes import ROOT, progress
from bench.support.report import machine, page


@dataclass(frozen=True)
class Sizes:
    """How large answers are: for the steps, and for the whole exporter."""

    steps: tuple[int, ...]
    answers: tuple[int, ...]


SIZES = {
    "full": Sizes((1_000, 4_000, 16_000), (1_000, 5_000, 20_000)),
    "tiny": Sizes((50, 200), (40, 80)),
}


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny is for the tests")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    arguments = parser.parse_args()
    sizes = SIZES[arguments.size]
    progress("timing the steps")
    sections = [machine(), growth(sizes.steps)]
    progress("measuring the event loop")
    sections.append(loop_hold(sizes.answers))
    name = "growth" if arguments.size == "full" else f"growth-{arguments.size}"
    text = page(name, sections)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / f"{name}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
