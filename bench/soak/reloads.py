"""Reload the exporter again and again under load, over real sockets: nothing may be left behind.

    .venv/bin/python -m bench.soak.reloads [--reloads 100]

Outbounds are added, removed and changed and get new clients while all are polled five times a
second. It is a test of the suite, which this runs with more reloads.
"""

import argparse
import os
import subprocess
import sys

from bench.support.processes import ROOT

TEST = "tests/test_reload_leaks.py"


def main() -> None:
    """Run the test, and exit with its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reloads", type=int, default=100)
    arguments = parser.parse_args()
    command = (sys.executable, "-m", "pytest", "-q", "--capture=no", TEST)
    environment = {**os.environ, "RELOADS": str(arguments.reloads)}
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
