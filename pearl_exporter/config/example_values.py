"""What an example has in the place of an id or a token: never meant, so never asked of the API."""

import re

_PLACEHOLDER = re.compile(
    r"YOUR_[A-Z_]+|your-[a-z-]+|accountId|secretKey|((?i:change|replace)[_-]?(?i:me))"
)
"""The words of our own examples, and those of other people's. No id or token is one of these: ids
are hexadecimal, and both halves of a token are random."""


def refuse_placeholder_id(text: str) -> None:
    """Raises ValueError where an outbound's id is an example's."""
    if _PLACEHOLDER.fullmatch(text):
        raise ValueError(
            f'"{text}" stands for an id; put the id of one of your outbounds there, as the '
            "platform shows it, or leave outbounds out and set discovery: {enabled: true}"
        )


def refuse_placeholder_token(token: str) -> None:
    """Raises ValueError where a half of a token is an example's; the other half is not told."""
    for half in token.split(":"):
        if _PLACEHOLDER.fullmatch(half):
            raise ValueError(
                f'"{half}" stands for a part of the token; put your own token there, which has '
                "the form accountId:secretKey"
            )
