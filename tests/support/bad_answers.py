"""Bad answers: each is what becomes of a good one on its way, with what a poll may make of it."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from pearl_exporter.simulator import FAULTS, fault
from pearl_exporter.simulator.fault_kind import Answer

Json = Any

BAIT = "+4915112345678"


@dataclass(frozen=True)
class Bad:
    """What is done to a good answer. ``spoil`` gets its JSON and gives the body.

    A poll that meets it may fail by any of ``reasons``, or succeed; without any it must succeed.
    """

    spoil: Callable[[Json], bytes]
    reasons: tuple[str, ...] = ("bad_response",)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    may_lie: bool = False
    """Whether it may be wrong without anybody noticing at once."""

    def answer(self, good: Json) -> httpx.Response:
        """What is answered in the place of ``good``."""
        named = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        stream = httpx.ByteStream(self.spoil(good))
        return httpx.Response(self.status, headers=named, stream=stream)


def body(text: bytes) -> Callable[[Json], bytes]:
    return lambda _: text


def edited(change: Callable[[Json], Json]) -> Callable[[Json], bytes]:
    return lambda answer: json.dumps(change(answer)).encode()


def raw_count(text: bytes) -> Callable[[Json], bytes]:
    def spoil(answer: Json) -> bytes:
        rows = json.dumps(answer["results"]).encode()
        return b'{"count": ' + text + b', "results": ' + rows + b"}"

    return spoil


def rows(change: Callable[[list[Json]], Json]) -> Callable[[Json], bytes]:
    return edited(lambda answer: {**answer, "results": change(answer["results"] or [])})


def each_row(change: Callable[[dict[str, Json]], Json]) -> Callable[[Json], bytes]:
    return rows(lambda found: [change(row) for row in found])


def simulated(flag: str) -> Callable[[Json], bytes]:
    """What a fault of the simulator makes of the count and rows of an answer."""
    on = fault(flag)
    on_answer = FAULTS[on.name].on_answer

    def change(good: Json) -> Json:
        answer = on_answer(on, Answer(good["count"], good["results"]), None)
        return {**good, "count": answer.count, "results": answer.results}

    return edited(change)


def first_row(**changes: Json) -> Callable[[Json], bytes]:
    return rows(
        lambda found: [{**row, **changes} if not at else row for at, row in enumerate(found)]
    )


def whole(answer: Json) -> bytes:
    return json.dumps(answer).encode()


GZIP = {"content-encoding": "gzip"}
BROKEN = ("connection",)
ROWS = ("bad_response", "inconsistent")
"""What a poll may say where rows or counts contradict each other."""

BAD_ANSWERS: Mapping[str, Bad] = {
    # statuses
    **{
        str(status): Bad(body(b"%d for " % status + BAIT.encode()), (reason,), status)
        for status, reason in {
            201: "bad_response",
            204: "bad_response",
            301: "bad_response",
            304: "bad_response",
            400: "bad_request",
            401: "auth",
            403: "auth",
            404: "not_found",
            408: "bad_request",
            413: "bad_request",
            418: "bad_request",
            429: "rate_limited",
            500: "server_error",
            502: "server_error",
            599: "server_error",
        }.items()
    },
    "redirect": Bad(body(b""), ("bad_response",), 302, {"location": "http://elsewhere/" + BAIT}),
    **{
        f"429 retry-after {value[:16]}": Bad(
            body(b""), ("rate_limited",), 429, {"retry-after": value}
        )
        for value in (
            "0",
            "3",
            "-1",
            "1.5",
            "soon",
            "9" * 400,
            "\xb3",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Fri, 99 Dec 9999 99:99:99 GMT",
            "2026-11-23T09:40:00Z",
        )
    },
    "503 retry-after": Bad(body(b""), ("server_error",), 503, {"retry-after": "1e3"}),
    # bodies that are no answer
    "empty": Bad(body(b"")),
    "white space": Bad(body(b" \r\n\t")),
    "html": Bad(body(b"<html>call " + BAIT.encode() + b"</html>")),
    "cut": Bad(lambda answer: whole(answer)[:-2]),
    "cut in two": Bad(lambda answer: whole(answer)[: len(whole(answer)) // 2]),
    "rubbish behind": Bad(lambda answer: whole(answer) + b"}"),
    "two answers": Bad(lambda answer: whole(answer) * 2),
    "null": Bad(body(b"null")),
    "list": Bad(lambda answer: json.dumps(answer["results"]).encode()),
    "string": Bad(lambda answer: json.dumps(json.dumps(answer)).encode()),
    "number": Bad(body(b"1e400")),
    "true": Bad(body(b"true")),
    "error object": Bad(body(b'{"error": {"message": "Lead ' + BAIT.encode() + b'"}}')),
    "problem with 200": Bad(body(b'{"title": "Bad", "status": 400, "errors": {}}')),
    "wrapped": Bad(edited(lambda answer: {"data": answer})),
    "nested deeply": Bad(body(b"[" * 100_000 + b"]" * 100_000)),
    "objects nested deeply": Bad(body(b'{"count":' * 100_000)),
    "utf-16": Bad(lambda answer: whole(answer).decode().encode("utf-16")),
    "NUL in front": Bad(lambda answer: b"\0" + whole(answer)),
    # the wire
    "gzip that is none": Bad(whole, headers=GZIP),
    "gzip cut": Bad(lambda answer: gzip.compress(whole(answer))[:-9], headers=GZIP),
    "gzip twice": Bad(
        lambda answer: gzip.compress(gzip.compress(whole(answer))),
        headers={"content-encoding": "gzip, gzip"},
    ),
    "brotli": Bad(whole, headers={"content-encoding": "br"}),
    "gzip bomb": Bad(body(gzip.compress(b" " * (17 << 20), 1)), headers=GZIP),
    # count and results
    **{
        f"count {text.decode()[:8]}": Bad(raw_count(text))
        for text in (b"-1", b"-99999999999999999999", b"1.5", b'"12"', b"null", b"NaN", b"1e400")
    },
    "count true": Bad(raw_count(b"true")),
    "count of 10,000 digits": Bad(raw_count(b"9" * 10_000)),
    "no count": Bad(edited(lambda answer: {"results": answer["results"]})),
    "no results": Bad(edited(lambda answer: {"count": answer["count"]})),
    "results a dict": Bad(edited(lambda answer: {**answer, "results": {}})),
    "results a string": Bad(edited(lambda answer: {**answer, "results": "none"})),
    "count huge": Bad(raw_count(b"9" * 18), ROWS, may_lie=True),
    "count too huge": Bad(raw_count(b"9" * 40), ROWS, may_lie=True),
    "count 0": Bad(simulated("count_fixed:count=0"), ROWS, may_lie=True),
    "count one more": Bad(simulated("count_off:by=1"), ROWS, may_lie=True),
    "count one less": Bad(simulated("count_off:by=-1"), ROWS, may_lie=True),
    "results null": Bad(simulated("results_null"), ROWS, may_lie=True),
    "nothing at all": Bad(simulated("no_rows"), ROWS, may_lie=True),
    # rows
    "rows null": Bad(each_row(lambda _: None), ROWS, may_lie=True),
    "rows of odd types": Bad(
        rows(lambda found: [7, "x", [], {}, True, *found][: len(found)]), ROWS, may_lie=True
    ),
    "rows without id": Bad(each_row(lambda row: {**row, "id": None}), ROWS, may_lie=True),
    "rows without start": Bad(each_row(lambda row: {**row, "startTime": 5}), ROWS, may_lie=True),
    "every row twice": Bad(
        rows(lambda found: [row for row in found for _ in (0, 1)]), ROWS, may_lie=True
    ),
    "one row again and again": Bad(rows(lambda found: found[:1] * len(found)), ROWS, may_lie=True),
    "rows twice over": Bad(rows(lambda found: found + found), ROWS, may_lie=True),
    "rows turned round": Bad(rows(lambda found: found[::-1]), ROWS, may_lie=True),
    "every other row": Bad(simulated("rows_missing:every=2,which=place"), ROWS, may_lie=True),
    "a row of the far future": Bad(
        first_row(startTime="9999-12-31T23:59:59.999Z"), ROWS, may_lie=True
    ),
    "a row of the far past": Bad(first_row(startTime="0001-01-01T00:00:00Z"), ROWS, may_lie=True),
    "a row beside the range": Bad(first_row(startTime="2026-01-01T00:00:00Z"), ROWS, may_lie=True),
    "a row of 10,000 tags": Bad(
        first_row(tags=[f"tag {number}" for number in range(10_000)]), ROWS, may_lie=True
    ),
    "odd fields": Bad(
        first_row(conversationStatus="x", status=1e300, duration=-7, tags="vip"),
        ROWS,
        may_lie=True,
    ),
    "half a surrogate": Bad(first_row(tags=["\ud800"], to="\udfff"), ROWS, may_lie=True),
    "half a surrogate as id": Bad(first_row(id="\ud800"), ROWS, may_lie=True),
    # what is well all the same
    "byte order mark": Bad(lambda answer: b"\xef\xbb\xbf" + whole(answer), ()),
    "bytes that are no UTF-8": Bad(lambda answer: whole(answer).replace(b'"to"', b'"to\xff"'), ()),
    "more keys": Bad(edited(lambda answer: {**{f"k{n}": n for n in range(1000)}, **answer}), ()),
    "gzip": Bad(lambda answer: gzip.compress(whole(answer)), (), headers=GZIP),
    "other type": Bad(whole, (), headers={"content-type": "image/png; charset=utf-7"}),
}
