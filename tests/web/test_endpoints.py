"""The endpoints of the contract, over ASGI and, where the server has a say, over a socket."""

import asyncio
import gzip
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest
from msgspec.structs import replace as changed
from pydantic import SecretStr

from pearl_exporter.app import App, build_app
from pearl_exporter.config import ApiSettings, OutboundSettings, Settings, TokenSource
from pearl_exporter.exposition.render import Format
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.serving import view_of
from pearl_exporter.simulator import SimulatedClock, build_simulator, default_campaigns
from pearl_exporter.web.endpoints import build_endpoints
from pearl_exporter.web.view import View
from tests.exposition.scraped import NOW, World, polled, unpolled
from tests.support.patience import HANGING_SECONDS, PATIENT
from tests.support.serving import serving

PATHS = ("/", "/metrics", "/-/healthy", "/-/ready")
TOKEN = "acct-4711:s3cr3t-k3y"


def a_view(*outbounds: OutboundSnapshot, next_poll: float | None = 12.4) -> View:
    world = World(*outbounds)
    return View(
        exposition=world.exposition,
        is_alive=lambda: True,
        is_ready=lambda: True,
        seconds_to_next_poll=lambda _: next_poll,
        now=lambda: NOW,
    )


def client_of(view: View) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build_endpoints(view))
    return httpx.AsyncClient(transport=transport, base_url="http://exporter")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(a_view(polled(), unpolled())) as client:
        yield client


# --- /metrics


@pytest.mark.parametrize("format_", Format)
async def test_a_scrape_gets_the_format_it_accepts(
    client: httpx.AsyncClient, format_: Format
) -> None:
    accept = format_.value.split(";")[0]
    answer = await client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == format_.value
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.text.startswith("# HELP pearl_window_calls ")
    assert answer.text.endswith("# EOF\n") is (format_ is Format.OPENMETRICS)


async def test_several_accept_headers_count_as_one(client: httpx.AsyncClient) -> None:
    headers = [("accept", "text/plain;q=0.1"), ("accept", "application/openmetrics-text;q=0.9")]
    answer = await client.get("/metrics", headers=headers)
    assert answer.headers["content-type"] == Format.OPENMETRICS.value


@pytest.mark.parametrize("wanted", ["gzip", "identity", "gzip;q=0", "", "deflate, br"])
async def test_gzip_for_clients_that_accept_it(client: httpx.AsyncClient, wanted: str) -> None:
    stream = client.stream("GET", "/metrics", headers={"Accept-Encoding": wanted})
    async with stream as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == ("gzip" if wanted == "gzip" else None)
    assert int(answer.headers["content-length"]) == len(raw)
    plain = gzip.decompress(raw) if wanted == "gzip" else raw
    assert plain.startswith(b"# HELP pearl_window_calls ")
    assert b"pearl_outbound_up" in plain
    if wanted == "gzip":
        assert len(raw) < len(plain) / 4


async def test_nonsense_in_headers_does_no_harm(client: httpx.AsyncClient) -> None:
    headers = {
        "Accept": b"application/openmetrics-text;version=\xff\xfe;q=\xb2,;;,",
        "Accept-Encoding": b"\xe9;q=gzip,",
    }
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == Format.TEXT.value


# --- health


@pytest.mark.parametrize(("is_alive", "status"), [(True, 200), (False, 503)])
async def test_healthy_while_the_heart_beats(is_alive: bool, status: int) -> None:
    async with client_of(replace(a_view(), is_alive=lambda: is_alive)) as client:
        answer = await client.get("/-/healthy")
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("is_ready", "status"), [(True, 200), (False, 503)])
async def test_ready_once_every_outbound_was_tried(is_ready: bool, status: int) -> None:
    async with client_of(replace(a_view(), is_ready=lambda: is_ready)) as client:
        assert (await client.get("/-/ready")).status_code == status


def an_app(*faults: str) -> App:
    """The exporter over a simulated API with two outbounds, in this process."""
    clock = SimulatedClock()
    campaigns = default_campaigns(0, clock(), 2, history_ms=7_200_000)
    token = TokenSource(literal=SecretStr(TOKEN))
    settings = Settings(
        api=ApiSettings(url="http://api.test", rate_limit=1000),
        outbounds=tuple(
            OutboundSettings(id=each.outbound_id, name=each.profile.name, token=token, give_up=1.0)
            for each in campaigns
        ),
    )
    simulator = build_simulator(campaigns, clock=clock, faults=faults)
    return build_app(settings, transport=httpx.ASGITransport(simulator))


