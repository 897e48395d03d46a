"""Decides which searches a poll makes, and what their pages prove about the API's calls.

All of it is pure: it yields searches and is sent pages. `polling.plan_runner` does the asking.

# The problem

The API has one way to look at the calls of an outbound: a search over a range of start times. Its
answer is one page of rows, and ``count``, the number of rows in the whole range. There is no feed
of changes. Between two pages rows appear, change and are deleted. A page that is asked for by its
place (``skip``) then misses rows that moved up, and repeats rows that moved down. And requests are
scarce: a token has a few a second for all of its outbounds, while a window may hold 100,000 calls.

So a poll must find out what changed with two or three requests, and miss no row.

# What a page proves

Ask for ``[a, b)``, newest first. Let ``p`` lie just above the start of the page's oldest row:

```
   older                                                          newer
 ──┼──────────────────────────────────┼─────────────────────────────┼──
   a                                  p                             b
   │  remaining = count minus rows    │  [p, b) is read: a call     │
   │  of the page: how many rows      │  that is not on the page    │
   │  the API holds here              │  was missed                 │
```

Rows that start exactly at the oldest row's millisecond may continue on the next page. So these rows
are asked for again with the next page, and a row that comes twice is dropped by its id.

So each page is two things at once: the rows of ``[p, b)``, and a check of all that lies below. The
next page is asked of ``[a, p)``: by time, not by place. Whatever happens above ``p`` meanwhile
cannot shift it. (`coverage`)

# One poll

`plan` puts these parts in order. T is the present, by the API's clock.

1. *Head.* The newest page of the window, and more pages only if more calls are new. If as many rows
   remain below as are tracked there, nothing came or went: one request has checked the window.
2. *Difference.* If not, ask for parts of the range and follow those whose count differs: first
   pieces that grow from the head down, because late and deleted rows are seldom old, then halves of
   a piece. A few requests lead to any row. (`difference`)
3. *Unsettled calls.* A call that ends changes no count. So calls below the head that are live, or
   are about to be counted, are read again: the live ones by one search for their outcome codes, the
   others by the page that runs down from them.
4. *Missing calls.* A call that was missed before is not counted among the tracked ones, so that the
   counts agree without it. If it has been missing for long enough, the page that runs down from it
   is read again: it is back, or it is gone.
5. *Deeper look.* A settled row that changes in place changes no count either. A poll with a request
   to spare uses it for one of two things, in turn. Either it counts the calls whose outcome is in
   one of four sets; for any two outcomes there is a set that holds only one of them
   (`outcome_counts`). Or it reads the next slice of a scan through the whole window; only the scan
   sees changed tags and durations.

*Many missed at once.* If the parts above have missed more than a tenth of the tracked calls of
their ranges, or all, one page asks for these calls again. If it has any of them, the answers
contradict each other, and the poll reads once more from the start. Calls that are gone by this poll
are asked for again before they are. If any answer has one of them, none is gone by this poll.

*Older live calls* are searched for once, at a first start: calls that began before the window and
are still going on.

*Catching up* takes the place of the deeper look after an outage that was longer than the window.
The poll reads the window first, so that the gauges are right at once. Calls that started in the
outage and have left the window are read in slices, oldest first, over several polls. (`catch_up`,
`extent`)

*A whole read* takes the place of head and difference where these would save nothing or prove
nothing: a window of few pages, the first poll, a window that became wider, a difference that could
not be found, and a server that can only be read by offset. (`range_read`)

# Two ways to read a range whole

*Downward*, page by page as above. Each page's ``remaining`` must be the next page's ``count``.

*By offset*, in ascending order. It is for servers that ignore the order or cut dates to seconds,
and for one millisecond that holds more rows than a page. Each page begins with the last row of the
page before it, so that a shift shows. All rows together must come to ``count``, or the range is
read again. An outbound that was found to need this is read by offset until the exporter restarts.

# What is believed

No answer alone. Each page is judged by what was asked and by what is known (`contradictions`):

- *Its rows.* If over half are unusable, or under a tenth start in the range asked, it is no answer.
- *Its count.* A whole read must bring as many rows as are counted, but for a small share. A count
  that is too low is found out, as a full page is never taken for the last one.
- *Its range.* A server that takes a range for another one contradicts nothing by itself. So other
  ranges are asked for as well, where that is suspected: `PollPlan._probe`.

What is tolerated is counted. Beyond it the poll fails, and nothing is concluded.

# What cannot be known

- A row that comes late, with a start before the window, is never seen.
- A row that was created and deleted between two polls is never seen.
- One row added and one deleted in the same range leave its count as it was. If no part of the poll
  reads that range, the next scan sees both. The same holds for two outcomes that changed places.
- A row without a usable id or start is counted by the API, but cannot be tracked. The plan learns
  how many there are, and takes a difference up to this number for them. So a deletion may stay
  unseen until the next scan.
"""
