"""What the log says of the polls of one outbound: what begins and ends, never each poll anew."""

import logging

from pearl_exporter.api.budget import Demand
from pearl_exporter.api.decode_calls import format_instant
from pearl_exporter.counting.calls import Instant
from pearl_exporter.errors import PollError
from pearl_exporter.reading.plan import PlanState, PollResult

PROGRESS_SECONDS = 10.0
"""How often a long read says how far it has come."""

# under the name of what it tells of
_log = logging.getLogger("pearl_exporter.polling.poller")


class PollLog:
    """Tells of the outbound of this name. Moments are monotonic seconds."""

    def __init__(self, outbound: str) -> None:
        self.outbound = outbound
        self._extra = {"outbound": outbound}
        self._told_of_backlog_at: float | None = None

    def polled(self, rows: int) -> None:
        """A poll succeeded."""
        _log.debug("polled", extra={**self._extra, "rows": rows})

    def bug(self) -> None:
        """A poll met an exception that nobody foresaw; to be called while it is handled."""
        _log.exception("a poll met a bug", extra=self._extra)

    def failed(self, error: PollError, last_reason: str | None) -> None:
        """A poll failed; the one before, if it failed as well, for ``last_reason``."""
        level = logging.DEBUG if last_reason == error.reason else logging.WARNING
        extra = {**self._extra, "reason": error.reason}
        _log.log(level, "poll failed: %s", error, extra=extra)

    def succeeds_again(self) -> None:
        """A poll succeeded after one that failed."""
        _log.info("polls succeed again", extra=self._extra)

    def token_refused(self, outbounds: int) -> None:
        """The API refuses the token of so many outbounds."""
        if outbounds > 1:
            _log.warning(
                "the API refuses the token of %d outbounds: one at a time tries it again, ever "
                "less often, the others wait",
                outbounds,
                extra=self._extra,
            )

    def token_taken(self, outbounds: int) -> None:
        """The API takes it again."""
        if outbounds > 1:
            _log.info(
                "the API takes the token again: its %d outbounds go on",
                outbounds,
                extra=self._extra,
            )

    def other_buckets(self) -> None:
        """The durations that were saved have other buckets than are configured now."""
        _log.warning(
            "metrics.duration_buckets changed: the histogram of durations starts anew",
            extra=self._extra,
        )

    def skew(self, text: str) -> None:
        """The API's clock differs from this machine's."""
        _log.warning("%s; going by the API's", text, extra=self._extra)

    def progress(self, received: int, expected: int, *, told_at: float, now: float) -> float:
        """A long read has come so far; gives when that was last told."""
        if now - told_at < PROGRESS_SECONDS:
            return told_at
        _log.info("reading: %d of %d calls", received, expected, extra=self._extra)
        return now

    def catching_up(self, reading: PollResult, now: float) -> None:
        """Says how far the calls of an outage are counted, while there are any left."""
        told_at, unread = self._told_of_backlog_at, reading.observation.unread
        if unread is not None and (told_at is None or now - told_at >= PROGRESS_SECONDS):
            start, end = map(format_instant, unread)
            _log.info(
                "catching up: calls that started from %s to %s are still to be read",
                start,
                end,
                extra=self._extra,
            )
            self._told_of_backlog_at = now
        elif unread is None and told_at is not None:
            _log.info("caught up", extra=self._extra)
            self._told_of_backlog_at = None

    def turning_back(self, now: Instant, polled_at: Instant | None) -> None:
        """Says that the last poll was of a moment after this one, if it was."""
        if polled_at is not None and now < polled_at:
            _log.warning(
                "the last poll was of a time yet to come, %.0f s from now: what it passed over is "
                "read again, nothing counts twice",
                (polled_at - now) / 1000,
                extra=self._extra,
            )

    def oddities(self, memory: PlanState, before: PlanState) -> None:
        """Says what the API was found to do unlike its documentation."""
        if memory.by_offset and not before.by_offset:
            _log.info(
                "the API ignores the order or end asked for: reading by offset", extra=self._extra
            )
        if memory.ignores_statuses and not before.ignores_statuses:
            _log.info("the API ignores the filter by statuses: going without", extra=self._extra)


def log_budget(demand: Demand, allowed: float) -> None:
    """Says, once, if the outbounds of one token need more requests a second than are allowed."""
    if not demand.should_log(allowed):
        return
    _log.warning(
        "api.rate_limit is too low: the polls with one token need %s %.1f requests a second, "
        "%g are allowed, so polls come late, each outbound in its turn; make poll.interval longer, "
        "or raise api.rate_limit if your account allows it",
        "about" if demand.is_known else "at least",
        demand.needed,
        allowed,
    )
