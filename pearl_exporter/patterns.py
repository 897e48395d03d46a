"""Regular expressions of the configuration, which are matched against other people's texts. Pure.

RE2's, as in Prometheus: its time grows with the text alone. With Python's own, ``(a+)+`` and a tag
of forty letters, which anybody may write, would hold up the exporter for hours.
"""

from dataclasses import dataclass, field
from typing import Any

import re2


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression for whole texts, in which ``.`` is a line break too.

    Raises ValueError, with RE2's reason, where it is none.
    """

    pattern: str
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile it."""
        options = re2.Options()
        options.dot_nl = True
        options.log_errors = False
        try:
            compiled = re2.compile(self.pattern, options)
        except re2.error as error:
            reason = error.args[0] if error.args else b"it is too large"
            text = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
            # behind the colon is a part of the pattern, which may be a secret in the wrong place
            raise ValueError(text.partition(": ")[0]) from None
        object.__setattr__(self, "_compiled", compiled)

    def matches(self, text: str) -> bool:
        """Whether it matches the text as a whole; one that is no valid Unicode never."""
        try:
            return self._compiled.fullmatch(text) is not None
        except UnicodeEncodeError:
            return False
