"""Takes the pictures of ``docs/serve/playground.md``: python -m tests.playground.pictures [FOLDER]."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.playground.browser import Browser, open_browser
from tests.processes import RunningServer

ROOT = Path(__file__).parents[2]
EXAMPLES, PICTURES = ROOT / "examples", ROOT / "docs" / "serve" / "pictures"


def take_pictures(folder: Path = PICTURES) -> list[Path]:
    """Write the pictures to a folder and return their paths; needs Chromium and chromedriver."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name, open_browser(Path(name)) as browser:
        logs = Path(name)
        browser.prefer("light")
        with _page(browser, "multiclass_wine", logs):
            browser.press("Predict")
            browser.wait_for_text("Response in")
            form = _save(browser, folder / "playground-form.png", 1100)
            browser.prefer("dark")
            phone = _save(browser, folder / "playground-phone.png", 390, 844, "[role=tabpanel] section")
            browser.prefer("light")
        with _page(browser, "regression_diabetes", logs):
            browser.press("File")
            browser.field("Choose a csv file").send_keys(str(_rows(logs)))
            browser.press("Predict all rows")
            browser.wait_for_text("Download as csv")
            file = _save(browser, folder / "playground-file.png", 1100, 1250)
        with _page(browser, "chat_echo", logs):
            browser.prefer("dark")
            for text in ("Good morning, server!", "What did I say?"):
                browser.fill("Message", text)
                browser.press("Send")
                browser.wait_for_text(f"You said: {text}")
                browser.wait_for_text("Response in")
            chat = _save(browser, folder / "playground-chat.png", 780, 850)
    return [form, phone, file, chat]


@contextmanager
def _page(browser: Browser, example: str, logs: Path) -> Iterator[None]:
    """Open the playground of an example."""
    environment = {"DRUM_SERVER_TYPE": "fastapi"}
    with RunningServer(
        "--code-dir", EXAMPLES / example, log=logs / f"{example}.log", environment=environment
    ) as server:
        browser.size(1100)
        browser.open(f"{server.url}/playground")
        yield


def _save(browser: Browser, path: Path, width: int, height: int = 900, top: str = "body") -> Path:
    """Save what is visible from this element on."""
    browser.size(width, height)
    browser.run("document.activeElement.blur(); document.querySelector(arguments[0]).scrollIntoView()", top)
    browser.driver.save_screenshot(str(path))
    return path


def _rows(folder: Path) -> Path:
    """Write a file with rows like those of the sample."""
    header, *rows = (EXAMPLES / "regression_diabetes" / "sample.csv").read_text(encoding="utf-8").splitlines()
    lines = [header]
    for number in range(200):
        cells = [float(cell) * (0.5 + (number * 37 % 200) / 200) for cell in rows[number % len(rows)].split(",")]
        lines.append(",".join(f"{cell:.4f}" for cell in cells))
    path = folder / "patients.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    for picture in take_pictures(*map(Path, sys.argv[1:])):
        print(picture)
