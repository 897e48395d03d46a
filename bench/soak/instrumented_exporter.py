"""`pearl-exporter` with two additions: it records its polls, and reports its objects on SIGUSR1.

    python -m bench.soak.instrumented_exporter RECORD serve --config FILE

Files, threads and memory can be seen from outside; asyncio's tasks and Python's objects cannot. The
report is a line of JSON on standard output, written by the thread of the event loop.
"""

import asyncio
import gc
import json
import signal
import sys
from collections import Counter
from pathlib import Path

import msgspec

from bench.soak.recorded_polls import RecordedPoll, RecordingStore, recording_trackers
from pearl_exporter.state import store


def _report(_number: int, _frame: object) -> None:
    objects = gc.get_objects()
    report = {
        "tasks": len(asyncio.all_tasks()),
        "objects": len(objects),
        "garbage": len(gc.garbage),
        "types": Counter(type(each).__name__ for each in objects).most_common(60),
    }
    del objects
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the command line of pearl-exporter after the first argument."""
    record = Path(sys.argv.pop(1))
    open_store = store.open_store
    encode = msgspec.json.Encoder().encode
    signal.signal(signal.SIGUSR1, _report)
    with record.open("ab", buffering=0) as lines, recording_trackers():

        def write(poll: RecordedPoll) -> None:
            lines.write(encode(poll) + b"\n")

        store.open_store = lambda url: RecordingStore(open_store(url), write)
        # imported now, so that the command line finds the recording store
        from pearl_exporter.cli import main as command_line  # noqa: PLC0415

        command_line()


if __name__ == "__main__":
    main()
