"""Kill or reload the exporter again and again under load.

    .venv/bin/python -m bench.soak.repeat kills [50]
    .venv/bin/python -m bench.soak.repeat reloads [100]

Both are tests of the suite, run here with more rounds. `kills`: a real `serve` on a SQLite state is
killed by SIGKILL and scraped all the time; no counter may fall, and in the end every call must have
been counted once. `reloads`: outbounds are added, removed and changed and get new clients while all
are polled five times a second; nothing may be left behind.
"""

import argparse
import os
import subprocess
import sys
from typing import NamedTuple

from bench.support.processes import ROOT


class Repeated(NamedTuple):
    """A test, the environment variable with its number of rounds, and the usual number here."""

    test: str
    variable: str
    rounds: int


REPEATED = {
    "kills": Repeated("tests/end_to_end/test_kill.py", "KILLS", 50),
    "reloads": Repeated("tests/test_reload_leaks.py", "RELOADS", 100),
}


def main() -> None:
    """Run the test, and exit with its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=REPEATED)
    parser.add_argument("rounds", type=int, nargs="?", help="by default 50 kills, 100 reloads")
    arguments = parser.parse_args()
    repeated = REPEATED[arguments.what]
    command = (sys.executable, "-m", "pytest", "-q", "--capture=no", repeated.test)
    rounds = arguments.rounds or repeated.rounds
    environment = {**os.environ, repeated.variable: str(rounds)}
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
