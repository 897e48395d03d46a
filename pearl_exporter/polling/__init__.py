"""Polls each outbound on time: the shell around the pure packages, where everything meets.

::

    Schedule ── is due ──► Poller ── publishes ──► exposition
                             │
                  load       │  CommittedTracker: the calls, in step with the store
                  read       │  PlanRunner: runs the plan of `reading` through a session of `api`
                  apply      │  CommittedTracker: `counting` takes the rows ...
                  commit     │  ... and the store the changes, both or neither
                  publish    │  PollOutcome ──► Health, PollRecord, PollLog, OutboundSnapshot

A scrape never meets a poll in progress: it reads the last `OutboundSnapshot`, which is immutable.
"""
