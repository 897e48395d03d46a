"""One call: what happens to it and when, and what the API says of it at a given moment.

A call's whole life is decided when it is generated; the methods with ``at_ms`` only look up how far
it has come. Moments are epoch milliseconds::

    start     queued      talk        end         written     tagged    late_change.at_ms
    |         |           |           |           |           |         |
    new       in queue    on call     over:       outcome     tags      other outcome,
    (1)       (20)        (40)        state and                         duration or tags
                                      duration

``appear`` (start or later) and ``deleted`` say when the API serves the row at all. What is not
needed to find a row (its id, its numbers, the spelling of its time) is worked out from the call's
number when the row is shown, see `pearl_exporter.simulator.row_writer`: a million calls must fit in
memory.
"""

import msgspec

NEVER = 1 << 62
"""A moment that does not come."""

NEW, IN_CALL_QUEUE, ON_CALL = 1, 20, 40
"""Outcomes (``conversationStatus``) of calls that are going on."""

IN_PROGRESS, CANCELED = 3, 8
"""Telephony states (``status``)."""

Tags = tuple[str, ...] | None


class LateChange(msgspec.Struct, frozen=True, gc=False):
    """Other values that a row has from ``at_ms`` on, long after its outcome was written."""

    at_ms: int
    outcome: int
    duration: int
    tags: Tags


class CallLife(msgspec.Struct, gc=False, eq=False):
    """A call from its start to its last change.

    Attributes:
        number: The call's number in its campaign.
        lead: The number of the person that it calls; a lead may be called several times.
        start: When the call starts; rows are ordered and searched by it.
        appear: From when on the API serves the row.
        queued: When outcome 1 becomes 20.
        talk: When outcome 20 becomes 40.
        end: When the call is over; telephony state and duration are there.
        written: When the outcome is there.
        tagged: When the tags are there.
        outcome: The final ``conversationStatus``, but for a late change.
        call_status: The final ``status``, the telephony state.
        duration: The final duration, in seconds.
        tags: The final tags.
        time_format: How ``startTime`` is spelled; see `row_writer.start_time`.
        early_cancel: Whether the telephony state is CANCELED while the call is in the queue.
        late_change: Other values from a later moment on, if there are any.
        deleted: From when on the API does not serve the row any more.
    """

    number: int
    lead: int
    start: int
    appear: int
    queued: int
    talk: int
    end: int
    written: int
    tagged: int
    outcome: int
    call_status: int
    duration: int
    tags: Tags
    time_format: int = 0
    early_cancel: bool = False
    late_change: LateChange | None = None
    deleted: int = NEVER

    def last_event(self) -> int:
        """Return the moment from which the row never changes again."""
        if self.deleted != NEVER:
            return self.deleted
        last = max(self.appear, self.written, self.tagged)
        return last if self.late_change is None else max(last, self.late_change.at_ms)

    def final_outcome(self) -> int:
        """Return the outcome that the row ends up with."""
        return self.outcome if self.late_change is None else self.late_change.outcome

    def visible_at(self, at_ms: int) -> bool:
        """Return whether the API serves the row at ``at_ms``."""
        return self.appear <= at_ms < self.deleted

    def status_at(self, at_ms: int) -> int:
        """Return the outcome at ``at_ms``, whether or not the row is visible."""
        if at_ms >= self.written:
            late = self.late_change
            return late.outcome if late is not None and at_ms >= late.at_ms else self.outcome
        if at_ms >= self.talk:
            return ON_CALL
        return IN_CALL_QUEUE if at_ms >= self.queued else NEW

    def call_status_at(self, at_ms: int) -> int:
        """Return the telephony state at ``at_ms``."""
        if at_ms >= self.end:
            return self.call_status
        if self.early_cancel and self.queued <= at_ms < self.talk:
            return CANCELED
        return IN_PROGRESS

    def tags_at(self, at_ms: int) -> list[str] | None:
        """Return the tags at ``at_ms``: None until they are written, and for good in a few rows."""
        if at_ms < self.tagged:
            return None
        late = self.late_change
        tags = late.tags if late is not None and at_ms >= late.at_ms else self.tags
        return None if tags is None else list(tags)

    def duration_at(self, at_ms: int) -> int:
        """Return the duration in seconds at ``at_ms``: 0 until the call is over."""
        if at_ms < self.end:
            return 0
        late = self.late_change
        return late.duration if late is not None and at_ms >= late.at_ms else self.duration
