"""What the log says of one outbound's polls: what begins and ends, never the same thing each poll.

Each line has a stable text; names and figures are in its fields.
"""

import logging

from pearl_exporter.api.decode_calls import format_instant
from pearl_exporter.counting.calls import Instant
from pearl_exporter.errors import PollError, Reason
from pearl_exporter.polling.outcome import PollOutcome, PollSuccess
from pearl_exporter.reading.contradictions import MAX_UNREADABLE, RowSums, tolerated, unusable_text
from pearl_exporter.reading.plan import PlanState, PollResult
from pearl_exporter.reading.range_read import OffsetCause

PROGRESS_SECONDS = 10.0
"""How often a long read logs how far it has come."""

MANY_MISSED_SECONDS = 600.0
"""How often the log says that many calls went missing at once."""

_READ_BY_OFFSET = {
    OffsetCause.ORDER: "the API ignores the order asked for, reading by offset",
    OffsetCause.END: "the API ignores the end asked for, reading by offset",
    OffsetCause.DATES: "the API cuts the end asked for to a coarser date, reading by offset",
}

_log = logging.getLogger(__name__)


class PollLog:
    """Logs the polls of one outbound. Moments are monotonic seconds."""

    def __init__(self, outbound: str) -> None:
        self.outbound = outbound
        self._extra = {"outbound": outbound}
        self._backlog_logged_at: float | None = None
        self._many_missed_logged_at: float | None = None
        self._is_missing_logged = False
        self._has_unreadable = False
        self._has_unusable = False
        self._has_outside = False
        self._is_probe_refused = False

    def ended(
        self,
        outcome: PollOutcome,
        *,
        last_reason: Reason | None,
        polled_at: Instant | None,
        now: float,
    ) -> None:
        """Log what came of a poll.

        Args:
            outcome: What came of it.
            last_reason: Why the poll before it failed; None if it succeeded.
            polled_at: T of the last good poll before it.
            now: The present.
        """
        if outcome.error is not None:
            self._failed(outcome.error, last_reason)
        if outcome.success is not None:
            self._succeeded(outcome.success, last_reason, polled_at, now)

    def damaged_signals(self) -> None:
        """Log that what was learned of usual shares can't be read, and is learned again."""
        _log.warning(
            "the saved usual shares are damaged, so they are learned again; no counter is lost",
            extra=self._extra,
        )

    def _failed(self, error: PollError, last_reason: Reason | None) -> None:
        level = logging.DEBUG if last_reason == error.reason else logging.WARNING
        extra = {**self._extra, "reason": error.reason.value, "error": str(error)}
        _log.log(level, "poll failed", extra=extra)

    def _succeeded(
        self,
        success: PollSuccess,
        last_reason: Reason | None,
        polled_at: Instant | None,
        now: float,
    ) -> None:
        if polled_at is not None and success.polled_at < polled_at:
            _log.warning(
                "clock went back: re-reading that span, calls already counted are not counted "
                "again",
                extra={**self._extra, "seconds": round((polled_at - success.polled_at) / 1000)},
            )
        if last_reason is not None:
            _log.info("polls succeed again", extra=self._extra)
        self._catching_up(success.unread, now)
        if polled_at is None or success.polled_at >= polled_at:
            # after a step back, calls that start later than T are looked for too early
            self._missed(success, now)
        _log.debug("polled", extra={**self._extra, "rows": success.rows})

    def _catching_up(self, unread: tuple[Instant, Instant] | None, now: float) -> None:
        """Log how far the calls of an outage are counted, while there are any left."""
        logged_at = self._backlog_logged_at
        if unread is not None and (logged_at is None or now - logged_at >= PROGRESS_SECONDS):
            start, end = map(format_instant, unread)
            _log.info(
                "catching up: calls that started in this span are still to be read",
                extra={**self._extra, "start": start, "end": end},
            )
            self._backlog_logged_at = now
        elif unread is None and logged_at is not None:
            _log.info("caught up", extra=self._extra)
            self._backlog_logged_at = None

    def _missed(self, success: PollSuccess, now: float) -> None:
        """Log that many calls went missing at once, and later that none is missing any more."""
        logged_at = self._many_missed_logged_at
        if success.many_missed is not None:
            if logged_at is not None and now - logged_at < MANY_MISSED_SECONDS:
                return  # a balancer may have many missing in every other poll
            missed, expected = success.many_missed
            _log.warning(
                "the API does not list many of the calls that it listed before: they are kept as "
                "missing until a later read misses them again"
                if missed < expected
                else "the API lists none of the calls that it listed before: they are kept as "
                "missing until a later read misses them again",
                extra={**self._extra, "missing": missed, "expected": expected},
            )
            self._many_missed_logged_at, self._is_missing_logged = now, True
        elif self._is_missing_logged and not success.calls.missing:
            _log.info("no call is missing any more", extra=self._extra)
            self._is_missing_logged = False

    def probe_refused(self) -> None:
        """Log, once, that the API refuses the range by which others are checked."""
        if not self._is_probe_refused:
            _log.warning(
                "the API refuses a range that is wider than the window, so nothing shows whether "
                "it takes fromDate and toDate for UTC",
                extra=self._extra,
            )
        self._is_probe_refused = True

    def internal_error(self) -> None:
        """Log an exception that is a bug; to be called while it is handled."""
        _log.exception("internal error in a poll", extra=self._extra)

    def other_buckets(self) -> None:
        """Log that the saved durations have other buckets than are configured now."""
        _log.warning(
            "metrics.duration_buckets changed: the histogram of durations starts again",
            extra=self._extra,
        )

    def progress(self, received: int, expected: int, *, logged_at: float, now: float) -> float:
        """Log how far a long read has come, if that was not logged lately.

        Args:
            received: Calls read so far.
            expected: Calls that the API counts.
            logged_at: When progress was last logged.
            now: The present.

        Returns:
            When progress was last logged.
        """
        if now - logged_at < PROGRESS_SECONDS:
            return logged_at
        extra = {**self._extra, "received": received, "expected": expected}
        _log.info("reading calls", extra=extra)
        return now

    def oddities(self, result: PollResult, before: PlanState) -> None:
        """Log how the API was found to differ from its documentation.

        Args:
            result: What this poll read, and what its plan leaves to the next.
            before: What the last poll's plan left to this one.
        """
        state, cause = result.state, result.state.offset_cause
        if state.by_offset and not before.by_offset and cause is not None:
            _log.info(_READ_BY_OFFSET[cause], extra=self._extra)
        if state.is_count_useless and not before.is_count_useless:
            _log.warning(
                "the API counts fewer calls than it lists, reading the whole window each poll",
                extra=self._extra,
            )
        if state.ignores_statuses and not before.ignores_statuses:
            _log.info(
                "the API ignores the filter by statuses or leaves calls out, searching without it",
                extra=self._extra,
            )
        self._unreadable(state.unreadable_count)
        self._unusable(result.rows)
        # a server that ignores or cuts the end sends such rows as well, and that has its own line
        if cause not in (OffsetCause.END, OffsetCause.DATES):
            self._outside(result.rows, is_whole=result.scanned)

    def _unreadable(self, rows: int) -> None:
        """Log that rows are counted which can't be read: once when it begins, and when it ends."""
        if rows and not self._has_unreadable:
            _log.warning(
                "the API counts calls that can't be read",
                extra={**self._extra, "rows": rows},
            )
        elif self._has_unreadable and not rows:
            _log.info("all calls that the API counts can be read again", extra=self._extra)
        self._has_unreadable = rows > 0

    def _unusable(self, rows: RowSums) -> None:
        """Log that many rows have unusable fields, once when it begins, and when it ends."""
        if rows.is_notable and not self._has_unusable:
            _log.warning(
                "many rows of the API can't be used as they are: has it changed?",
                extra={**self._extra, "rows": unusable_text(rows)},
            )
        elif self._has_unusable and not rows.unusable:
            _log.info("the rows of the API can be used again", extra=self._extra)
        # less than notable, but not none, is neither a begin nor an end
        self._has_unusable = rows.is_notable or (self._has_unusable and rows.unusable > 0)

    def _outside(self, rows: RowSums, *, is_whole: bool) -> None:
        """Log that rows come that were not asked for, once when it begins, and when it ends.

        Args:
            rows: How many rows came, and how many of them start outside the range asked for.
            is_whole: Whether all of the window was read; a few pages may show none by chance.
        """
        if rows.outside > tolerated(rows.received, MAX_UNREADABLE) and not self._has_outside:
            _log.warning(
                "the API sends calls from outside the range asked for, leaving them out",
                extra={**self._extra, "rows": rows.outside},
            )
            self._has_outside = True
        elif self._has_outside and is_whole and not rows.outside:
            _log.info("the API keeps to the range asked for again", extra=self._extra)
            self._has_outside = False
