"""The playground in a real Chromium: what a person does with each kind of model, and what goes wrong."""

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from tests.playground import browser as browsers
from tests.playground.browser import Browser, open_browser
from tests.playground.models import HOSTILE, write_models
from tests.processes import RunningServer

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(browsers.BROWSER is None or browsers.DRIVER is None, reason=browsers.MISSING),
]

KEY = "a-key-of-the-playground"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("all") / "models")


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[RunningServer]:
    """All kinds of models on FastAPI, below a prefix."""
    environment = {"DRUM_SERVER_TYPE": "fastapi", "URL_PREFIX": "/a/b"}
    log = models.with_name("log")
    with RunningServer("--code-dir", models, log=log, environment=environment, prefix="/a/b") as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: RunningServer) -> Iterator[Browser]:
    """The page of all models, with no message in the console before or after."""
    browser.size(1100)
    browser.open(f"{server.url}/playground")
    browser.problems()
    yield browser
    assert [message for message in browser.problems() if "Failed to load resource" not in message] == []
    assert browser.run("return document.title") != "owned" and not browser.elements("main img[onerror]")


def choose(page: Browser, model: str) -> None:
    page.run(
        "const list = document.getElementById('model');"
        "list.value = [...list.options].findIndex((option) => option.text === arguments[0]);"
        "list.dispatchEvent(new Event('change'))",
        model,
    )
    page.wait_for("return document.getElementById('title').textContent === arguments[0]", model)


def answer(page: Browser) -> str:
    page.wait_for("return document.querySelector('[role=tabpanel]:not([hidden]) .answer')")
    return str(page.run("return document.querySelector('[role=tabpanel]:not([hidden]) .answer').innerText"))


def bars(page: Browser) -> list[str]:
    return [" ".join(bar.text.split()) for bar in page.elements("[role=tabpanel]:not([hidden]) .bars li")]


def code(page: Browser) -> str:
    return str(page.run("return document.getElementById('code-text').textContent"))


# Kinds of models


def test_a_regression_form_has_the_types_and_the_sample(page: Browser) -> None:
    choose(page, "price")
    assert page.field("city").tag_name == page.field("garden").tag_name == "select"
    assert page.field("rooms").get_attribute("value") == "3"
    page.press("Predict")
    assert answer(page) == "price: 6"
    page.press("Next sample row")
    assert (page.field("rooms").get_attribute("value"), page.field(HOSTILE).get_attribute("value")) == ("5", "new")
    page.press("Predict")
    page.wait_for_text("price: 8")


def test_the_shown_code_makes_the_same_request(page: Browser, tmp_path: Path) -> None:
    choose(page, "price")
    page.fill(HOSTILE, 'it\'s "$HOME" `id` é')
    page.press("Predict")
    page.wait_for_text("Response in")
    expected = answer(page).split()[-1]
    done = subprocess.run(["bash", "-c", code(page)], capture_output=True, text=True, check=True, timeout=60)
    assert f"[{expected}.0]" in done.stdout
    page.press("Python")
    done = subprocess.run([sys.executable, "-c", code(page)], capture_output=True, text=True, check=True, timeout=60)
    assert f"[{expected}.0]" in done.stdout


@pytest.mark.parametrize(
    ("model", "label", "value", "words", "shares"),
    [
        (
            "spam",
            "length",
            "83",
            "Most likely: <b>spam</b> with a probability of 83 %",
            ["<b>spam</b> 83 %", "ham 17 %"],
        ),
        ("animal", "legs", "4", "Most likely: cat with a probability of 75 %", ["cat 75 %", "hen 25 %", "fish 0 %"]),
        ("odd", "x", "40", "Anomaly score: 0.4", ["Score 40 %"]),
    ],
)
def test_classes_and_scores(page: Browser, model: str, label: str, value: str, words: str, shares: list[str]) -> None:
    choose(page, model)
    page.fill(label, value)
    page.press("Predict")
    assert (answer(page), bars(page)) == (words, shares)


