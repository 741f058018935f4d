"""``drum validation``: the checks, the table, the report and the exit code."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum import __version__
from datarobot_drum.drum.commands.validation.command import validate
from datarobot_drum.drum.commands.validation.results import CheckResult, Status, exit_code_of
from datarobot_drum.drum.exceptions import UnprocessableInput, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from tests.cli.commands import drum
from tests.commands import chromium
from tests.commands.models import PAIR, RAW, STREAM, UNSTRUCTURED, write_model

pytestmark = pytest.mark.usefixtures("clean_environment")

HEAD = "import pandas as pd\ncalls = []\ndef load_model(code_dir):\n    print('noise')\n    return 'model'\n"
SCORE = HEAD + "def score(data, model, **kwargs):\n    calls.append(1)\n    return pd.DataFrame({'Predictions': %s})\n"

SOUND = SCORE % "data['number'].fillna(0) * 0.5"
CHECKS = ["determinism", "batch equals single rows", "row order"]
FEATURES = ["missing values: number", "missing values: word <b>&"]

FAILING = {
    "determinism": (SCORE % "data['number'].fillna(0) + len(calls)", "10 of 10 rows differ, the first is row 1"),
    "batch equals single rows": (SCORE % "data['number'].fillna(0) + len(data)", "10 of 10 rows differ"),
    "row order": (SCORE % "range(len(data))", "rows differ"),
    "missing values: number": (SCORE % "data['number'].map(lambda n: int(n) * 1.0)", "Missing in all rows: ValueError"),
    "missing values: word <b>&": (
        SCORE % "data['word <b>&'].astype(object).map(lambda w: len(w) if isinstance(w, (str, float)) else w)",
        "Missing in all rows: TypeError",
    ),
    "output format": (SCORE % "1 / data['number'].map(lambda n: [][0] if n == 7 else 1)", "list index out of range"),
    "model loads": ("import module_that_does_not_exist\n", "custom.py, line 1: the module module_that_does_not_exist"),
    "input is read": (
        "def read_input_data(input_binary_data):\n    raise ValueError('what is this?')\n" + SOUND,
        "what",
    ),
}


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.csv"
    path.write_text("number,word <b>&\n" + "".join(f"{row},w{row}\n" for row in range(10)), encoding="utf-8")
    return path


def _validate(model: Path, samples: Path, target_type: str = "regression", **more: Any) -> int:
    given = {"code_dir": str(model), "input": str(samples), "target_type": target_type, **more}
    return validate(Arguments(command="validation", **given))


def _statuses(text: str) -> dict[str, str]:
    """Parse the table into statuses by check."""
    rows = (re.split(r"\s{2,}", line, maxsplit=2) for line in text.splitlines() if "  " in line)
    return {row[0]: row[1] for row in rows if row[0] != "check"}


def test_valid_model_passes_every_check(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert _validate(write_model(tmp_path, SOUND), samples) == 0
    text = capfdbinary.readouterr().out.decode()
    assert _statuses(text) == dict.fromkeys(["model loads", "output format", *CHECKS, *FEATURES], "PASSED")
    assert text.endswith("7 checks: 7 passed.\n")


@pytest.mark.parametrize("check", FAILING)
def test_check_detects_its_failure(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes], check: str
) -> None:
    code, detail = FAILING[check]
    report = tmp_path / "report.html"
    assert _validate(write_model(tmp_path, code), samples, report=str(report)) == 1
    text = capfdbinary.readouterr().out.decode()
    line = next(line for line in text.splitlines() if line.startswith(check))
    assert _statuses(text)[check] == "FAILED" and detail in line
    assert 'class="status FAILED"' in report.read_text(encoding="utf-8")


def test_report_shows_failing_rows(tmp_path: Path, samples: Path) -> None:
    report = tmp_path / "report.html"
    _validate(write_model(tmp_path, FAILING["output format"][0]), samples, report=str(report))
    page = report.read_text(encoding="utf-8")
    assert "Rows that fail alone, too" in page
    assert "<tr><td>8</td><td>7</td><td>w7</td></tr>" in page
    assert "word &lt;b&gt;&amp;" in page and "<b>" not in page


def test_report_shows_both_values_of_differing_rows(tmp_path: Path, samples: Path) -> None:
    report = tmp_path / "report.html"
    _validate(write_model(tmp_path, FAILING["batch equals single rows"][0]), samples, report=str(report))
    page = report.read_text(encoding="utf-8")
    assert '<th scope="col">in a batch</th><th scope="col">alone</th>' in page
    assert "<tr><td>2</td><td>Predictions</td><td>11.0</td><td>2.0</td><td>1</td><td>w1</td></tr>" in page


def test_missing_predictions_are_reported_without_failure(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert _validate(write_model(tmp_path, SCORE % "data['number'].where(data['number'] != 3)"), samples) == 0
    assert b"1 of them missing, which clients get as null" in capfdbinary.readouterr().out


@pytest.mark.parametrize(
    ("code", "target_type"),
    [(STREAM, "regression"), (PAIR, "binary"), (RAW, "regression"), (UNSTRUCTURED, "unstructured")],
    ids=["score_stream", "binary", "read_input_data", "unstructured"],
)
def test_models_with_other_hooks_are_checked(
    tmp_path: Path,
    samples: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    code: str,
    target_type: str,
) -> None:
    labels = {"positive_class_label": "yes", "negative_class_label": "no"} if target_type == "binary" else {}
    _validate(write_model(tmp_path, code), samples, target_type, **labels)
    statuses = _statuses(capfdbinary.readouterr().out.decode())
    assert statuses["output format"] == statuses["determinism"] == "PASSED"
    assert "SKIPPED" not in statuses.values()


def test_generated_text_skips_determinism_checks(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_NAME", "text")
    code = HEAD + "def score(data, model, **kwargs):\n    calls.append(1)\n"
    code += "    return pd.DataFrame({'text': [f'call {len(calls)}'] * len(data)})\n"
    assert _validate(write_model(tmp_path, code), samples, "textgeneration") == 0
    statuses = _statuses(capfdbinary.readouterr().out.decode())
    assert {check for check, status in statuses.items() if status == "SKIPPED"} == {
        *CHECKS,
        "chat reply",
        "streamed chat reply",
    }


@pytest.mark.parametrize(
    ("vector", "status"),
    [("[len(text), 1.0]", "PASSED"), ("[len(text), len(texts)]", "FAILED"), ("[1.0] * len(texts)", "FAILED")],
    ids=["sound", "values", "lengths"],
)
def test_embeddings_equal_those_of_single_texts(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, vector: str, status: str
) -> None:
    monkeypatch.setenv("TARGET_NAME", "text")
    samples = tmp_path / "samples.csv"
    samples.write_text("promptText,other\nfirst,1\nthe second,2\n")
    model = write_model(tmp_path, f"def embed(texts, model): return [{vector} for text in texts]\n")
    assert _validate(model, samples, "textgeneration") == (status == "FAILED")
    statuses = _statuses(capfdbinary.readouterr().out.decode())
    assert statuses["embeddings equal single texts"] == status
    assert statuses["output format"] == "SKIPPED"


CHATS = {
    "text": ("return 'hello'", "PASSED", "PASSED"),
    "chunks if wanted": ("return iter(['he', 'llo']) if params.get('stream') else 'hello'", "PASSED", "PASSED"),
    "message": ("return {'role': 'assistant', 'content': None, 'tool_calls': [{'id': '1'}]}", "PASSED", "PASSED"),
    "streams always": ("yield 'hello'", "FAILED", "PASSED"),
    "no text": ("return ''", "FAILED", "FAILED"),
    "error in the stream": ("yield 'he'; raise ValueError('no more')", "FAILED", "FAILED"),
    "error": ("raise ValueError('no')", "FAILED", "FAILED"),
    "no completion": ("return 7", "FAILED", "FAILED"),
}


@pytest.mark.parametrize(("code", "reply", "stream"), CHATS.values(), ids=CHATS.keys())
@pytest.mark.parametrize("name", ["prompts.csv", "request.json"])
def test_models_that_chat_reply_at_once_and_as_a_stream(
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: str,
    reply: str,
    stream: str,
) -> None:
    monkeypatch.setenv("TARGET_NAME", "text")
    prompts = tmp_path / name
    prompts.write_text(
        {"prompts.csv": "promptText\nHi\n"}.get(name, '{"messages": [{"role": "user", "content": "Hi"}]}')
    )
    model = write_model(tmp_path, f"def chat(params, model): {code}\n")
    assert _validate(model, prompts, "textgeneration") == ("FAILED" in (reply, stream))
    statuses = _statuses(capfdbinary.readouterr().out.decode())
    assert (statuses["chat reply"], statuses["streamed chat reply"]) == (reply, stream)


def test_input_without_a_chat_request_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_NAME", "text")
    request = tmp_path / "request.json"
    request.write_text('{"messages": []}')
    with pytest.raises(UnprocessableInput, match=r"no chat request.*empty list"):
        _validate(write_model(tmp_path, "def chat(params, model): return 'a'\n"), request, "textgeneration")


def test_sparse_input_skips_missing_values_check(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "in.mtx"
    path.write_text("%%MatrixMarket matrix coordinate real general\n3 2 2\n1 1 5\n3 2 7\n", encoding="utf-8")
    assert _validate(write_model(tmp_path, SCORE % "data.sum(axis=1).to_numpy()"), path) == 0
    statuses = _statuses(capfdbinary.readouterr().out.decode())
    assert [check for check, status in statuses.items() if status == "SKIPPED"] == ["missing values"]


def test_unreadable_input_raises_instead_of_failing_the_model(tmp_path: Path, samples: Path) -> None:
    samples.write_text("", encoding="utf-8")
    with pytest.raises(UnprocessableInput, match="The csv is empty"):
        _validate(write_model(tmp_path, SOUND), samples)


def test_report_requires_an_existing_folder(tmp_path: Path, samples: Path) -> None:
    with pytest.raises(UsageError, match="must name a file in a folder that exists"):
        _validate(write_model(tmp_path, SOUND), samples, report=str(tmp_path / "nowhere" / "report.html"))


def test_most_severe_failure_sets_the_exit_code() -> None:
    passed, failed = CheckResult("a", Status.PASSED, exit_code=3), CheckResult("b", Status.FAILED)
    schema = CheckResult("c", Status.FAILED, exit_code=3)
    assert [exit_code_of(found) for found in ([passed], [passed, failed], [failed, schema])] == [0, 1, 3]


class _References(HTMLParser):
    """Collects everything that a page could load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"<{tag}>" for _ in (1,) if tag in {"script", "iframe", "img", "object", "embed", "base"}]
        self.found += [f"{name}={value}" for name, value in attrs if name in {"src", "href", "srcset", "action"}]
        self.found += [name for name, _ in attrs if name.startswith("on")]


