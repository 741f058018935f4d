"""A headless Chromium that tests drive as a person would: by labels, buttons and keys."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = "needs Chromium and chromedriver on the path"

TIMEOUT, POLL = 30.0, 0.05

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Browser:
    """One tab of a browser. Elements are found by what a person, or a screen reader, finds them by."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Open the page and wait until it shows a model or an error."""
        self.driver.get(url)
        self.wait_for("return document.querySelector('#panels').textContent || document.querySelector('.error')")

    def run(self, script: str, *arguments: Any) -> Any:
        """Return the result of a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait_for(self, script: str, *arguments: Any) -> Any:
        """Wait until a script returns a true value, and return that."""
        try:
            return WebDriverWait(self.driver, TIMEOUT, POLL).until(lambda driver: self.run(script, *arguments))
        except TimeoutException:
            raise AssertionError(f"no {arguments or script} on the page:\n{self.text()}\n{self.problems()}") from None

    def text(self) -> str:
        """Return the visible text of the page."""
        return str(self.run("return document.body.innerText"))

    def wait_for_text(self, text: str) -> None:
        """Wait until the page shows this text."""
        self.wait_for("return document.body.innerText.includes(arguments[0])", text)

    def field(self, label: str) -> WebElement:
        """Return the visible control of a label that begins with this text."""
        script = """
            for (const label of document.querySelectorAll("label")) {
              const control = label.control;
              if (label.innerText.startsWith(arguments[0]) && control && control.offsetParent) return control;
            }
        """
        found: WebElement = self.wait_for(script, label)
        return found

    def fill(self, label: str, text: str) -> None:
        """Replace the text of a field."""
        control = self.field(label)
        control.clear()
        control.send_keys(text)

    def press(self, name: str) -> None:
        """Click the visible button of this name."""
        script = """
            return [...document.querySelectorAll("button")].find(
              (button) => button.innerText.trim() === arguments[0] && button.offsetParent && !button.disabled)
        """
        self.wait_for(script, name).click()

    def size(self, width: int, height: int = 900, scale: int = 1) -> None:
        """Set the size of the page in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Set the color scheme that the person prefers: ``dark`` or ``light``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def problems(self) -> list[str]:
        """Return the messages of the console since the last call."""
        read_log: Any = self.driver.get_log
        messages: list[str] = [entry["message"] for entry in read_log("browser")]
        return messages

    def elements(self, selector: str) -> list[WebElement]:
        """Return the elements of a CSS selector."""
        found: list[WebElement] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """Run a browser with a new profile; downloads go to ``folder / "downloads"``."""
    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    driver = Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def wait_until(browser: Browser, condition: Callable[[], bool]) -> None:
    """Wait until a condition outside of the page is true."""
    WebDriverWait(browser.driver, TIMEOUT).until(lambda driver: condition())
