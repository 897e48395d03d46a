"""Regular expressions of the configuration, matched against texts of third parties. Pure.

They are RE2's, as in Prometheus. RE2 takes a time that grows linearly with the text. Python's own
engine would need hours for ``(a+)+`` and a tag of forty letters, which anybody may write.
"""

from dataclasses import dataclass, field
from typing import Any

import re2


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression that is matched against whole texts; its ``.`` matches a line break, too.

    Raises:
        ValueError: RE2 does not take the expression; the message is RE2's reason.
    """

    pattern: str
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the expression."""
        options = re2.Options()
        options.dot_nl = True
        options.log_errors = False
        try:
            compiled = re2.compile(self.pattern, options)
        except re2.error as error:
            reason = error.args[0] if error.args else b"it is too large"
            text = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
            # RE2 quotes the pattern behind the colon; it may be a secret in the wrong place
            raise ValueError(text.partition(": ")[0]) from None
        object.__setattr__(self, "_compiled", compiled)

    def matches(self, text: str) -> bool:
        """Return whether the expression matches a whole text; never if that is invalid Unicode."""
        try:
            return self._compiled.fullmatch(text) is not None
        except UnicodeEncodeError:
            return False
