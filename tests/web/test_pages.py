"""The pages for people: what they say, and that no text from elsewhere becomes HTML."""

import asyncio
import base64
import dataclasses
import gzip
import hashlib
import html
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import quote, urljoin

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pearl_exporter.api.budget import Budget
from pearl_exporter.counting.outcome_history import MAX_STEPS, STEP_MS, OutcomeHistory
from pearl_exporter.errors import Reason
from pearl_exporter.polling.poll_health import Health
from pearl_exporter.polling.poll_history import Asked
from pearl_exporter.polling.snapshot import OutboundSnapshot, PollTimings, ReadProgress
from pearl_exporter.reading.search import Search
from pearl_exporter.web.endpoints import build_endpoints
from pearl_exporter.web.pages import routes as pages
from pearl_exporter.web.pages.charts import in_words, last_hours, sparkline
from pearl_exporter.web.pages.failure_reasons import NAMES, NEXT_STEPS, next_step
from pearl_exporter.web.pages.formatting import until
from pearl_exporter.web.pages.layout import outbound_path
from pearl_exporter.web.pages.outbound_page import render_outbound
from pearl_exporter.web.pages.overview_page import render_overview
from pearl_exporter.web.pages.rendering import CONTENT_SECURITY_POLICY, STYLE
from tests.web.prefixed import Prefixed
from tests.web.test_endpoints import NOW, a_view, client_of, failed, polled, unpolled

NASTY_NAMES = [
    "a/b",
    "a?b=c#d",
    "two words",
    "\"quotes' & <b>",
    "مهتم",
    "🔥",
    "..",
    ".",
    "a/../b",
    "a\\b",
    "..a",
    "%2F",
    "//evil.example",
]


def tags_of(text: str) -> set[str]:
    found: set[str] = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _attrs: found.add(tag)  # type: ignore[method-assign]
    parser.feed(text)
    return found


def test_each_reason_has_a_sentence_that_says_when():
    assert set(NEXT_STEPS) == set(Reason)
    for reason in Reason:
        assert "in 4 min" in next_step(reason, "in 4 min")


@pytest.mark.parametrize("reason", Reason)
def test_the_page_says_what_is_done_next_about_an_error(reason):
    text = render_outbound(failed(polled(), reason, "why"), 240.0, NOW)
    assert next_step(reason, "in 4 min") in html.unescape(text)


def test_each_reason_has_words_beside_its_code():
    assert set(NAMES) == set(Reason)
    outbound = failed(polled(), "not_found", "the API answered 404")
    for text in (render_overview((outbound,), {}, NOW), render_outbound(outbound, 1.0, NOW)):
        assert "no such outbound (not_found)" in text


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("bad_response", ["firewall", "proxy", "api.url", "can't be used"]),
        ("inconsistent", ["UTC", "poll.max_unreadable", "poll.window", "pearl-exporter check"]),
    ],
)
def test_it_says_what_an_operator_can_do_about_odd_answers(reason, words):
    assert all(word in next_step(reason, "now") for word in words)


@pytest.mark.parametrize("reason", Reason)
def test_it_is_never_the_api_that_asks_again(reason):
    assert "It asks again" not in next_step(reason, "now")


@pytest.mark.parametrize("name", NASTY_NAMES)
async def test_an_outbound_is_found_by_its_link_whatever_its_name(name):
    async with client_of(a_view(polled(name), unpolled("b"))) as client:
        answer = await client.get(f"/{outbound_path(name)}")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("prefix", ["", "/pearl", "/a/b"])
