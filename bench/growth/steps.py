"""Every decoder, and every other step that grows with an answer, timed by size."""

import math
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from bench.growth.answers import NOW_MS, listing, page, row
from bench.support.report import Section, met_or_missed, seconds_text
from pearl_exporter.api.body import Body
from pearl_exporter.api.decode_calls import decode_page
from pearl_exporter.api.decode_platform import decode_listing
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.labels import TagLabels, TagRules
from pearl_exporter.counting.observation import Observation
from pearl_exporter.counting.rows import Rows
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.discovery.selection import Polled, SelectionRules, merge, select
from pearl_exporter.errors import BadResponseError

MAX_EXPONENT = 1.35
"""Up to here a step counts as linear: at twice the size it takes at most 2.5 times as long."""

_REPEATS = 3
_HOUR_MS = 3_600_000
_RULES = CountingRules(
    window_ms=24 * _HOUR_MS,
    settle_ms=1000,
    settle_unanswered_ms=1000,
    follow_ms=_HOUR_MS,
    catch_up_ms=_HOUR_MS,
    scan_every_ms=_HOUR_MS,
    buckets=(10.0, 60.0),
)

Work = Callable[[], object]


@dataclass(frozen=True)
class Step:
    """Something that grows with an answer.

    Attributes:
        name: What is done.
        unit: What the size counts.
        prepare: Returns the work for a size, to be done once.
    """

    name: str
    unit: str
    prepare: Callable[[int], Work]


# --- decoders


def _page_of(**more: Any) -> Callable[[int], Work]:
    def prepare(size: int) -> Work:
        body = page([row(number, NOW_MS, **more) for number in range(size)])
        return lambda: decode_page(body)

    return prepare


def _page_of_unusual_ids(size: int) -> Work:
    body = page([row(n, NOW_MS, id=f"campaign/2026/call-{n:08d}.a") for n in range(size)])
    return lambda: decode_page(body)


def _page_with_one_wrong_type(size: int) -> Work:
    rows = [row(number, NOW_MS) for number in range(size)]
    body = page([*rows, row(size, NOW_MS, duration="long")])
    return lambda: decode_page(body)


def _page_of_one_row(size: int) -> Work:
    body = page([row(0, NOW_MS, tags=[f"tag {number}" for number in range(size)])])
    return lambda: decode_page(body)


def _nested(size: int) -> Work:
    def work() -> None:
        with suppress(BadResponseError):
            decode_page(b'{"count": 1, "results": ' + b"[" * size)

    return work


def _list(size: int) -> Work:
    body = listing(size, "spring")
    return lambda: decode_listing(body)


def _gzip(size: int) -> Work:
    compress = zlib.compressobj(wbits=31)
    packed = compress.compress(b"[1]," * size) + compress.flush()

    def work() -> None:
        body = Body("gzip")
        for start in range(0, len(packed), 1024):
            body.take(packed[start : start + 1024])
        body.whole()

    return work


# --- counting


def _calls(size: int, tags: Callable[[int], Sequence[str]]) -> list[Call]:
    return [
        Call(f"65f1c0ffee65f1{n:010x}", NOW_MS - n * 100, 100, 4, float(n % 50), tuple(tags(n)))
        for n in range(size)
    ]


def _one_tag(_: int) -> Sequence[str]:
    return ("renewal",)


def _fifty_tags(number: int) -> Sequence[str]:
    return [f"tag {number} {each}" for each in range(50)]


def _rows(size: int) -> Work:
    calls = _calls(size, _one_tag)

    def work() -> None:
        rows = Rows()
        for start in range(0, size, 1000):
            rows.extend(calls[start : start + 1000])
        rows.by_start()

    return work


def _apply(tracker: Tracker, calls: Sequence[Call], now: int) -> None:
    read = Observation(Rows(calls), [(NOW_MS - 24 * _HOUR_MS, NOW_MS + 1)])
    tracker.apply(read, now=now, max_gap_ms=_HOUR_MS)


def _first_read(tags: Callable[[int], Sequence[str]]) -> Callable[[int], Work]:
    def prepare(size: int) -> Work:
        calls, tracker = _calls(size, tags), Tracker(_RULES)
        return lambda: _apply(tracker, calls, NOW_MS)

    return prepare


