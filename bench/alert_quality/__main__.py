"""How good are the alerts? A simulated month of twenty outbounds through a real Prometheus.

    .venv/bin/python -m bench.alert_quality [--days 30] [--outbounds 20] [--seed 1] [--plot FILE]

Prints tables and each alarm that was false or late, and writes a plot. It needs promtool and
prometheus, 10 GB in the temporary folder and about a quarter of an hour on two idle cores.
docs/alerts.md says what is done.
"""

import argparse
import tempfile
import time
from pathlib import Path

from bench.alert_quality.details import details
from bench.alert_quality.report import plot, table
from bench.alert_quality.run import run
from bench.alert_quality.world import make_world


def main() -> None:
    """Runs it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--outbounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, default=Path("alert-quality.svg"))
    given = parser.parse_args()
    world = make_world(given.seed, given.days, given.outbounds)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        outcome = run(world, Path(folder), workers=given.workers, tell=tell)
    print("\n".join((*table(world, outcome), "", *details(world, outcome))))
    given.plot.write_text(plot(world, outcome))
    print(f"plot: {given.plot}")


if __name__ == "__main__":
    main()
