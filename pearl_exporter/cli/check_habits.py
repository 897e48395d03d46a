"""What ``check`` finds out about an API's habits: how it sorts, counts, filters and names times."""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.app import App
from pearl_exporter.cli.wait_notices import notices_while_waiting
from pearl_exporter.config import OutboundSettings, TokenSource
from pearl_exporter.counting.calls import Instant
from pearl_exporter.polling.plan_runner import drive
from pearl_exporter.reading.habits import DAY_MS, Judgement, nearer_clock, try_habits
from pearl_exporter.reading.search import Page, Search

MAX_BELIEVED_SKEW_SECONDS = 300.0
"""If the clocks differ by more, rows decide which of them is right."""

_MINUTE_MS = 60_000


class Present(NamedTuple):
    """The present at the API, and why this clock is used, in words."""

    now: Instant
    because: str


def busiest(calls: Iterable[tuple[OutboundSettings, int | None]]) -> list[OutboundSettings]:
    """Return for each token the outbound with the most calls.

    Args:
        calls: Outbounds with the number of calls in their windows, None if it is not known.
    """
    best: dict[TokenSource, tuple[int, OutboundSettings]] = {}
    for outbound, count in calls:
        if count is not None and (outbound.token not in best or count > best[outbound.token][0]):
            best[outbound.token] = (count, outbound)
    return [outbound for _, outbound in best.values()]


async def believed_present(app: App, outbound: OutboundSettings, notice_seconds: float) -> Present:
    """Return the present by the clock that rows bear out.

    Clocks that differ by minutes cost one request, for the newest row of the last day.

    Args:
        app: The application that sends the request.
        outbound: The outbound that is asked about.
        notice_seconds: How often to say what the command waits for.

    Raises:
        ApiError: The request failed.
    """
    skew_seconds = app.api_clock.skew_seconds
    if abs(skew_seconds) <= MAX_BELIEVED_SKEW_SECONDS:
        return Present(app.api_clock.now(), "allowed for")
    local = round(app.clock.wall() * 1000)
    api = round(local - skew_seconds * 1000)
    first, last = min(local, api), max(local, api)
    ask = _asking(app, outbound, notice_seconds)
    page = await ask(Search(first - DAY_MS, last + _MINUTE_MS, 0, 1))
    newest = max((call.start for call in page.calls), default=None)
    now = nearer_clock(newest, local, api)
    which = "the API's" if now == api else "this machine's"
    cause = "there is no row" if newest is None else f"the newest row is nearer to {which}"
    return Present(now, f"{cause}, so {which} is used")


async def ask_habits(
    app: App, outbound: OutboundSettings, now: Instant, notice_seconds: float
) -> list[Judgement]:
    """Return the habits of the API, found out with at most seven requests about one outbound.

    Args:
        app: The application that sends the requests.
        outbound: The outbound that is asked about.
        now: The present at the API.
        notice_seconds: How often to say what the command waits for.

    Raises:
        ApiError: A request failed.
    """
    start = now - round(outbound.window * 1000)
    page_size, unreadable = app.settings.api.page_size, app.settings.poll.max_unreadable
    steps = try_habits(start, now, page_size, max_unreadable=unreadable)
    return await drive(steps, _asking(app, outbound, notice_seconds))


def _asking(
    app: App, outbound: OutboundSettings, notice_seconds: float
) -> Callable[[Search], Awaitable[Page]]:
    client = app.clients[outbound.token]

    async def ask(search: Search) -> Page:
        deadline = Deadline(outbound.give_up, retries=False)
        async with notices_while_waiting(app, lambda: outbound.name, notice_seconds):
            return await client.search(outbound.id, search, deadline)

    return ask