def _all_changed(size: int) -> Work:
    tracker = Tracker(_RULES)
    _apply(tracker, _calls(size, _one_tag), NOW_MS)
    changed = [replace(call, status=110) for call in _calls(size, _one_tag)]
    return lambda: _apply(tracker, changed, NOW_MS + 1000)


def _all_gone(size: int) -> Work:
    tracker = Tracker(_RULES)
    _apply(tracker, _calls(size, _one_tag), NOW_MS)
    return lambda: _apply(tracker, (), NOW_MS + 1000)


def _save_and_load(size: int) -> Work:
    tracker = Tracker(_RULES)
    _apply(tracker, _calls(size, _one_tag), NOW_MS)
    return lambda: Tracker(_RULES, tracker.saved())


def _tags(form: str, max_tags: int) -> Callable[[int], Work]:
    def prepare(size: int) -> Work:
        labels, tags = TagLabels(TagRules(max_tags=max_tags)), [form % n for n in range(size)]
        return lambda: labels.of(tags)

    return prepare


# --- the list of outbounds


def _merge(size: int) -> Work:
    old, new = (decode_listing(listing(size, name)) for name in ("spring", "autumn"))
    rules = SelectionRules()
    known = merge((), old, rules)
    return lambda: merge(known, new, rules)


def _select(name: Callable[[int], str]) -> Callable[[int], Work]:
    def prepare(size: int) -> Work:
        outbounds = decode_listing(listing(size, "x"))
        named = [
            type(each)(each.id, name(number), each.status)
            for number, each in enumerate(outbounds.outbounds)
        ]
        rules = SelectionRules(max_outbounds=size)
        known = merge((), type(outbounds)(tuple(named)), rules)
        return lambda: select(known, rules, Polled({}))

    return prepare


STEPS = (
    Step("decode a page", "rows", _page_of()),
    Step("decode a page, 50 tags a row", "rows", _page_of(tags=[f"tag {n}" for n in range(50)])),
    Step("decode a page, unusual ids", "rows", _page_of_unusual_ids),
    Step("decode a page, one wrong type", "rows", _page_with_one_wrong_type),
    Step("decode a page, no usable row", "rows", _page_of(startTime="yesterday")),
    Step("decode a page of one row", "tags", _page_of_one_row),
    Step("refuse what is nested", "brackets", _nested),
    Step("decode a list of outbounds", "outbounds", _list),
    Step("unpack a body", "4 bytes", _gzip),
    Step("collect rows", "rows", _rows),
    Step("apply a first read", "rows", _first_read(_one_tag)),
    Step("apply a first read, 50 new tags a row", "rows", _first_read(_fifty_tags)),
    Step("apply rows that all changed", "rows", _all_changed),
    Step("apply an empty read", "calls", _all_gone),
    Step("save and load", "calls", _save_and_load),
    Step("label tags that find room", "tags", _tags("tag %d", 10**6)),
    Step("label tags that find none", "tags", _tags("tag %d", 100)),
    Step("label tags that are refused", "tags", _tags("me%d@example.com", 100)),
    Step("merge a list, all names new", "outbounds", _merge),
    Step("choose by name", "outbounds", _select(lambda number: f"campaign {number}")),
    Step("choose, all of one name", "outbounds", _select(lambda _: "spring")),
    Step("choose, all named like others' ids", "outbounds", _select(lambda n: f"{n + 1:024x}")),
)


def growth(sizes: Sequence[int], steps: Iterable[Step] = STEPS) -> Section:
    """Time each step by size.

    Args:
        sizes: The sizes, ascending.
        steps: What is timed.
    """
    rows = []
    for step in steps:
        seconds = [_cpu_seconds(step, size) for size in sizes]
        exponent = math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0])
        rows.append(
            (
                step.name,
                step.unit,
                *map(seconds_text, seconds),
                f"{exponent:.2f}",
                met_or_missed(exponent, MAX_EXPONENT),
            )
        )
    return Section(
        "Steps that grow with an answer",
        (
            "step",
            "size counts",
            *(f"{size:,}" for size in sizes),
            "exponent",
            f"at most {MAX_EXPONENT}",
        ),
        rows,
        "CPU time of one thread, the least of three. The exponent is that of the power of the size "
        "by which the time grows from the smallest size to the largest: 1 is linear, 2 quadratic.",
    )


def _cpu_seconds(step: Step, size: int) -> float:
    times = []
    for _ in range(_REPEATS):
        work = step.prepare(size)
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return max(min(times), 1e-7)
