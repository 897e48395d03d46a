"""A real headless Chromium, told what to do over its debugging pipe."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support.patience import HANGING_SECONDS

MISSING = "these tests need Chromium: apt-get install chromium"


class Chromium:
    """One browser with one tab. ``told`` is every event that the tab has told of."""

    def __init__(self) -> None:
        program = shutil.which("chromium")
        assert program is not None, MISSING
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        hears, self._to = os.pipe()
        self._from, says = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        flags += ["--remote-debugging-pipe", f"--user-data-dir={self._profile.name}"]
        # the browser takes its orders on 3 and answers on 4
        script = f'exec "$0" "$@" 3<&{hears} 4>&{says}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, program, *flags, "about:blank"],
            pass_fds=(hears, says),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(hears)
        os.close(says)
        self._number, self._rest, self._session = 0, b"", ""
        self.told: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Orders something and waits until it is done."""
        self._number += 1
        order: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            order["sessionId"] = self._session
        os.write(self._to, json.dumps(order).encode() + b"\0")
        while True:
            message = self._hear()
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._from, 65536)
            assert piece, "Chromium ended"
            self._rest += piece
        text, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        if "id" not in message:
            self.told.append(message)
        return message

    def open(self, address: str, *, width: int = 1280, theme: str = "light") -> None:
        """Goes to a page and waits until it is there; forgets what was told before."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.ask("Emulation.setEmulatedMedia", features=features)
        self.told.clear()
        self.ask("Page.navigate", url=address)
        while not any(each["method"] == "Page.loadEventFired" for each in self.told):
            self._hear()

    def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def press_tab(self) -> None:
        """Presses the Tab key."""
        key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **key)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **key)

    def screenshot(self, file: Path) -> None:
        """Takes a picture of the whole page."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Ends the browser."""
        self._process.terminate()
        self._process.wait(HANGING_SECONDS)
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()
