"""What failed polls mean and what is done next about them, in words for each reason. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from pearl_exporter.api.budget import Budget

_SOON = "The exporter asks again at the next poll, and sends a failed request again within a poll."

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
"""What each reason of `errors.REASONS` means, in a few words."""

NEXT_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "auth": "The API refuses the token. It is tried again {when}, one outbound at a time and "
        "ever less often, up to 5 minutes apart. Put a new token where the configuration reads it "
        "from (a token_file is read anew): a token that has changed is tried at once.",
        "not_found": "The API knows no such outbound. This one is asked for again {when}, ever "
        "less often, up to 5 minutes apart; the others are not held back. Check its id.",
        "rate_limited": "The API asks to slow down. All outbounds of the token ask at half the "
        "rate, which grows back with each success, and keep to the pause that the API names. "
        "{allowed} The next poll is {when}. If this lasts, lower api.rate_limit or lengthen "
        "poll.interval.",
        "timeout": f"No whole answer came in time. {_SOON} The next poll is {{when}}.",
        "connection": f"The API can't be reached. {_SOON} The next poll is {{when}}. Check the "
        "network, DNS and any proxy between.",
        "server_error": f"The API fails. {_SOON} The next poll is {{when}}.",
        "bad_request": "The API refuses the request, so sending it again within a poll would not "
        "help. The next poll is {when}. Check the outbound's id and api.url.",
        "bad_response": "What came is no answer of the calls search, as from a proxy or a login "
        "page. Nothing of it is counted. The next poll is {when}. Check api.url.",
        "inconsistent": "The answers contradicted each other, however often they were read. "
        "Nothing of them is counted. The next poll, {when}, reads anew.",
        "state": "The state can't be read or written, so nothing is published. The next poll, "
        "{when}, tries again. Check the disk, and the file that state.url names.",
    }
)


def reason_in_words(reason: str) -> str:
    """What a reason means, with the code by which metrics and log call it."""
    return f"{NAMES[reason]} ({reason})" if reason in NAMES else reason


def next_step(reason: str, when: str, budget: Budget | None = None) -> str:
    """The sentence for a reason of `errors.REASONS`; ``when`` tells of the next poll."""
    sentence = NEXT_STEPS.get(reason, "The next poll is {when}.")
    return sentence.replace("{allowed}", _allowed(budget)).replace("{when}", when)


def _allowed(budget: Budget | None) -> str:
    if budget is None:
        return ""
    if not budget.rate:
        return "Right now they pause."
    rate, configured_rate = (f"{each:.3g}" for each in (budget.rate, budget.configured_rate))
    return f"Right now they may ask {rate} times a second, of {configured_rate} as configured."
