"""Pictures of the documentation: what a browser shows of the site, of a server and of the reports.

``make screenshots`` writes ``docs/pictures``; ``python .ci/screenshots.py NAME...`` takes some of them. A further
picture is an entry of ``PICTURES``. It needs Chromium and its driver (Debian: chromium, chromium-driver).
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
SITE = ROOT / "build" / "site"
DRUM = [sys.executable, "-m", "datarobot_drum"]
DESKTOP = (1280, 860)
PHONE = (390, 844)
START_SECONDS = 60
SETTLE_SECONDS = 1.5
"""After the page has loaded: for scripts that draw."""

Scratch = Path
Address = Callable[[Scratch], str]
"""Makes what a page shows, in a scratch folder, and returns its address."""


@dataclass(frozen=True)
class Picture:
    """A picture: of a page of a server that serves an example, or of an ``address``.

    ``script`` runs in the page before the picture is taken.
    """

    name: str
    path: str = ""
    server: str = ""
    address: Address | None = None
    size: tuple[int, int] = DESKTOP
    is_dark: bool = False
    script: str = ""


def _site(page: str) -> Address:
    return lambda scratch: (SITE / page).as_uri()


def _report(command: str, example: str, *arguments: str) -> Address:
    def make(scratch: Scratch) -> str:
        report = scratch / f"{command}.html"
        if not report.exists():
            folder = ROOT / "examples" / example
            words = [
                *DRUM,
                command,
                "--code-dir",
                folder,
                "--input",
                folder / "sample.csv",
                "--report",
                report,
                *arguments,
            ]
            done = subprocess.run([*map(str, words)], env=_environment(), stdout=subprocess.DEVNULL)
            if done.returncode not in (0, 1):  # 1: a check failed, which the report shows
                sys.exit(done.returncode)
            text = report.read_text(encoding="utf-8")
            report.write_text(
                text.replace(str(ROOT / "examples"), "/models"), encoding="utf-8"
            )  # no paths of a machine
        return report.as_uri()

    return make


_SEARCH = """
const done = arguments[arguments.length - 1];
const field = document.querySelector("[data-md-component=search-query]");
document.getElementById("__search").click();
setTimeout(() => {
    field.focus();
    field.value = "queue timeout";
    field.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}));
    setTimeout(done, 1000);
}, 1500);
"""
_VALIDATION = _report("validation", "binary_breast_cancer")
_PERF_TEST = _report("perf-test", "binary_breast_cancer", "--batch-sizes", "1", "100", "--duration", "1")

PICTURES = (
    Picture("home", address=_site("index.html")),
    Picture("home-dark", address=_site("index.html"), is_dark=True),
    Picture("home-phone", address=_site("index.html"), size=PHONE),
    Picture("search", address=_site("index.html"), script=_SEARCH),
    Picture("server-docs", server="regression_diabetes", path="/docs"),
    Picture("server-docs-phone", server="regression_diabetes", path="/docs", size=PHONE),
    Picture("validation-report", address=_VALIDATION),
    Picture("validation-report-phone", address=_VALIDATION, size=PHONE),
    Picture("perf-test-report", address=_PERF_TEST),
    Picture("perf-test-report-phone", address=_PERF_TEST, size=PHONE),
)


def _environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DRUM_", "MLOPS_"))}
    return {**kept, "DRUM_SERVER_TYPE": "fastapi", "NO_COLOR": "1", **variables}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _server(example: str) -> Iterator[str]:
    """Serve an example; yield its URL."""
    url = f"http://127.0.0.1:{_free_port()}"
    words = [*DRUM, "server", "--code-dir", f"examples/{example}", "--address", url.removeprefix("http://")]
    process = subprocess.Popen(words, cwd=ROOT, env=_environment(DRUM_LAME_DUCK_SECONDS="0"), stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"No server for {example}.")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz") as response:
            return bool(response.status == 200)
    except URLError:
        return False


@contextmanager
def _browser(profile: Path) -> Iterator[Any]:
    program, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not (program and driver):
        sys.exit("Chromium and its driver are needed (Debian and Ubuntu: apt install chromium chromium-driver).")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for name in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "hide-scrollbars"):
        options.add_argument(f"--{name}")
    for name in ("disable-background-networking", "disable-component-update", "disable-sync", "no-proxy-server"):
        options.add_argument(f"--{name}")
    options.add_argument(f"--user-data-dir={profile}")
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def _take(browser: Any, picture: Picture, address: str) -> None:
    width, height = picture.size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": picture.size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    theme = {"name": "prefers-color-scheme", "value": "dark" if picture.is_dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
    browser.get(address)
    browser.execute_script("try { localStorage.clear() } catch (error) {}")  # the theme of the picture before
    browser.refresh()
    if picture.script:
        browser.execute_async_script(picture.script)
    time.sleep(SETTLE_SECONDS)
    path = FOLDER / f"{picture.name}.png"
    browser.save_screenshot(str(path))
    overflow = browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    print(f"{path.relative_to(ROOT)}{f': {overflow} px too wide' if overflow > 0 else ''}")


def main(names: list[str]) -> None:
    """Take the named pictures, or all; ``playground`` names those of that page."""
    FOLDER.mkdir(exist_ok=True)
    if not names or "playground" in names:
        sys.path.insert(0, str(ROOT))
        from tests.playground.pictures import take_pictures

        take_pictures()
    chosen = [picture for picture in PICTURES if picture.name in names or not names]
    with tempfile.TemporaryDirectory() as folder, _browser(Path(folder) / "profile") as browser:
        for example in dict.fromkeys(picture.server for picture in chosen if picture.server):
            with _server(example) as url:
                for picture in (picture for picture in chosen if picture.server == example):
                    _take(browser, picture, url + picture.path)
        for picture in chosen:
            if picture.address is not None:
                _take(browser, picture, picture.address(Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
