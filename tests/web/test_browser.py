"""The pages in a real headless Chromium, behind a proxy that strips a prefix."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from pearl_exporter.polling.poll_history import Asked, PollFindings, PollRecord
from pearl_exporter.web.endpoints import build_endpoints
from pearl_exporter.web.pages.layout import outbound_path
from tests.web.chromium import Chromium
from tests.web.prefixed import Prefixed
from tests.web.test_endpoints import NOW, a_view, changed, failed, polled, unpolled
from tests.web.test_pages import NASTY_NAMES, settled

LONG = "a-name-without-any-place-to-break-it-" * 4


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    asked = Asked({"new calls": None, "unsettled calls": None}, NOW - 10_000, NOW, 2, 51)
    polls = (PollRecord(NOW, asked, 0.2, PollFindings(new=3)),)
    calls = polled().calls._replace(outcomes=settled({"success": 9}, None, {"error": 3}))
    outbounds = [changed(polled(name), polls=polls, calls=calls) for name in NASTY_NAMES]
    outbounds += [failed(polled(LONG), "auth", "the API answered 401"), unpolled("new")]
    outbounds = [changed(each, outbound_id=str(at)) for at, each in enumerate(outbounds)]
    listening = socket.create_server(("127.0.0.1", 0))
    app = Prefixed(build_endpoints(a_view(*outbounds)), "/pearl")
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/pearl/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    chromium = Chromium()
    yield chromium
    chromium.close()


PATHS = ["?refresh=0", *(outbound_path(name) for name in ("a/b", "..", LONG, "new"))]


@pytest.mark.parametrize("path", PATHS, ids=["all", "a slash", "dots", "failing", "new"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_fits_and_breaks_no_rule(browser, address, path, width, theme):
    browser.open(address + path, width=width, theme=theme)
    assert browser.value("document.documentElement.scrollWidth") <= width
    texts = "[...document.querySelectorAll('p, caption')]"
    ends = browser.value(f"{texts}.map(text => text.getBoundingClientRect().right)")
    assert max(ends) <= width, "a text is cut off"
    faults = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    found = [each for each in browser.events if each["method"] in faults]
    assert [each for each in found if "favicon" not in str(each)] == []
    asked = [
        each["params"]["request"]["url"]
        for each in browser.events
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(address)] == []
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[theme]


@pytest.mark.parametrize("path", ["?refresh=0", outbound_path("a/b")])
def test_tab_reaches_every_link_and_shows_where_it_is(browser, address, path):
    browser.open(address + path)
    links = browser.value("[...document.links].map(link => link.href)")
    reached = []
    for _ in range(len(links) + 2):
        browser.press_tab()
        reached.append(browser.value("document.activeElement.href"))
        if reached[-1]:
            assert browser.value("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached[0].endswith("#main")
    assert set(links) <= set(reached)


def test_a_screen_reader_finds_landmarks_and_named_tables(browser, address):
    browser.open(address + outbound_path("a/b"))
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    found = [
        (each["role"]["value"], each.get("name", {}).get("value", ""))
        for each in nodes
        if not each["ignored"]
    ]
    roles = {role for role, _ in found}
    assert {"main", "navigation", "contentinfo", "heading"} <= roles
    tables = [name for role, name in found if role == "table"]
    assert tables
    assert all(tables)
    assert any(role in ("image", "img") and "Calls counted" in name for role, name in found)


def test_a_browser_finds_each_outbound_by_its_link(browser, address):
    browser.open(address + "?refresh=0")
    links = browser.value("[...document.querySelectorAll('td a')].map(link => link.href)")
    assert len(links) == len(NASTY_NAMES) + 2
    for href in links:
        browser.open(href)
        assert browser.value("document.querySelector('h1').textContent") != "No such outbound"
        assert browser.value("document.querySelector('nav a').href") == address
