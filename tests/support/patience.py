"""How long a test waits for something to happen: as long as a busy machine may take."""

from typing import Any

HANGING_SECONDS = 300.0
"""What takes longer hangs. No test measures anything by it."""

PATIENT: dict[str, Any] = {"trust_env": False, "timeout": HANGING_SECONDS}
"""What every request over a real socket is given: httpx itself gives up after 5 s."""