def test_generated_text(page: Browser) -> None:
    choose(page, "story")
    page.press("One row")
    page.fill("promptText", "a fox")
    page.press("Predict")
    page.wait_for_text("Once upon a time: a fox")
    choose(page, "flow")
    page.press("One row")
    page.fill("promptText", "it")
    page.press("Predict")
    page.wait_for_text("it goes on")


def test_text_and_file_of_an_unstructured_model(page: Browser, tmp_path: Path) -> None:
    choose(page, "words")
    page.press("Send to the model")
    page.wait_for_text('"words": 3')
    page.fill("Text", HOSTILE)
    page.press("Send to the model")
    page.wait_for_text("onerror")
    (tmp_path / "data.bin").write_bytes(b"\0\1\2")
    page.field("Or send a file").send_keys(str(tmp_path / "data.bin"))
    page.press("Send to the model")
    page.wait_for_text('"bytes": 3')
    assert "'@data.bin'" in code(page)


def test_a_transformed_row(page: Browser) -> None:
    choose(page, "half")
    page.press("Transform")
    page.wait_for_text("Response in")
    rows = [" ".join(row.text.split()) for row in page.elements("[role=tabpanel]:not([hidden]) tr")]
    assert rows == ["a 2.0", "b 3.0"]


def test_a_chat_streams_and_keeps_the_conversation(page: Browser) -> None:
    choose(page, "talk")
    assert page.field("Message").get_attribute("value") == "Hello there"
    page.field("Message").send_keys(Keys.ENTER)
    page.wait_for_text("Response in")
    page.fill("Message", HOSTILE)
    page.press("Send")
    page.wait_for(
        "return document.querySelectorAll('.message').length === 4 && document.body.innerText.includes('Response in')"
    )
    shown = [message.text for message in page.elements(".message")]
    assert shown == [
        "You\nHello there",
        "Model\nYou said: Hello there",
        f"You\n{HOSTILE}",
        f"Model\nYou said: {HOSTILE}",
    ]
    assert "You said: Hello there" in code(page)


def test_a_chat_stops_and_so_does_the_model(page: Browser, models: Path) -> None:
    ended = models / "talk" / "ended"
    ended.unlink(missing_ok=True)
    choose(page, "talk")
    page.fill("Message", "forever")
    page.press("Send")
    page.wait_for_text("ononon")
    page.press("Stop")
    page.wait_for_text("Stopped, first words after")
    assert page.run("return document.activeElement.tagName") == "TEXTAREA"
    browsers.wait_until(page, ended.exists)


def test_a_chat_that_fails_keeps_the_message(page: Browser) -> None:
    choose(page, "talk")
    page.fill("Message", "fail")
    page.press("Send")
    page.wait_for_text("The model failed")
    assert page.field("Message").get_attribute("value") == "fail"
    page.fill("Message", "break")
    page.press("Send")
    page.wait_for_text("The model failed while it responded.")
    assert page.elements(".message.assistant")[-1].text == "Model\nYou said:"


# Files


