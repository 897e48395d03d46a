"""The client of the NLPearl API. No other package knows httpx, and only `network` httpcore.

The API answers searches for calls, and lists the account's outbounds. It has a limit of requests
that nobody documents, may be slow, may refuse, and may answer nonsense. This package turns it into
functions that return typed values or raise one `ApiError`, and sends as few requests as it can, as
slowly as it must.

One client a token
==================

There is one `PearlClient` for each token, since the API's limits and refusals go by token. All
outbounds that are polled with it share its connections, limiter and breaker.

The way of a request
====================

::

    Session.search          one poll's searches; reports each answer to the breaker
        │
    retry ◄───────────┐     until success, an error that won't pass, or the deadline
        │             │ 1 s, 2 s, 4 s, ... 16 s, with jitter
    Limiter.slot      │     waits for its turn: rate, in flight, pause, fairness
        │             │
    TokenBreaker      │     not sent if the token was refused meanwhile
        │             │
    Wire.send ────────┤     HTTP by httpx; status and broken connections become errors
        │             │
    Network           │     what belongs to the answer, and no byte more, within limits
        │             │
    Body              │     decompressed piece by piece, within limits
        │             │
    decode_* ─────────┘     JSON to typed values, leniently row by row if need be
        │
    Page, Listing, Account

What is learned on the way back: the limiter hears of each answer (`Limiter.succeeded`, `slow_down`,
`pause`), the deadline of each good one, and the API's clock of each ``Date``.

Rate
====

Slots are evenly spaced at ``api.rate_limit`` requests a second, and at most ``api.concurrency``
requests are unanswered at once. A 429 halves the rate, each success adds a twentieth of the
configured rate back: additive increase and multiplicative decrease, which lets all senders of a
shared limit converge to a fair share of it (Chiu and Jain 1989, "Analysis of the increase and
decrease algorithms for congestion avoidance in computer networks"). ``Retry-After`` of a 429 or 5xx
pauses all requests of the token, in seconds or as a date (RFC 9110, section 10.2.3), for 5 minutes
at most. A date is judged by the ``Date`` of the same answer, since this machine's clock may be
wrong.

The next slot goes to the outbound that was served longest ago. Outbounds that are far slower than
the others never take the last slot. So neither a greedy nor a slow outbound delays the others.

Deadline
========

A poll goes on as long as answers come: each good answer moves its `Deadline` to ``poll.give_up``
from then. Time spent queueing while other requests were answered does not count. Where there is no
slot in time, the error is the reason for which the queue stands still: the failure that others have
met, or the pause.

Breaker
=======

A 401 or 403 does not say whether the token or the outbound is refused. One refused outbound is
backed off by itself; two, or all, open the token's breaker, and then one outbound at a time probes
the token. `token_breaker` draws the states. A 403 that a firewall wrote refuses neither. A token is
read from its file again when the file changes, and after each refusal, so that a new token is used
at once.

Clock
=====

The window of a poll is of the API's time. `ApiClock` learns it from the ``Date`` of answers. Where
that is far off this machine's clock, polls ask the calls which of the two is right.

Limits
======

Whatever the API sends: a body has at most 16 MiB, received or decompressed, and 500,000 lists and
objects; it is decompressed piece by piece, from gzip or deflate only. Interim answers and chunks
are counted, and other tasks run between reads. Bytes that follow an answer close the connection.
Redirects are not followed. Nothing that the API sent is quoted in an error or a log line, since it
may hold a phone number.
"""
