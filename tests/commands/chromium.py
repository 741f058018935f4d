"""A page in headless Chromium: its screenshot, console messages and network requests."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "needs a Chromium browser on the path"

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1200,1400",
    "--remote-debugging-pipe",
)
_PROBLEMS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")


@dataclass
class PageResult:
    """The events while a page was open."""

    screenshot: bytes = b""
    problems: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    found: Any = None


class _Browser:
    """A DevTools client over two pipes: JSON texts terminated by a zero byte."""

    def __init__(self, write_end: int, read_end: int) -> None:
        self._write_end, self._read_end = write_end, read_end
        self._received = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._write_end, json.dumps(message).encode() + b"\0")
        while True:
            received = self._receive()
            if received.get("id") == self._last:
                assert "error" not in received, received
                result: dict[str, Any] = received["result"]
                return result
            self.events.append(received)

    def wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            chunk = os.read(self._read_end, 1 << 20)
            assert chunk, "the browser has ended"
            self._received += chunk
        text, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


PHONE_WIDTH = 390
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""A script: by how many pixels the page is wider than the window."""


def visit(page: Path, profile: Path, script: str = "null", width: int | None = None) -> PageResult:
    """Open the page in a window of that width, wait until it is loaded, and evaluate ``script`` in it."""
    with _running(profile) as browser:
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            browser.call(f"{domain}.enable", session)
        if width is not None:
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            browser.call("Emulation.setDeviceMetricsOverride", session, **size)
        browser.call("Page.navigate", session, url=page.as_uri())
        browser.wait_for("Page.loadEventFired")
        found = browser.call("Runtime.evaluate", session, expression=script, returnByValue=True)["result"].get("value")
        shot = browser.call("Page.captureScreenshot", session, format="png")["data"]
        events = browser.events
    urls = [event["params"]["request"]["url"] for event in events if event.get("method") == "Network.requestWillBeSent"]
    problems = [event for event in events if event.get("method") in _PROBLEMS]
    return PageResult(base64.b64decode(shot), problems, urls, found)


@contextmanager
def _running(profile: Path) -> Iterator[_Browser]:
    """Run the browser, which reads commands from descriptor 3 and writes to 4."""
    assert BROWSER is not None
    commands, write_end = os.pipe()
    read_end, output = os.pipe()
    words = [BROWSER, *_FLAGS, f"--user-data-dir={profile}"]
    shell = f'exec "$@" 3<&{commands} 4>&{output}'
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *words],
        pass_fds=(commands, output),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(output)
    try:
        yield _Browser(write_end, read_end)
    finally:
        process.kill()
        process.wait()
        os.close(write_end)
        os.close(read_end)