@pytest.mark.parametrize("faults", [(), ("not_found",)], ids=["a good page", "a failure"])
async def test_ready_once_every_outbound_had_a_page_or_failed(
    faults: tuple[str, ...],
) -> None:
    app = an_app(*faults)
    try:
        async with client_of(view_of(app)) as client:
            await app.start(polling=False)
            assert (await client.get("/-/ready")).status_code == 503
            await app.pollers[0].poll()
            assert (await client.get("/-/ready")).status_code == 503
            await app.pollers[1].poll()
            assert (await client.get("/-/ready")).status_code == 200
    finally:
        await app.stop()


async def test_healthy_says_nothing_about_the_api() -> None:
    """It begins with the schedule, and an API that is down does not end it."""
    app = an_app("server_error")
    async with client_of(view_of(app)) as client:
        assert (await client.get("/-/healthy")).status_code == 503
        await app.start()
        try:
            # there is no event to wait for: the heartbeat is a job of the scheduler
            async with asyncio.timeout(HANGING_SECONDS):
                while (await client.get("/-/healthy")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            await app.stop()


# --- what is not there


@pytest.mark.parametrize(
    "path",
    ["/nope", "/metrics/x", "/-/", "/-/reload/", "/favicon.ico", "/%00", "/../etc", "/Metrics"],
)
async def test_anything_else_is_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, follow_redirects=False)
    assert answer.status_code == 404
    assert answer.text == "Not Found"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_reload_that_is_off_is_404_and_says_what_turns_it_on(
    client: httpx.AsyncClient, method: str
) -> None:
    for _ in range(2):
        answer = await client.request(method, "/-/reload")
        assert answer.status_code == 404
        assert "web.enable_reload: true" in answer.text
        assert "SIGHUP" in answer.text


async def test_a_reload_is_refused_to_web_pages() -> None:
    """A browser sends Origin with each POST of a page, whether it has read the page or not."""
    reloads = []

    async def reload() -> tuple[str, ...]:
        reloads.append(True)
        return ()

    async with client_of(replace(a_view(polled()), reload=reload)) as client:
        for origin in ("https://evil.example", "null", ""):
            refused = await client.post("/-/reload", headers={"Origin": origin})
            assert refused.status_code == 403
            assert "Origin" in refused.text
        assert not reloads
        assert (await client.post("/-/reload")).text == "reloaded\n"
    assert reloads == [True]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
