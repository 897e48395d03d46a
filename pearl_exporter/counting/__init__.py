"""What a call is, when it settles, and how often it counts: exactly once.

All of it is pure: no I/O and no clock. The present, T, is an argument of each poll.

# The problem

The platform shows calls as rows of a search. A row has an id and a start, and values that change
while the call goes on, and for some time after it: outcome, telephony state, duration, tags. Rows
come late, change in place, are deleted and come back, and an answer may lack rows that are there.
The exporter reads parts of this table every half minute, misses polls, restarts, and has its clock
set. Still it publishes two exact things:

- *gauges*: the calls that started within the last hour, say, by label (`window`);
- *counters*: all calls since tracking began, by label. A counter never falls, and each call is
  counted once, with values that are final (`ledger`).

# The life of a call

A call is *tracked* from the first poll that reads it until it is done and can be forgotten. Its
phase says whether it was counted or still will be (`tracked_call`):

```
                     ┌───────────┐ ends   ┌───────────┐ settles
             ┌──────>│   LIVE    │───────>│  PENDING  │───────> SETTLED   counted
  first read │       │ going on  │<───────│ finished, │                   later changes
  ───────────┤       └─────┬─────┘ again  │ may change│                   are revisions
             │             │       live   └─────┬─────┘
             │             └─────────┬──────────┘
             │                       │ is gone, or followed for too long
             │                       └───────────────────────> LOST      uncounted
             │
             └────────────────────────────────────────────────> HISTORY  never counted
```

A first read may also lead straight to PENDING or SETTLED. No step leads out of SETTLED, LOST or
HISTORY: such a call is *done*.

A call *settles* at the first good poll that reads it, finished, some time after it ended: 2 minutes
by default if somebody answered, 30 s if not. Until then the platform may write its outcome and its
tags. (`settlement`)

# Missing calls

A read that covers a call's start and does not have the call *misses* it. One answer proves little:
it may be empty by mistake, or come from a replica that is behind. So a call in any phase may be
missing beside its phase (`tracked_call`):

```
                misses it                  misses it again, far enough after the first
   PRESENT ─────────────────> MISSING ─────────────────> GONE   leaves the window;
      ^                          │                         │    LOST if it was unsettled
      │        has it            │                         │
      └──────────────────────────┴─────────────────────────┘
```

- "Far enough" is the longer of ``poll.settle`` and the interval. Each read in between that covers
  the start must have missed the call as well. A failed poll is no read.
- A missing call stays in its phase and in the window, so that no figure changes. It does not
  settle, since it is not read.
- It is left out where a read's rows are compared with the API's ``count``: there, what was deleted
  must not look like a difference in each poll.
- If it is back, it goes on in its phase. A gone call that is back enters the window again, but a
  lost call stays lost.

# Which calls count

- *T0* is the T of the first good poll. A call that had settled by T0 is history: the counters begin
  at 0 there, and an old call that is read late does not look like a spike.
- The *low watermark* is an instant to compare starts with. Done calls that started before it, and
  have left the window, are forgotten. It is the start of the window, or, after an outage, the start
  of the calls that are still to be read. A row below it that is not tracked may have been counted
  and forgotten. So it is history if it is in the window, and is left out otherwise.

# Why each call counts exactly once

Invariant 1, at every snapshot::

    started = settled + live + pending + uncounted

``started`` counts a call that is read for the first time and is not history. From then on the call
is in exactly one of the four phases on the right. Each transition moves it from one to another.

Invariant 2: every call that was counted and started at the low watermark or later is tracked.

- A call counts at its step to SETTLED and at no other, and no step leads back. So a tracked call
  counts at most once, however often it is read.
- A call that is not tracked counts only if it starts at the low watermark or later. By invariant 2
  it has not been counted before.
- A gone call stays tracked until the watermark has passed it. It may come back.
- Unsettled calls are not forgotten. They are followed for ``poll.follow`` from their start, also
  when they have left the window.
- If the clock goes back, the watermark falls, but not below the newest start ever read: no call
  above it was ever counted.
- The calls and the counters of one poll are saved in one transaction. What is published was saved.

# One poll

`tracker` takes the rows, and which ranges are complete (`observation`). It notes which tracked
calls were missed, begins to track new calls, compares known calls with their rows, and lets calls
leave the window, expire and be forgotten. `transitions` applies each step to four places:

| | holds | for |
|---|---|---|
| `call_table` | every tracked call | knowing what was counted |
| `window` | sums | the gauges |
| `ledger` | sums that only grow | the counters |
| `journal` | what happened to which call in this poll | ``explain`` |

What comes out is a value: what is to be saved, and what is to be published once that is saved.

# How calls are stored

A window may hold a million calls, so a call takes about 190 bytes of memory and 35 in the state.

- *Dictionary encoding.* Most calls are equal in all but id and start. Their values are stored once,
  as a kind with a number. A call that is done and not missing is one integer: kind, flags, start.
  (`packing`)
- *Compact ids.* The platform's 24 hex digits are 12 bytes. (`compact_ids`)
- *Blocks.* Calls are kept in blocks of some hundred neighbours by start. A range is found by
  bisection (`start_index`), and a poll saves the blocks that changed (`blocks`).
- *Columns.* A first read holds its rows by columns (`rows`) and packs them at once (`bulk`).

`labels` bounds the number of series: it admits the first codes and tags, and folds the rest.
`outcome_history` keeps the last hours for the web page. `saved` is all that a restart needs.
"""
