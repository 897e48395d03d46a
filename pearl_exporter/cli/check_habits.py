"""What ``check`` finds out about an API's habits: how it sorts, counts, filters and names times."""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from pearl_exporter.api.clock import TOLERATED_SKEW_SECONDS, ApiClock
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.app import App
from pearl_exporter.cli.wait_notices import notices_while_waiting
from pearl_exporter.config import OutboundSettings, TokenSource
from pearl_exporter.errors import ApiError, BadRequestError
from pearl_exporter.polling.clock_evidence import ClockVerdict
from pearl_exporter.polling.plan_runner import decide_clock, drive
from pearl_exporter.reading.habits import LONG_AGO, Judgement, try_habits
from pearl_exporter.reading.search import Page, Search


class Finding(NamedTuple):
    """What the API answered about the calls of one outbound's window.

    Attributes:
        outbound: The outbound.
        search: What was asked.
        asked_at: The monotonic second at which it was asked.
        page: The answer; None if there was none.
        error: Why there was none.
        clock: What the outbound's calls say about clocks that are far apart; None if nobody asked.
    """

    outbound: OutboundSettings
    search: Search
    asked_at: float
    page: Page | None = None
    error: ApiError | None = None
    clock: ClockVerdict | None = None

    @property
    def calls(self) -> int | None:
        """How many calls the window holds."""
        return None if self.page is None else self.page.count


def busiest(findings: Iterable[Finding]) -> list[Finding]:
    """Return for each token the outbound with the most calls in its window."""
    best: dict[TokenSource, Finding] = {}
    for finding in findings:
        token, calls = finding.outbound.token, finding.calls
        if calls is not None and (token not in best or calls > (best[token].calls or 0)):
            best[token] = finding
    return list(best.values())


class Trial:
    """Asks what a check has to know: about windows, clocks and habits.

    Args:
        app: The application that sends the requests.
        notice_seconds: How often to say what the command waits for.
    """

    def __init__(self, app: App, notice_seconds: float) -> None:
        self._app = app
        self._notice_seconds = notice_seconds

    async def window(self, outbound: OutboundSettings, limit: int = 1) -> Finding:
        """Ask for the newest calls of an outbound's window, by the clock that is gone by."""
        now, asked_at = self._app.api_clock.now(), self._app.clock.monotonic()
        search = Search(now - round(outbound.window * 1000), now, skip=0, limit=limit)
        try:
            page = await self._asking(outbound)(search)
        except ApiError as error:
            return Finding(outbound, search, asked_at, error=error)
        return Finding(outbound, search, asked_at, page)

    async def by_the_right_clock(self, finding: Finding) -> Finding:
        """Let calls decide between clocks that are far apart, as polls do; ask again if need be.

        It takes at most three requests. The last of them is the first one of `habits` as well.
        """
        if finding.error is not None:
            return finding
        outbound, limit = finding.outbound, self._app.settings.api.page_size
        try:
            verdict = await decide_clock(
                self._app.api_clock, outbound.name, limit, self._asking(outbound)
            )
        except ApiError as error:
            return finding._replace(page=None, error=error)
        verdict = verdict or finding.clock
        if self._is_outdated(finding):
            finding = await self.window(outbound, limit)
        return finding._replace(clock=verdict)

    def _is_outdated(self, finding: Finding) -> bool:
        """Return whether the present that was asked by has turned out to be wrong."""
        elapsed_ms = (self._app.clock.monotonic() - finding.asked_at) * 1000
        moved_ms = self._app.api_clock.now() - finding.search.end - elapsed_ms
        return abs(moved_ms) > TOLERATED_SKEW_SECONDS * 1000

    async def habits(self, finding: Finding) -> list[Judgement]:
        """Return the habits of the API, found out with at most seven requests about one outbound.

        Args:
            finding: The outbound, and what was answered about it so far.

        Raises:
            ApiError: A request failed.
        """
        if finding.error is not None:
            raise finding.error
        settings, ask = self._app.settings, self._asking(finding.outbound)

        async def ask_once(search: Search) -> Page:
            if finding.page is not None and search == finding.search:
                return finding.page
            try:
                return await ask(search)
            except BadRequestError:
                if search.start != LONG_AGO:
                    raise
                return Page(0, ())  # dates so long ago may be refused: polls ask for none

        steps = try_habits(
            finding.search.start,
            finding.search.end,
            settings.api.page_size,
            max_unreadable=settings.poll.max_unreadable,
        )
        return await drive(steps, ask_once)

    def _asking(self, outbound: OutboundSettings) -> Callable[[Search], Awaitable[Page]]:
        client = self._app.clients[outbound.token]

        async def ask(search: Search) -> Page:
            deadline = Deadline(outbound.give_up, retries=False)
            async with notices_while_waiting(
                self._app, lambda: outbound.name, self._notice_seconds
            ):
                return await client.search(outbound.id, search, deadline)

        return ask


def clock_note(api_clock: ApiClock, findings: Iterable[Finding]) -> str | None:
    """Return which clock is used, and why, in words; None if the clocks do not differ."""
    if abs(api_clock.skew_seconds) <= TOLERATED_SKEW_SECONDS:
        return None
    verdicts = [each.clock for each in findings if each.clock is not None]
    decided = [each for each in verdicts if each.is_other_right is not None] or verdicts
    if not decided:
        why = "allowed for" if api_clock.is_header_used else "this machine's is used"
    else:
        why = _because(decided[-1])
    return f"{api_clock.skew_text}: {why}"


def _because(verdict: ClockVerdict) -> str:
    doubt, is_other_right = verdict
    if is_other_right is None:
        return "no call shows which clock is right, so this machine's is used"
    right, wrong = "the API's", "this machine's"
    if is_other_right is not doubt.is_other_header:
        right, wrong = wrong, right
    is_later_right = is_other_right is (doubt.other > doubt.used)
    cause = (
        f"some calls start in the future by {wrong}"
        if is_later_right
        else f"the newest row is nearer to {right}"
    )
    return f"{cause}, so {right} is used"
