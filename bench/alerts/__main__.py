"""Run a simulated month of twenty outbounds through a real Prometheus, and evaluate the alerts.

    .venv/bin/python -m bench.alerts [--days 30] [--outbounds 20] [--seed 1] [--plot FILE]

It prints tables and each alert that was false or late, and writes a plot. It needs promtool and
prometheus, 10 GB in the temporary folder and about a quarter of an hour on two idle cores.
docs/alerts.md explains the results.
"""

import argparse
import tempfile
from pathlib import Path

from bench.alerts.details import details
from bench.alerts.pipeline import run
from bench.alerts.report import plot, table
from bench.alerts.scenario import make_scenario
from bench.support.processes import progress


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.alerts", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--outbounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, default=Path("alert-quality.svg"))
    arguments = parser.parse_args()
    scenario = make_scenario(arguments.seed, arguments.days, arguments.outbounds)
    with tempfile.TemporaryDirectory() as folder:
        result = run(scenario, Path(folder), workers=arguments.workers, log=progress)
    print("\n".join((*table(scenario, result), "", *details(scenario, result))))
    arguments.plot.write_text(plot(scenario, result))
    print(f"plot: {arguments.plot}")


if __name__ == "__main__":
    main()