def test_a_file_is_predicted_shown_and_downloaded(page: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    choose(page, "price")
    page.press("File")
    page.field("Choose a csv file").send_keys(str(_write_rows(tmp_path / "rows.csv", 20_000)))
    page.press("Predict all rows")
    assert answer(page).startswith("20,000 rows in")
    assert len(page.elements("[role=tabpanel]:not([hidden]) section tbody tr")) == 100
    assert len(page.elements("svg .column")) == 20
    page.press("Download as csv")
    page.wait_for_text("Saved as")
    saved = folder / "predictions-rows.csv"
    browsers.wait_until(page, saved.exists)
    with saved.open(newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    assert table[0] == ["rooms", "city", HOSTILE, "garden", "Predictions"]
    assert len(table) == 20_001
    assert all(float(row[4]) == 2 * int(row[0]) + len(row[2]) for row in table[1:])


def _write_rows(path: Path, count: int) -> Path:
    """Write rows of the model ``price``, with line breaks and quotes inside of a cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["rooms", "city", HOSTILE, "garden"])
        rows.writerows([number, "Oslo", f'two\r\nlines, "{number}"', "True"] for number in range(count))
    return path


def test_a_file_gives_the_columns_of_a_model_that_does_not_know_them(browser: Browser, tmp_path: Path) -> None:
    model = write_models(tmp_path / "model", ("animal",))
    (model / "sample.csv").unlink()
    (tmp_path / "rows.csv").write_text("legs\n2\n")
    environment = {"DRUM_SERVER_TYPE": "flask"}
    with RunningServer("--code-dir", model, log=tmp_path / "log", environment=environment) as server:
        browser.open(f"{server.url}/playground/")
        browser.fill("Rows as csv", "legs\n4\n")
        browser.press("Predict")
        assert answer(browser).startswith("Most likely: cat")
        browser.press("File")
        browser.field("Choose a csv file").send_keys(str(tmp_path / "rows.csv"))
        browser.wait_for_text("The first rows of the file")
        browser.press("Predict all rows")
        browser.wait_for_text("Rows by most likely class")
        cells = [cell.text for cell in browser.elements("section tbody td")]
        assert cells == ["hen", "0", "0.75", "0.25", "2"]
        browser.press("One row")
        assert browser.field("legs").get_attribute("value") == "2"
        browser.press("Predict")
        browser.wait_for_text("Most likely: hen")


# What goes wrong


def test_errors_in_plain_words(page: Browser, tmp_path: Path) -> None:
    choose(page, "price")
    page.fill("rooms", "three")
    page.press("Predict")
    page.wait_for_text("rooms must be a number")
    assert page.run("return document.activeElement === document.querySelector('[aria-invalid=true]')")
    page.fill("rooms", "503")
    page.press("Predict")
    page.wait_for_text("The server is busy or not ready. Try again in 7 s.\n\nAll instances are busy.")
    page.fill("rooms", "-1")
    page.press("Predict")
    page.wait_for_text("The model failed on this input.")
    (tmp_path / "rows.csv").write_text('rooms\n"1\n')
    page.press("File")
    page.field("Choose a csv file").send_keys(str(tmp_path / "rows.csv"))
    page.press("Predict all rows")
    page.wait_for_text("The model cannot use this input.")


def test_a_server_that_has_gone(browser: Browser, tmp_path: Path) -> None:
    model = write_models(tmp_path / "model", ("odd",))
    with RunningServer("--code-dir", model, log=tmp_path / "log") as server:
        browser.open(f"{server.url}/playground")
        browser.fill("x", "41")
    browser.press("Predict")
    browser.wait_for_text("The server does not respond.")
    assert browser.field("x").get_attribute("value") == "41"


def test_a_model_that_did_not_load(browser: Browser, tmp_path: Path) -> None:
    model = write_models(tmp_path / "model", ("odd",))
    (model / "custom.py").write_text("import a_missing_module\n")
    arguments = ("--code-dir", model, "--with-error-server")
    with RunningServer(*arguments, log=tmp_path / "log", ready="/livez") as server:
        browser.open(f"{server.url}/playground")
        browser.wait_for_text("The model failed to load.")
        browser.wait_for_text("a_missing_module")


def test_a_key_is_asked_for_and_stays_in_the_page(browser: Browser, tmp_path: Path) -> None:
    model = write_models(tmp_path / "model", ("talk",))
    environment = {"DRUM_SERVER_TYPE": "gunicorn", "DRUM_API_KEYS": KEY}
    with RunningServer("--code-dir", model, log=tmp_path / "log", environment=environment) as server:
        assert httpx.get(f"{server.url}/playground/models.json", trust_env=False).status_code == 401
        browser.open(f"{server.url}/playground")
        browser.fill("API key", "a-wrong-key-of-the-tests")
        browser.press("Use this key")
        browser.wait_for_text("The API key is not valid.")
        browser.fill("API key", KEY)
        browser.press("Use this key")
        browser.press("Send")
        browser.wait_for_text("You said: Hello there")
        assert KEY not in browser.driver.page_source and "$API_KEY" in code(browser)
        assert browser.run("return localStorage.length + sessionStorage.length + document.cookie.length") == 0
        browser.open(f"{server.url}/playground")
        browser.wait_for_text("This server needs an API key.")


# Look and keys


def test_no_page_is_wider_than_a_phone(page: Browser, server: RunningServer, tmp_path: Path) -> None:
    page.size(390)
    page.open(f"{server.url}/playground")
    for model in ("price", "spam", "talk", "words", "half"):
        choose(page, model)
        page.press({"talk": "Send", "words": "Send to the model", "half": "Transform"}.get(model, "Predict"))
        page.wait_for_text("Response in")
        assert page.run("return document.documentElement.scrollWidth") <= 390, model
        if model == "price":
            page.press("File")
            page.field("Choose a csv file").send_keys(str(_write_rows(tmp_path / "rows.csv", 200)))
            page.press("Predict all rows")
            answer(page)
            assert page.run("return document.documentElement.scrollWidth") <= 390


def test_themes_have_contrast(page: Browser) -> None:
    choose(page, "spam")
    page.press("Predict")
    answer(page)
    for scheme in ("dark", "light"):
        page.prefer(scheme)
        assert low_contrast(page) == [], scheme
        pressed = page.run("return document.getElementById('theme').getAttribute('aria-pressed')")
        page.press("Dark")
        assert page.run("return document.getElementById('theme').getAttribute('aria-pressed')") != pressed
        assert low_contrast(page) == [], f"not {scheme}"
        page.press("Dark")


def low_contrast(page: Browser) -> list[str]:
    """Return the texts whose contrast with their background is below 4.5 (WCAG 2.2, 1.4.3)."""
    script = """
        const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
        const light = (color) => numbers(color).slice(0, 3).map((part) => part / 255)
          .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
          .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
        const behind = (node) => {
          for (; node; node = node.parentElement) {
            const color = getComputedStyle(node).backgroundColor;
            if ((numbers(color)[3] ?? 1) === 1) return color;
          }
          return "rgb(255, 255, 255)";
        };
        const found = [];
        for (const node of document.querySelectorAll("body *")) {
          const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
          if (!node.offsetParent || node.disabled || !hasText) continue;
          const [one, other] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
          if ((one + 0.05) / (other + 0.05) < 4.5) found.push(node.textContent);
        }
        return found;
    """
    found: list[str] = page.run(script)
    return found


def test_the_keyboard_alone_is_enough(page: Browser) -> None:
    choose(page, "price")
    keys = page.driver.switch_to
    page.run("document.body.focus(); document.activeElement.blur()")
    keys.active_element.send_keys(Keys.TAB)
    assert keys.active_element.text == "Skip to the model"
    visited = []
    for _ in range(30):
        keys.active_element.send_keys(Keys.TAB)
        visited.append(
            page.run("return document.activeElement.innerText || document.activeElement.labels?.[0]?.innerText")
        )
        if visited[-1] == "Predict":
            break
    assert visited[-1] == "Predict" and "File" not in visited and "One row" in visited
    keys.active_element.send_keys(Keys.ENTER)
    assert answer(page) == "price: 6"
    page.elements("[role=tab]")[0].send_keys(Keys.ARROW_RIGHT)
    assert keys.active_element.text == "File" and page.field("Choose a csv file").is_displayed()


def test_every_control_has_a_name(page: Browser) -> None:
    unnamed = """
        return [...document.querySelectorAll("input, select, textarea, button, svg")]
          .filter((node) => !(node.labels?.length || node.textContent.trim() || node.getAttribute("aria-label")))
          .map((node) => node.outerHTML)
    """
    for model in ("price", "talk", "words", "half"):
        choose(page, model)
        assert page.run(unnamed) == []