async def test_a_wrong_method_is_405(client: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 405
    assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_head_is_get_without_the_body() -> None:
    with (
        serving(build_endpoints(a_view(polled()))) as url,
        httpx.Client(base_url=url, **PATIENT) as client,
    ):
        for path in PATHS:
            head, get = client.head(path), client.get(path)
            assert head.status_code == get.status_code == 200
            assert head.content == b""
            assert head.headers["content-type"] == get.headers["content-type"]


def test_a_broken_request_is_a_400_and_harms_nobody() -> None:
    with serving(build_endpoints(a_view(polled()))) as url:
        host, port = url.removeprefix("http://").split(":")
        for rubbish in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n", b"\0" * 100):
            with socket.create_connection((host, int(port)), timeout=HANGING_SECONDS) as connection:
                connection.sendall(rubbish)
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(12) in (b"HTTP/1.1 400", b"")
        assert httpx.get(f"{url}/metrics", **PATIENT).status_code == 200


# --- the page


class Page(HTMLParser):
    """What a browser makes of the page: the rows of its table, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data

    @property
    def outbounds(self) -> list[dict[str, str]]:
        heads, *rows = self.rows
        return [dict(zip(heads, row, strict=True)) for row in rows]


async def page_of(*outbounds: OutboundSnapshot, next_poll: float | None = 12.4) -> Page:
    async with client_of(a_view(*outbounds, next_poll=next_poll)) as client:
        return Page((await client.get("/")).text)


def failed(outbound: OutboundSnapshot, reason: str, message: str) -> OutboundSnapshot:
    health = changed(
        outbound.health,
        up=False,
        failures={reason: 1},
        last_reason=reason,
        last_message=message,
    )
    return changed(outbound, health=health)


async def test_the_page_shows_each_outbounds_figures() -> None:
    page = await page_of(polled("b"), unpolled("a"))
    first, second = page.outbounds
    assert (first["Outbound"], second["Outbound"]) == ("a", "b")
    assert second["State"] == "up"
    assert second["Last success"] == "19 s ago"
    assert second["Calls in window"] == "79 in 1h"
    assert second["Error"] == "15.2%"  # 12 of 79
    assert second["Unreachable"] == "11.4%"  # 9 of 79
    assert second["Live"] == "6"
    assert second["Next poll"] == "in 12 s"
    assert first["State"] == "waiting for the first poll"
    assert first["Last success"] == "never"
    for column in ("Calls in window", "Error", "Unreachable", "Live"):
        assert first[column] == "–"


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "now"), (-3.0, "now"), (None, "–")])
async def test_the_next_poll_may_be_due_or_unknown(seconds: float | None, said: str) -> None:
    page = await page_of(polled(), next_poll=seconds)
    assert page.outbounds[0]["Next poll"] == said


async def test_the_page_shows_a_failure_with_its_reason() -> None:
    page = await page_of(failed(polled(), "auth", "the API answered 401"), unpolled())
    row, _ = page.outbounds  # the failing one comes first
    assert row["State"] == "token refused (auth)the API answered 401"
    assert row["Calls in window"] == "79 in 1h"  # of the last good poll, not yet too old


async def test_the_page_shows_no_window_that_is_too_old() -> None:
    outbound = failed(polled(), "timeout", "no whole answer within 30 s")
    old = changed(outbound, health=changed(outbound.health, last_success=NOW - 301_000))
    (row,) = (await page_of(old)).outbounds
    assert "too old" in row["State"]
    assert row["Last success"] == "5 min ago"
    for column in ("Calls in window", "Error", "Unreachable", "Live"):
        assert row[column] == "–"


async def test_an_empty_window_has_no_shares() -> None:
    outbound = polled()
    window = outbound.calls.window
    assert window is not None
    empty = window._replace(calls=0, by_status=dict.fromkeys(window.by_status, 0))
    calls = outbound.calls._replace(window=empty)
    (row,) = (await page_of(changed(outbound, calls=calls))).outbounds
    assert row["Calls in window"] == "0 in 1h"
    assert row["Error"] == "–"


async def test_a_page_without_outbounds_says_so() -> None:
    async with client_of(a_view()) as client:
        text = (await client.get("/")).text
    assert "No outbound is polled: none is configured, and none was discovered." in text
    assert "<table" not in text


async def test_names_and_messages_are_escaped() -> None:
    name = "<script>alert(1)</script>\"'&{x}%s"
    page = await page_of(failed(polled(name), "<b>", "<img src=x onerror=y>{0}"))
    assert page.outbounds[0]["Outbound"] == name
    assert page.outbounds[0]["State"] == "<b><img src=x onerror=y>{0}"
    assert {"script", "img", "b"}.isdisjoint({tag for tag, _ in page.tags})


async def test_the_page_loads_nothing_and_may_not() -> None:
    async with client_of(a_view(polled())) as client:
        answer = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not [each for each in policy if each.startswith("script-src")]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "http:" not in answer.text
    assert "https:" not in answer.text
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    page = Page(answer.text)
    assert {"script", "img", "iframe", "object"}.isdisjoint({tag for tag, _ in page.tags})
    assert all("src" not in attributes for _, attributes in page.tags)
    links = {attributes.get("href") for tag, attributes in page.tags if tag in ("a", "link")}
    assert links
    assert all(link and urljoin("http://here/", link).startswith("http://here/") for link in links)


async def test_the_page_is_made_for_a_phone_as_well() -> None:
    async with client_of(a_view(polled())) as client:
        text = (await client.get("/")).text
    page = Page(text)
    viewports = [each for tag, each in page.tags if each.get("name") == "viewport"]
    assert [each["content"] for each in viewports] == ["width=device-width, initial-scale=1"]
    assert re.search(r"@media \(max-width: \d+rem\)", text)
    assert "color-scheme: light dark" in text
    # on a phone a cell shows the head of its column itself
    heads = [head.strip() for head in page.rows[0]]
    cells = [each["data-label"] for tag, each in page.tags if tag == "td"]
    assert cells == heads
    assert ("html", {"lang": "en"}) in page.tags
    scopes = [each.get("scope") for tag, each in page.tags if tag == "th"]
    assert set(scopes) == {"col"}


async def test_the_page_refreshes_itself() -> None:
    async with client_of(a_view(polled())) as client:
        page = Page((await client.get("/")).text)
    assert [each["content"] for tag, each in page.tags if each.get("http-equiv") == "refresh"]


async def test_no_path_shows_a_token() -> None:
    app = an_app("forbidden")
    try:
        await app.start(polling=False)
        for poller in app.pollers:
            await poller.poll()
        async with client_of(view_of(app)) as client:
            for path in PATHS:
                text = (await client.get(path)).text
                assert not [part for part in (TOKEN, *TOKEN.split(":")) if part in text]
            assert "auth" in (await client.get("/")).text
    finally:
        await app.stop()
