"""SIGKILL, again and again under load, then a comparison with the simulator's truth.

    .venv/bin/python bench/kills.py [--kills 50]

A real `serve` on a SQLite state, scraped all the time: no counter may ever be seen to fall, and in
the end every call must have been counted once. The test suite does the same with fewer kills.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.end_to_end.test_kill import kill_and_compare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        final = kill_and_compare(Path(folder), kills=given.kills)
    print(f"{given.kills} kills in {time.monotonic() - began:.0f} s, no counter fell")
    print(f"calls started  {final.value('pearl_calls_started_total'):.0f}, as many as the API had")
    print(f"calls settled  {final.value('pearl_calls_total'):.0f}")


if __name__ == "__main__":
    main()