def test_report_has_failures_first_with_advice_and_what_they_depend_on(tmp_path: Path, samples: Path) -> None:
    report = tmp_path / "report.html"
    _validate(write_model(tmp_path, FAILING["missing values: number"][0]), samples, report=str(report))
    page = report.read_text(encoding="utf-8")
    assert page.index("Missing in all rows") < page.index("Impute missing cells") < page.index("row order")
    assert all(
        text in page for text in ("<dt>date</dt>", "<dt>versions</dt>", f"datarobot_drum {__version__}", "pandas ")
    )


def test_report_is_self_contained(tmp_path: Path, samples: Path) -> None:
    report = tmp_path / "report.html"
    _validate(write_model(tmp_path, FAILING["row order"][0]), samples, report=str(report))
    page = report.read_text(encoding="utf-8")
    assert _References(page).found == ["href=data:,"]
    assert "url(" not in page and "@import" not in page and "default-src 'none'" in page


@pytest.mark.process
@pytest.mark.skipif(chromium.BROWSER is None, reason=chromium.MISSING)
def test_browser_shows_report_without_further_requests(tmp_path: Path, samples: Path) -> None:
    report = tmp_path / "report.html"
    _validate(write_model(tmp_path, FAILING["row order"][0]), samples, report=str(report))
    overflow = chromium.visit(report, tmp_path / "phone", chromium.OVERFLOW, chromium.PHONE_WIDTH)
    assert overflow.found == 0
    seen = chromium.visit(report, tmp_path / "browser")
    assert len(seen.screenshot) > 10_000
    assert seen.problems == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [report.as_uri()]


@pytest.mark.process
def test_validation_prints_table_and_exits_with_1_on_failure(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, FAILING["row order"][0])
    process = drum("validation", "-cd", model, "--target-type", "regression", "--input", samples)
    assert (process.returncode, process.stderr) == (1, "noise\n")
    assert process.stdout.startswith("check ") and "row order " in process.stdout


@pytest.mark.process
def test_missing_input_is_a_usage_error(tmp_path: Path) -> None:
    process = drum("validation", "-cd", write_model(tmp_path, SOUND), "--target-type", "regression")
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == "drum: error: --input is missing: give the flag or the variable INPUT.\n"
