"""Reloads, again and again under load, over real sockets: what they leave behind.

    .venv/bin/python bench/reloads.py [--reloads 100]

Outbounds come and go, change, and get new clients, while all are polled five times a second. The
test suite does the same with fewer reloads.
"""

import argparse
import asyncio
import logging
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.test_reload_leaks import held_before_and_after

_WARM_UP = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reloads", type=int, default=100)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    asyncio.run(held_before_and_after(0, _WARM_UP))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    before, after = asyncio.run(held_before_and_after(given.reloads, _WARM_UP))
    took = time.monotonic() - began
    print(f"{given.reloads + _WARM_UP} reloads in {took:.0f} s")
    print(f"{'held':<12} {f'after {_WARM_UP}':>10} {f'after {given.reloads} more':>16}")
    for name in sorted(before | after):
        print(f"{name:<12} {before[name]:>10} {after[name]:>16}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(f"peak of the memory: {peak / 1024:.0f} MiB, {grown / 1024:.1f} MiB more in the end")


if __name__ == "__main__":
    main()