async def test_every_link_works_behind_a_proxy_that_strips_a_prefix(prefix):
    """From the overview, from each outbound's page however it was addressed, and from a 404."""
    view = a_view(*(polled(name) for name in NASTY_NAMES))
    root = f"http://proxy{prefix}/"
    pages = [root, f"{root}?refresh=0", f"{root}outbounds/no/such", f"{root}outbounds/no%2Fsuch"]
    for name in NASTY_NAMES:
        pages += [f"{root}{outbound_path(name)}", f"{root}outbounds/?name={quote(name, safe='')}"]
    pages += [f"{root}outbounds/a%2Fb"]
    transport = httpx.ASGITransport(Prefixed(build_endpoints(view), prefix))
    found = set()
    async with httpx.AsyncClient(transport=transport) as client:
        for page in pages:
            text = (await client.get(page)).text
            links = [html.unescape(each) for each in re.findall(r'href="([^"#]+)"', text)]
            assert links
            assert not [each for each in links if each.startswith("/") or ":" in each]
            found |= {urljoin(page, each) for each in links}
        assert found >= {root, f"{root}metrics"}
        for link in found:
            answer = await client.get(link)
            assert answer.status_code == 200, link
            assert "No such outbound" not in answer.text


@pytest.mark.parametrize("path", ["", "B", "b/", "b%00", "?name=c", "%2e%2e/b"])
async def test_another_name_is_not_found(path):
    async with client_of(a_view(polled("b"))) as client:
        answer = await client.get(f"/outbounds/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


async def test_the_policy_allows_this_style_alone():
    async with client_of(a_view(polled())) as client:
        text = (await client.get("/")).text
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert " style=" not in text
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in CONTENT_SECURITY_POLICY


async def test_the_refresh_can_be_stopped_and_goes_on():
    async with client_of(a_view(polled(".."))) as client:
        stopped = (await client.get("/outbounds/", params={"name": "..", "refresh": "0"})).text
        going = (await client.get("/outbounds/", params={"name": ".."})).text
    assert 'http-equiv="refresh"' not in stopped
    assert 'href="../outbounds/?name=..&amp;refresh=1"' in stopped
    assert 'http-equiv="refresh"' in going


@pytest.mark.parametrize("path", ["/", "/outbounds/a", "/outbounds/b"])
@pytest.mark.parametrize("wanted", ["gzip", "identity"])
async def test_a_page_is_compressed_for_clients_that_accept_it(path, wanted):
    async with client_of(a_view(polled("a"))) as client:
        stream = client.stream("GET", path, headers={"Accept-Encoding": wanted})
        async with stream as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == ("gzip" if wanted == "gzip" else None)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = gzip.decompress(raw) if wanted == "gzip" else raw
    assert text.startswith(b"<!doctype html>")


async def test_the_page_is_drawn_once_a_second_however_many_look_at_it(monkeypatch):
    drawn = []
    monkeypatch.setattr(pages, "render_overview", lambda *_, **how: drawn.append(how) or "page")
    moment = NOW
    view = dataclasses.replace(a_view(polled()), now=lambda: moment)
    async with client_of(view) as client:
        await asyncio.gather(*(client.get("/") for _ in range(5)))
        assert [each["reloads"] for each in drawn] == [True]
        await client.get("/?refresh=0")
        assert [each["reloads"] for each in drawn] == [True, False]
        moment += 999
        await client.get("/")
        assert len(drawn) == 2
        moment += 1
        await client.get("/")
        assert len(drawn) == 3
        moment -= 60_000
        await client.get("/")
        assert len(drawn) == 4, "a clock that stepped back shows no old page"


@pytest.mark.parametrize(
    ("rate", "said"),
    [(2.5, "they may ask 2.5 times a second, of 10 as configured"), (0.0, "Right now they pause")],
)
async def test_a_slowed_down_outbound_names_its_present_rate(rate, said):
    outbound = failed(polled(), "rate_limited", "429")
    budgets = {outbound.outbound_id: Budget(rate, 10.0, 0, is_refused=False)}
    view = dataclasses.replace(a_view(outbound), budget_of=budgets.get)
    async with client_of(view) as client:
        assert said in (await client.get(outbound_path(outbound.name))).text


async def test_a_first_poll_whose_requests_fail_says_so():
    outbound = replace(polled(), health=Health(interval_seconds=60.0))
    trouble = Budget(2.0, 2.0, 0, is_refused=False, trouble="no connection to <there>")
    budgets = {outbound.outbound_id: trouble}
    view = dataclasses.replace(a_view(outbound), budget_of=budgets.get)
    async with client_of(view) as client:
        text = (await client.get(outbound_path(outbound.name))).text
    assert '<p class="dim">Waiting for its first poll</p>' in text
    assert "A request failed, and is sent again: no connection to &lt;there&gt;." in text


def test_the_settings_shown_are_those_in_force():
    spans = PollTimings(interval=20.0, idle_interval=90.0, settle=700.0, settle_unanswered=45.0)
    outbound = replace(polled(), spans=spans, health=Health(interval_seconds=60.0))
    text = render_outbound(outbound, 1.0, NOW)
    shown = dict(re.findall(r'<th scope="row">([^<]+)</th><td>([^<]+)</td>', text))
    wanted = {
        "Window": "1h",
        "Interval, configured": "20s",
        "Interval, in force": "1m",
        "Interval while idle, up to": "1m30s",
        "Settle, answered": "11m40s",
        "Settle, unanswered": "45s",
        "Too old after": "5m",
    }
    assert {key: shown.get(key) for key in wanted} == wanted


def test_outbounds_are_not_missed_before_discovery_answers():
    assert "No outbound is polled" not in render_overview((), {}, NOW, is_discovering=True)


def test_last_success_after_a_restart_is_the_saved_one():
    saved = polled().calls._replace(polled_at=NOW - 200_000)
    outbound = failed(replace(unpolled(), calls=saved), "connection", "refused")
    for text in (render_overview((outbound,), {}, NOW), render_outbound(outbound, 1.0, NOW)):
        assert "3 min ago, before the restart" in text
    assert "Last success: never." in render_outbound(unpolled(), 1.0, NOW)


def test_the_pages_say_how_far_a_long_read_has_come():
    first = replace(unpolled("new"), read_progress=ReadProgress(4_257, 23_898))
    again = replace(failed(polled("old"), "timeout", "none"), read_progress=ReadProgress(1, 2))
    text = render_overview((first,), {}, NOW)
    assert "first read: 4,257 of 23,898 calls" in text
    assert "no poll failing, 1 yet to be read for the first time since the start." in text
    assert "reading everything again: 1 of 2 calls" in render_overview((again,), {}, NOW)
    assert "<p>First read: 4,257 of 23,898 calls.</p>" in render_outbound(first, 0.0, NOW)
    assert "read: " not in render_overview((unpolled(),), {}, NOW)


def test_what_is_due_within_half_a_second_is_due_now():
    assert [until(each) for each in (None, -1.0, 0.4, 0.6)] == ["–", "now", "now", "in 1 s"]


def test_the_failing_come_first_then_by_name():
    outbounds = (polled("b"), polled("a"), failed(polled("z"), "auth", "no"), unpolled("u"))
    text = render_overview(outbounds, {}, NOW)
    places = [text.index(f"<bdi>{name}</bdi>") for name in "zuab"]
    assert places == sorted(places)


@given(name=st.text(min_size=1), message=st.text(), tag=st.text())
def test_no_text_from_elsewhere_becomes_an_element(name, message, tag):
    plain = failed(polled("plain"), "auth", "plain")
    outbound = failed(polled(name), "auth", f"<img src=x>{message}")
    window = outbound.calls.window
    assert window is not None
    calls = outbound.calls._replace(window=window._replace(by_tag={f"<script>{tag}": 1}))
    outbound = replace(outbound, calls=calls, labels={"team": f'"><iframe {tag}>'})
    known = tags_of(render_outbound(plain, 1.0, NOW)) | tags_of(render_overview((plain,), {}, NOW))
    assert tags_of(render_outbound(outbound, 1.0, NOW)) <= known
    assert tags_of(render_overview((outbound,), {}, NOW)) <= known


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def themes() -> list[dict[str, str]]:
    """The colours by their use, of the light and of the dark theme."""
    blocks = re.findall(r":root {([^}]+)}", STYLE)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for block in blocks]


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["bg", "panel"])
@pytest.mark.parametrize("use", ["fg", "dim", "link", "bad", "good"])
def test_text_stands_out_from_its_ground(theme, ground, use):
    lighter, darker = sorted((luminance(theme[use]), luminance(theme[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


# --- what is remembered


def test_a_poll_remembers_what_it_asked_and_got():
    asked = Asked()
    asked.note("new calls", Search(5, 9, 0, 10))
    asked.note("unsettled calls", Search(2, 4, 0, 10))
    asked.answer(SimpleNamespace(received=3))  # type: ignore[arg-type]
    assert (asked.start, asked.end, asked.requests, asked.rows) == (2, 9, 1, 3)
    assert list(asked.purposes) == ["new calls", "unsettled calls"]


def settled(*steps: dict[str, int] | None) -> OutcomeHistory:
    """Calls by outcome in the steps up to the present one; None for one without a good poll."""
    history = OutcomeHistory()
    for ago, calls in zip(range(len(steps) - 1, -1, -1), steps, strict=True):
        if calls is not None:
            history = history.counted(calls, NOW - ago * STEP_MS, is_contiguous=False)
    return history


def drawn(outbound: OutboundSnapshot) -> tuple[dict[str, str], str]:
    """The outlines by their kinds, and the words."""
    hours = last_hours(outbound, NOW)
    chart = sparkline(hours, NOW, outbound.name)
    text = render_outbound(outbound, 1.0, NOW)
    shapes = dict(re.findall(r'<path class="(\w+)" d="([^"]+)"', text))
    assert shapes.pop("base") == f"M0 {chart.baseline}H{chart.width}"
    assert shapes == {shape.css_class: shape.path for shape in chart.shapes}
    return shapes, in_words(hours)


def edges(path: str) -> list[int]:
    """The height of the line, and that of each step."""
    (line,) = re.findall(r"^M\d+ (\d+)", path)
    return [int(line), *map(int, re.findall(r"V(\d+)h1", path))]


def with_hours(*steps: dict[str, int] | None) -> OutboundSnapshot:
    outbound = polled()
    calls = outbound.calls._replace(outcomes=settled(*steps), polled_at=NOW)
    return replace(outbound, calls=calls)


def test_error_and_unreachable_hang_below_the_line():
    shapes, words = drawn(with_hours({"success": 6}, {"success": 2, "error": 1, "unreachable": 1}))
    line, *above = edges(shapes["bar"])
    same_line, *below = edges(shapes["low"])
    heights = [line - edge for edge in above], [edge - same_line for edge in below]
    assert same_line == line
    assert heights[0][0] == pytest.approx(3 * heights[0][1], abs=2)
    assert heights[1][0] == 0
    assert heights[1][1] == pytest.approx(heights[0][1], abs=1) != 0
    assert words.startswith("10 in the last 10m, 2 of them error or unreachable, at most 6")


def test_one_step_far_above_the_others_does_not_flatten_them():
    shapes, words = drawn(with_hours(*[{"success": 10}] * 30, {"success": 900}))
    line, usual, *_, top = edges(shapes["bar"])
    assert line - top == pytest.approx(1.5 * (line - usual), abs=1)
    assert "at most 900" in words


def test_a_time_without_a_good_poll_is_a_gap_and_not_a_zero():
    shapes, words = drawn(with_hours({"success": 1}, {}, None, {"success": 1}))
    line, *bars = edges(shapes["bar"])
    _, *gaps = edges(shapes["gap"])
    assert [edge != line for edge in bars] == [True, False, False, True]
    assert [edge != line for edge in gaps] == [False, False, True, False]
    assert "1 step without a good poll" in words


def test_steps_since_a_missed_poll_are_gaps():
    """A step after the last good poll is a gap as soon as a poll was due in it."""
    outbound = with_hours({"success": 1}, {"success": 1})
    later = NOW + 3 * STEP_MS
    assert last_hours(outbound, later).gaps == 3
    idle = replace(outbound, health=replace(outbound.health, interval_seconds=1800.0))
    assert last_hours(idle, later).gaps == 0
    assert last_hours(failed(idle, "timeout", "none came"), later).gaps == 3
    day_later = last_hours(outbound, NOW + 86_400_000)
    assert (day_later.steps, day_later.gaps) == ([], MAX_STEPS)
    assert last_hours(unpolled(), NOW).minutes == 0
