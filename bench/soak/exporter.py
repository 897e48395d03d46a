"""`pearl-exporter serve` as it is, but that it tells on SIGUSR1 what it holds.

A file descriptor, a thread or a page of memory can be seen from outside, an asyncio task can't.
The answer is a line of JSON on standard output, written by the event loop's own thread.
"""

import asyncio
import gc
import json
import signal
import sys
from collections import Counter

from pearl_exporter.cli import main


def _tell(_number: int, _frame: object) -> None:
    objects = gc.get_objects()
    told = {
        "tasks": len(asyncio.all_tasks()),
        "objects": len(objects),
        "garbage": len(gc.garbage),
        "types": Counter(type(each).__name__ for each in objects).most_common(60),
    }
    del objects
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _tell)
    main()
