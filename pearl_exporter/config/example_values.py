"""Ids and tokens copied from an example. They are refused, and never sent to the API."""

import re

_EXAMPLE = re.compile(
    r"YOUR_[A-Z_]+|your-[a-z-]+|accountId|secretKey|((?i:change|replace)[_-]?(?i:me))"
)
"""The words of our own examples, and common ones elsewhere. No real value matches: ids are
hexadecimal, and both halves of a token are random."""


def is_example(text: str) -> bool:
    """Return whether an id, or a half of a token, is an example's."""
    return _EXAMPLE.fullmatch(text) is not None


def refuse_example_id(text: str) -> None:
    """Raise ValueError if an outbound's id is an example's."""
    if is_example(text):
        raise ValueError(
            f'"{text}" is an example; replace it by the id of one of your outbounds, as the '
            "platform shows it, or leave outbounds out and set discovery: {enabled: true}"
        )


def refuse_example_token(token: str) -> None:
    """Raise ValueError if a half of a token is an example's; the message has only that half."""
    for half in token.split(":"):
        if is_example(half):
            raise ValueError(
                f'"{half}" is an example; replace it by your own token, in the form '
                "accountId:secretKey"
            )
