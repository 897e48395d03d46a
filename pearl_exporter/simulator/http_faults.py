"""Faults of HTTP: errors in place of answers, wrong bodies and headers, broken connections."""

import gzip
import math
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from pearl_exporter.simulator import responses
from pearl_exporter.simulator.fault_kind import Fault, FaultKind, FaultKinds, Sleep


def _rate_limited(fault: Fault, now_ms: int) -> Response:
    response = Response(b"Too many requests", 429, media_type="text/plain")
    seconds = fault.number("retry_after")
    if seconds >= 0:
        as_date = fault.word("form") == "date"
        after = responses.http_date(now_ms + seconds * 1000) if as_date else f"{seconds:g}"
        response.headers["retry-after"] = after
    return response


def _server_error(fault: Fault, _now_ms: int) -> Response:
    return Response(responses.HTML, fault.whole("status"), media_type="text/html")


def _bad_request(_fault: Fault, _now_ms: int) -> Response:
    return responses.problem_details(
        400, f"No lead {responses.CANARY_NUMBER}.", fromDate="The range is too long."
    )


def _refused(status: int) -> FaultKind:
    """Return the fault that answers with a status in ASP.NET's form."""

    def refusal(_fault: Fault, _now_ms: int) -> Response:
        return responses.problem_details(status, f"Not for {responses.CANARY_NUMBER}.")

    return FaultKind(help=f"{status} {HTTPStatus(status).phrase}", instead=refusal)


def _no_content(_fault: Fault, _now_ms: int) -> Response:
    return Response(status_code=204)


def _proxy_auth(_fault: Fault, _now_ms: int) -> Response:
    headers = {"Proxy-Authenticate": 'Basic realm="proxy"'}
    return Response(responses.HTML, 407, headers, media_type="text/html")


def _challenge(_fault: Fault, _now_ms: int) -> Response:
    return Response(responses.HTML, 403, media_type="text/html")


def _html(_fault: Fault, _response: Response) -> Response:
    return Response(responses.HTML, media_type="text/html")


def _error_object(_fault: Fault, _response: Response) -> Response:
    error = {"error": {"code": 17, "message": f"Lead {responses.CANARY_NUMBER} is locked"}}
    return Response(msgspec.json.encode(error), media_type="application/json")


def _empty(_fault: Fault, _response: Response) -> Response:
    return Response(b"", media_type="text/plain")


