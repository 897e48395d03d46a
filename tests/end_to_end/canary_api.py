"""An API that pours customers' numbers into everything it says, well formed or not.

It speaks HTTP by itself, down to the status line, and is asked as a proxy is. The outbound's id
says how it answers; see `MOODS`.
"""

import json
import socketserver
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from tests.support.canary import Canary

GOOD = "good"


class Mood(NamedTuple):
    """How an outbound is answered: for which reason its polls fail, and what comes."""

    reason: str
    answer: Callable[[Canary, str], bytes]


def answer(
    canary: Canary, where: str, body: str | bytes = "", *, status: str = "200", **headers: str
) -> bytes:
    """An answer with a number in its reason phrase and in every header where one may stand."""
    content = body if isinstance(body, bytes) else body.encode()
    lines = [
        f"HTTP/1.1 {status} Not for {canary.plain_number(f'reason phrase of {where}')}",
        f"Content-Length: {len(content)}",
        f"Content-Type: text/{canary.plain_number(f'content type of {where}')}; charset=utf-8",
        f"X-Lead: {canary.plain_number(f'header of {where}')}",
        f"Set-Cookie: lead={canary.email(f'cookie of {where}')}",
        f"Date: {canary.plain_number(f'date of {where}')}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def problem(canary: Canary, where: str, status: str, **headers: str) -> bytes:
    """What ASP.NET says of an error, its input quoted."""
    said = {
        "title": f"No lead {canary.number(f'title of {where}')}",
        "detail": f"Ask {canary.email(f'detail of {where}')}",
        "errors": {canary.number(f"key of {where}"): [canary.number(f"error of {where}")]},
        "searchInput": canary.number(f"search input of {where}"),
    }
    return answer(canary, where, json.dumps(said), status=status, **headers)


def raw(text: str) -> bytes:
    return text.encode()


MOODS: dict[str, Mood] = {
    "bad-request": Mood("bad_request", lambda c, w: problem(c, w, "400")),
    "not-found": Mood("not_found", lambda c, w: problem(c, w, "404")),
    "unauthorized": Mood(
        "auth", lambda c, w: problem(c, w, "401", WWW_Authenticate=f"Bearer {c.plain_number(w)}")
    ),
    "forbidden": Mood("auth", lambda c, w: problem(c, w, "403")),
    "paused": Mood(
        "rate_limited", lambda c, w: problem(c, w, "429", Retry_After=c.plain_number(w))
    ),
    "down": Mood("server_error", lambda c, w: problem(c, w, "500")),
    "odd-status": Mood("server_error", lambda c, w: problem(c, w, "999")),
    "moved": Mood(
        "bad_response",
        lambda c, w: problem(c, w, "301", Location=f"http://{c.plain_number(w)}.example/"),
    ),
    "html": Mood("bad_response", lambda c, w: answer(c, w, f"<p>Lead {c.number(w)}</p>")),
    "text": Mood("bad_response", lambda c, w: answer(c, w, f"Lead {c.number(w)} is locked")),
    "error-object": Mood(
        "bad_response", lambda c, w: answer(c, w, json.dumps({"error": c.number(w)}))
    ),
    "cut": Mood(
        "bad_response",
        lambda c, w: answer(c, w, f'{{"count": 1, "results": [{{"to": "{c.number(w)}'),
    ),
    "wrong-count": Mood(
        "bad_response",
        lambda c, w: answer(c, w, json.dumps({"count": c.number(w), "results": [c.email(w)]})),
    ),
    "below-zero": Mood(
        "bad_response",
        lambda c, w: answer(c, w, f'{{"count": -{c.plain_number(w)}, "results": []}}'),
    ),
    "no-utf-8": Mood(
        "bad_response", lambda c, w: answer(c, w, b'{"to": "\xff' + c.number(w).encode() + b'"}')
    ),
    "no-gzip": Mood(
        "bad_response", lambda c, w: answer(c, w, c.number(w), Content_Encoding="gzip")
    ),
    "too-short": Mood(
        "connection",
        lambda c, w: raw(f"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{c.number(w)}"),
    ),
    "no-chunks": Mood(
        "connection",
        lambda c, w: raw(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{c.number(w)}\r\n"),
    ),
    "no-http": Mood("connection", lambda c, w: raw(f"{c.number(w)} is busy\r\n\r\n")),
    "no-header": Mood(
        "connection", lambda c, w: raw(f"HTTP/1.1 200 OK\r\n{c.number(w)} {c.email(w)}: 1\r\n\r\n")
    ),
    "no-status": Mood("connection", lambda c, w: raw(f"HTTP/1.1 {c.number(w)} OK\r\n\r\n")),
}
ALONE = ("unauthorized", "forbidden", "paused")
"""Moods that hold back whoever bears the same token."""


class CanaryApi:
    """Serves in threads until the block ends."""

    def __init__(self, canary: Canary) -> None:
        self.canary = canary
        self.heard: list[str] = []
        """The heads of all requests."""
        self._to_come = [self._row(number) for number in range(60)]
        self._rows: list[dict[str, Any]] = []
        self._one_at_a_time = threading.Lock()
        self._answers = {name: mood.answer(canary, name) for name, mood in MOODS.items()}
        self._server = _Server(("127.0.0.1", 0), _handler(self))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def answered(self, head: str, body: bytes) -> bytes:
        """What comes for a request."""
        self.heard.append(head)
        path = head.split()[1].partition("/v1/")[2]
        if head.startswith("CONNECT"):
            return raw(f"HTTP/1.1 407 Pay {self.canary.number('reason phrase of a proxy')}\r\n\r\n")
        if path == "Outbound":
            return self._said(self._listing())
        if path == "Account":
            return self._said(self._account())
        outbound = path.split("/")[1]
        if outbound in self._answers:
            return self._answers[outbound]
        return self._said(self._page(json.loads(body)))

    def _said(self, value: Any) -> bytes:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"Content-Type: text/plain\r\n\r\n" + body

    def _listing(self) -> list[dict[str, Any]]:
        about = {"status": 1, "totalAgents": 3, "owner": self.canary.email("owner in the list")}
        return [
            {"id": GOOD, "name": self.canary.number("name of a configured one"), **about},
            {
                "id": "found-1",
                "name": f"Callbacks {self.canary.number('name in the list')}",
                **about,
            },
            {"id": "found-2", "name": self.canary.email("name in the list"), **about},
            {"id": f"x/{self.canary.number('id in the list')}", "name": "leads elsewhere"},
        ]

    def _account(self) -> dict[str, Any]:
        return {
            "name": self.canary.email("name of the account"),
            "phone": self.canary.number("number of the account"),
            "creditBalance": 12.5,
            "totalAgents": 3,
            "status": 1,
        }

    def _page(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._call()
        first, last = asked["fromDate"], asked["toDate"]
        rows = [
            row
            for row in self._rows
            if first <= row["startTime"] < last
            and (not asked.get("statuses") or row["conversationStatus"] in asked["statuses"])
        ]
        rows.sort(key=lambda row: row["startTime"], reverse=not asked["isAscending"])
        page = rows[asked["skip"] : asked["skip"] + asked["limit"]]
        echo = self.canary.number("search input of a page")
        return {"count": len(rows), "results": page, "searchInput": echo}

    def _call(self) -> None:
        """Some more calls begin now. With each search, so that none is over before the first."""
        start = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._one_at_a_time:
            self._rows += [{**row, "startTime": start} for row in self._to_come[:5]]
            del self._to_come[:5]

    def _row(self, number: int) -> dict[str, Any]:
        """A call that counts a second after its end."""
        canary = self.canary
        where = f"of row {number}"
        ids = (
            f"65f1c0{number:018x}",
            canary.number(f"id {where}"),
            f"call-{canary.plain_number(f'id {where}')}",
            canary.email(f"id {where}"),
        )
        return {
            "id": ids[number % 4],
            "conversationStatus": int(canary.plain_number(f"status {where}"))
            if number % 7 == 0
            else 130,
            "status": int(canary.plain_number(f"call status {where}")) if number % 11 == 0 else 4,
            "from": canary.number(f"from {where}"),
            "to": int(canary.plain_number(f"to {where}")),
            "duration": 1,
            "tags": [canary.number(f"tag {where}"), canary.email(f"tag {where}"), "interested"],
            "lead": {
                "phone": canary.number(f"field {where}"),
                "name": canary.secret(f"name {where}"),
            },
            canary.number(f"key {where}"): canary.number(f"value {where}"),
        }


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True


def _handler(api: CanaryApi) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        """One request a connection."""

        def handle(self) -> None:
            lines = []
            while line := self.rfile.readline().decode("latin-1").strip():
                lines.append(line)
            if not lines:
                return
            length = next(
                (int(each[15:]) for each in lines if each.lower().startswith("content-length:")), 0
            )
            self.wfile.write(api.answered("\n".join(lines), self.rfile.read(length)))

    return Handler
