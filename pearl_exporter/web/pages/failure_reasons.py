"""What each reason of a failed poll means, and what happens next, in words for the pages. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from pearl_exporter.api.budget import Budget

_RETRIED = (
    "The exporter sends a failed request again within a poll, and asks again at the next one."
)

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "auth": "token refused",
        "not_found": "no such outbound",
        "rate_limited": "asked to slow down",
        "timeout": "no answer in time",
        "connection": "API not reached",
        "server_error": "API fails",
        "bad_request": "request refused",
        "bad_response": "no proper answer",
        "inconsistent": "answers contradict each other",
        "state": "state not read or written",
    }
)
"""Each reason of `errors.Reason` in a few words."""

NEXT_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "auth": "The API refuses the token. The exporter tries it again {when}, with one outbound "
        "at a time and growing pauses of up to 5 minutes. Put a new token where the configuration "
        "reads it from (a changed token_file needs no restart): a new token is tried at once.",
        "not_found": "The API knows no such outbound. The exporter asks for it again {when}, with "
        "growing pauses of up to 5 minutes; the other outbounds are not held back. Check its id.",
        "rate_limited": "The API asks to slow down. All outbounds of the token ask at half the "
        "rate, which grows back with each success, and keep to the pause that the API names. "
        "{allowed} The next poll is {when}. If this lasts, lower api.rate_limit or lengthen "
        "poll.interval.",
        "timeout": f"No whole answer came in time. {_RETRIED} The next poll is {{when}}.",
        "connection": f"The API can't be reached. {_RETRIED} The next poll is {{when}}. Check the "
        "network, DNS and any proxy between.",
        "server_error": f"The API fails. {_RETRIED} The next poll is {{when}}.",
        "bad_request": "The API refuses the request, so sending it again within a poll would not "
        "help. The next poll is {when}. Check the outbound's id and api.url.",
        "bad_response": "The response is not an answer of the calls search, or most of its rows "
        "can't be used. Nothing of it is counted. The next poll is {when}. The message above says "
        "which it is. A page of HTML or no content comes from a firewall, a proxy or a login page "
        "in front of the API: let the exporter's address through there, and check api.url and "
        "api.proxy. Rows that can't be used are a change of the API: report it to NLPearl.",
        "inconsistent": "The answers contradict each other, what was asked or what was known. "
        "Nothing of them is counted. The next poll, {when}, reads again. The "
        "message above says what the API contradicts, and pearl-exporter check tries it out. Rows "
        "outside the range, or a range without calls: times are not UTC, or the ends are cut, "
        "which NLPearl has to mend. Calls that are counted and not listed: if they are calls that "
        "your account never lists, set poll.max_unreadable to their share. A table that changes "
        "too fast: make poll.window shorter.",
        "state": "The state can't be read or written, so nothing is published. The next poll, "
        "{when}, tries again. Check the disk, and the file that state.url names.",
    }
)
"""What the exporter does next for each reason, and what to check."""


def reason_in_words(reason: str) -> str:
    """Return a reason in a few words, with the code that metrics and log use for it."""
    return f"{NAMES[reason]} ({reason})" if reason in NAMES else reason


def next_step(reason: str, when: str, budget: Budget | None = None) -> str:
    """Return what the exporter does next about a failed poll.

    Args:
        reason: One of `errors.Reason`.
        when: When the next poll is, such as "in 4 min".
        budget: What the outbound's token allows right now; None if unknown.
    """
    sentence = NEXT_STEPS.get(reason, "The next poll is {when}.")
    return sentence.replace("{allowed}", _allowed(budget)).replace("{when}", when)


def _allowed(budget: Budget | None) -> str:
    if budget is None:
        return ""
    if not budget.rate:
        return "Right now they pause."
    rate, configured_rate = (f"{each:.3g}" for each in (budget.rate, budget.configured_rate))
    return f"Right now they may ask {rate} times a second, of {configured_rate} as configured."
