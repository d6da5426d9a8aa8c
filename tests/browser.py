"""A headless Chromium, spoken to over its pipe, for what only it can tell: what it refuses, and how a page lies."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

FOUND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
# Chromium reads what it is asked from descriptor 3 and answers on 4.
_AS_THREE_AND_FOUR = (
    "import os, sys; from fcntl import F_DUPFD, fcntl; reading, writing, *command = sys.argv[1:];"
    "asked, answers = fcntl(int(reading), F_DUPFD, 10), fcntl(int(writing), F_DUPFD, 10);"
    "os.dup2(asked, 3); os.dup2(answers, 4); os.close(asked); os.close(answers); os.execv(command[0], command)"
)


class Browser:
    """One tab. `complaints` are what its console said since the last page: errors, refusals of the policy."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._rest = b""
        self._numbers = count(1)
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def look(
        self, width: int = 1280, height: int = 900, *, dark: bool = False, script: bool = True, phone: bool = False
    ) -> None:
        """How the next page is looked at."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Emulation.setScriptExecutionDisabled", value=not script)

    def open(self, url: str) -> None:
        """Load a page, and what it needs."""
        self.complaints.clear()
        self._events.clear()
        self._ask("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._receive()

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives in the page; also where the page's own scripts are off."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def move(self, x: float, y: float) -> None:
        """Bring the mouse there."""
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def drag(self, start: float, end: float, y: float) -> None:
        """Press the mouse at one place, and let it go at another beside it."""
        for kind, x, button in (("mousePressed", start, 1), ("mouseMoved", end, 1), ("mouseReleased", end, 0)):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=button, clickCount=1)

    def screenshot(self, path: Path) -> None:
        """The whole page as a picture."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._reading, 1 << 16)
            assert more, "the browser has ended"
            self._rest += more
        text, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self._events.append(message)
            self._listen(message["method"], message["params"])
        return message

    def _listen(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"].get("exception", {}).get("description", "exception"))
        if method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
            self.complaints.append(" ".join(str(arg.get("value")) for arg in params["args"]))
        if method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(params["entry"]["text"])


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """A browser with a new profile in that folder, ended afterwards."""
    assert FOUND
    to_read, its_writing = os.pipe()
    its_reading, to_write = os.pipe()

    process = subprocess.Popen(
        [sys.executable, "-c", _AS_THREE_AND_FOUR, str(its_reading), str(its_writing), FOUND, *_FLAGS,
         f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(its_reading, its_writing),
    )  # fmt: skip
    for descriptor in (its_reading, its_writing):
        os.close(descriptor)
    try:
        yield Browser(to_read, to_write)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for descriptor in (to_read, to_write):
            os.close(descriptor)
