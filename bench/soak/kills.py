"""Kill the exporter with SIGKILL again and again under load, then compare it with the truth.

    .venv/bin/python -m bench.soak.kills [--kills 50]

A real `serve` on a SQLite state is scraped all the time: no counter may fall, and in the end every
call must have been counted once. It is a test of the suite, which this runs with more kills.
"""

import argparse
import os
import subprocess
import sys

from bench.support.processes import ROOT

TEST = "tests/end_to_end/test_kill.py"


def main() -> None:
    """Run the test, and exit with its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    arguments = parser.parse_args()
    command = (sys.executable, "-m", "pytest", "-q", "--capture=no", TEST)
    environment = {**os.environ, "KILLS": str(arguments.kills)}
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