def _cut(_fault: Fault, response: Response) -> Response:
    part = response.body[: len(response.body) * 2 // 3]
    return Response(part, media_type="application/json")


def _content_type(fault: Fault, response: Response) -> Response:
    response.headers["content-type"] = fault.word("type")
    return response


def _gzip_trailer(fault: Fault, response: Response) -> Response:
    body = gzip.compress(bytes(response.body), 1) + b"\0" * fault.whole("bytes")
    kind = response.headers.get("content-type")
    return Response(body, response.status_code, {"content-encoding": "gzip"}, kind)


def _skew(fault: Fault, response: Response, now_ms: int) -> None:
    response.headers["date"] = responses.http_date(now_ms + fault.milliseconds("seconds"))


def _no_date(_fault: Fault, response: Response, _now_ms: int) -> None:
    del response.headers["date"]


def _age(fault: Fault, response: Response, now_ms: int) -> None:
    response.headers["date"] = responses.http_date(now_ms - fault.milliseconds("seconds"))
    response.headers["age"] = f"{fault.number('seconds'):.0f}"


def _chunks(fault: Fault, response: Response, _sleep: Sleep) -> Response:
    return responses.ChunkedResponse(response, fault.whole("bytes"))


def _drip(fault: Fault, response: Response, sleep: Sleep) -> Response:
    return responses.SlowResponse(response, fault.number("seconds"), fault.whole("drops"), sleep)


def _interim(fault: Fault, response: Response, _sleep: Sleep) -> Response:
    status = HTTPStatus(fault.whole("status"))
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n\r\n".encode() * fault.whole("count")
    return responses.SurroundedResponse(response, before=head)


def _trailing(fault: Fault, response: Response, _sleep: Sleep) -> Response:
    behind = b"\0\r\n\r\n" if fault.word("what") == "rubbish" else responses.EMPTY_ANSWER
    return responses.SurroundedResponse(response, behind=behind)


def _drop(fault: Fault, response: Response, _sleep: Sleep) -> Response:
    return responses.DroppedResponse(response, middle=fault.word("when") == "middle")


_AT_LEAST_0 = (0, math.inf)
_AT_LEAST_1 = (1, math.inf)

ERROR_FAULTS: FaultKinds = {
    "rate_limit": FaultKind(
        help="429; with Retry-After where retry_after is 0 or more seconds",
        settings={"retry_after": -1.0, "form": "seconds"},
        words={"form": ("seconds", "date")},
        instead=_rate_limited,
    ),
    "server_error": FaultKind(
        help="a 5xx",
        settings={"status": 503},
        bounds={"status": (500, 599)},
        instead=_server_error,
    ),
    "bad_request": FaultKind(help="400 with ASP.NET problem details", instead=_bad_request),
    "unauthorized": _refused(401),
    "forbidden": _refused(403),
    "not_found": _refused(404),
    "request_timeout": _refused(408),
    "too_early": _refused(425),
    "proxy_auth": FaultKind(help="407, as from a proxy that wants a password", instead=_proxy_auth),
    "challenge": FaultKind(
        help="403 with a page of HTML, as from a firewall that wants to see a browser",
        instead=_challenge,
    ),
    "no_content": FaultKind(help="204, without a body", instead=_no_content),
}
"""Errors in place of answers."""

BODY_FAULTS: FaultKinds = {
    "cut": FaultKind(help="JSON that breaks off, with status 200", on_body=_cut),
    "empty": FaultKind(help="an empty body, with status 200", on_body=_empty),
    "error_object": FaultKind(help="an error object, with status 200", on_body=_error_object),
    "html": FaultKind(help="a page of a proxy, with status 200", on_body=_html),
    "content_type": FaultKind(
        help="another content type",
        settings={"type": "application/octet-stream"},
        on_body=_content_type,
    ),
    "gzip_trailer": FaultKind(
        help="this many bytes behind the end of a gzip body",
        settings={"bytes": 16},
        bounds={"bytes": _AT_LEAST_0},
        on_body=_gzip_trailer,
    ),
}
"""Wrong bodies of answers with status 200."""

DATE_FAULTS: FaultKinds = {
    "skew": FaultKind(
        help="the Date header is this many seconds ahead",
        settings={"seconds": 60.0},
        on_headers=_skew,
    ),
    "age": FaultKind(
        help="the answer comes from a cache: its Date is this many seconds old, as Age says",
        settings={"seconds": 60.0},
        bounds={"seconds": _AT_LEAST_0},
        on_headers=_age,
    ),
    "no_date": FaultKind(help="there is no Date header", on_headers=_no_date),
}
"""Wrong headers of any answer."""

WIRE_FAULTS: FaultKinds = {
    "slow": FaultKind(
        help="waits before it answers", settings={"seconds": 5.0}, bounds={"seconds": _AT_LEAST_0}
    ),
    "chunks": FaultKind(
        help="sends the answer in chunks of this many bytes",
        settings={"bytes": 1},
        bounds={"bytes": _AT_LEAST_1},
        on_wire=_chunks,
    ),
    "drip": FaultKind(
        help="sends the answer in pieces, slowly",
        settings={"seconds": 5.0, "drops": 10},
        bounds={"seconds": _AT_LEAST_0},
        on_wire=_drip,
    ),
    "interim": FaultKind(
        help="sends this many interim answers before the answer",
        settings={"count": 3, "status": 103},
        bounds={"count": _AT_LEAST_0, "status": (100, 103)},
        on_wire=_interim,
    ),
    "trailing": FaultKind(
        help="sends more bytes behind the answer: a second answer, which has no rows, or rubbish",
        settings={"what": "answer"},
        words={"what": ("answer", "rubbish")},
        on_wire=_trailing,
    ),
    "drop": FaultKind(
        help="closes the connection, before or in the middle of the answer",
        settings={"when": "before"},
        words={"when": ("before", "middle")},
        on_wire=_drop,
    ),
}
"""What happens on the connection. The last one is `drop`, since nothing is sent behind it."""
