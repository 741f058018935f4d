"""``drum validation --expected``: predictions made elsewhere, and rows that csv changes when they are alone."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from datarobot_drum.drum.commands.validation.command import validate
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from tests.cases import each_case
from tests.cli.commands import drum
from tests.commands.models import UNSTRUCTURED, write_model

pytestmark = pytest.mark.usefixtures("clean_environment")

HEAD = "import pandas as pd\ndef load_model(code_dir):\n    return 'model'\n"
VALUE = HEAD + "def score(data, model, **kwargs):\n    return pd.DataFrame({'Predictions': data['x'] / 10})\n"
PAIR = HEAD + (
    "def score(data, model, positive_class_label, negative_class_label):\n"
    "    share = data['x'].fillna(0) / 20\n"
    "    return pd.DataFrame({positive_class_label: share, negative_class_label: 1 - share})\n"
)
CODES = HEAD + (
    "def score(data, model):\n"
    "    return pd.DataFrame({'Predictions': data['code'].map({'01': 1.0, 'A': 2.0}).fillna(-1.0)})\n"
)
RANKS = HEAD + "def score(data, model):\n    return pd.DataFrame({'Predictions': data['x'].rank()})\n"
LABELS = {"positive_class_label": "yes", "negative_class_label": "no"}
ROWS = 20


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.csv"
    path.write_text("x\n" + "".join(f"{row}\n" for row in range(ROWS)), encoding="utf-8")
    return path


def _check(
    capfdbinary: pytest.CaptureFixture[bytes], model: Path, samples: Path, target_type: str = "regression", **more: Any
) -> tuple[int, str]:
    """Return the exit code, and the line of the check of the expected predictions, or of single rows without any."""
    given = {"code_dir": str(model), "input": str(samples), "target_type": target_type, **more}
    code = validate(Arguments(command="validation", **given))
    name = "expected predictions" if "expected" in more else "batch equals single rows"
    lines = capfdbinary.readouterr().out.decode().splitlines()
    return code, next(" ".join(line.removeprefix(name).split()) for line in lines if line.startswith(name))


def _table(path: Path, **columns: Any) -> str:
    frame = pd.DataFrame(columns)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return str(path)


def _values(change: float = 0.0, row: int = 17) -> list[float]:
    return [number / 10 + (change if number == row else 0) for number in range(ROWS)]


@each_case(
    ("name", "columns"),
    [
        ("by name", {"id": range(ROWS), "Predictions": _values()}),
        ("by position", {"y_hat": _values()}),
        ("without the index", {"Unnamed: 0": range(ROWS), "y_hat": _values()}),
        ("within the tolerance", {"y_hat": _values(1e-7)}),
    ],
)
@each_case("suffix", [".csv", ".parquet"])
def test_equal_predictions_pass(
    tmp_path: Path,
    samples: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    name: str,
    columns: dict[str, Any],
    suffix: str,
) -> None:
    expected = _table(tmp_path / f"expected{suffix}", **columns)
    code, line = _check(capfdbinary, write_model(tmp_path, VALUE), samples, expected=expected)
    assert (code, line.split(",")[0]) == (0, f"PASSED {ROWS} rows")


def test_different_predictions_fail_with_the_first_row_and_both_values(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    report = tmp_path / "report.html"
    expected = _table(tmp_path / "expected.csv", y=_values(0.5))
    model = write_model(tmp_path, VALUE)
    code, line = _check(capfdbinary, model, samples, expected=expected, report=str(report))
    assert code == 1
    assert line == "FAILED 1 of 20 rows differ, the first is row 18: Predictions is 2.2 expected and 1.7 predicted"
    page = report.read_text(encoding="utf-8")
    assert "<tr><td>18</td><td>Predictions</td><td>2.2</td><td>1.7</td><td>17</td></tr>" in page


def test_tolerance_is_relative(tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    expected = _table(tmp_path / "expected.csv", y=_values(0.01))
    model = write_model(tmp_path, VALUE)
    assert _check(capfdbinary, model, samples, expected=expected, tolerance=0.01)[0] == 0
    assert _check(capfdbinary, model, samples, expected=expected, tolerance=0.001)[0] == 1


def test_rows_beyond_the_samples_are_compared(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    numbers = range(12_000)
    source = Path(_table(tmp_path / "rows.csv", x=numbers))
    expected = _table(tmp_path / "expected.csv", y=[number / 10 + (number == 11_999) for number in numbers])
    code, line = _check(capfdbinary, write_model(tmp_path, VALUE), source, expected=expected)
    assert code == 1 and "1 of 12000 rows differ, the first is row 12000" in line


@each_case(
    ("columns", "reason"),
    [
        ({"y": _values()[:-1]}, "expected.csv has 19 rows, the input has 20"),
        ({"a": _values(), "b": _values()}, "expected.csv has the columns 'a', 'b': name its columns as the model's"),
        ({"y": [*_values()[:-1], "n/k"]}, "Row 20 of the column y is 'n/k', which is no number"),
        ({"y": [*_values()[:-1], None]}, "Predictions is missing expected and 1.9 predicted"),
    ],
    ids=["rows", "columns", "text", "missing"],
)
def test_other_files_fail_with_the_reason(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes], columns: dict[str, Any], reason: str
) -> None:
    expected = _table(tmp_path / "expected.csv", **columns)
    code, line = _check(capfdbinary, write_model(tmp_path, VALUE), samples, expected=expected)
    assert (code, line.startswith("FAILED"), reason in line) == (1, True, True), line


@each_case(
    ("columns", "outcome"),
    [
        ({"no": [1 - row / 20 for row in range(ROWS)], "yes": [row / 20 for row in range(ROWS)]}, "PASSED 20 rows"),
        ({"yes": [row / 20 for row in range(ROWS)]}, "PASSED 20 rows"),
        ({"probability": [row / 20 for row in range(ROWS)]}, "PASSED 20 rows"),
        ({"id": range(ROWS), "label": ["yes" if row > 10 else "no" for row in range(ROWS)]}, "PASSED 20 rows"),
        ({"label": ["yes" if row >= 10 else "no" for row in range(ROWS)]}, "PASSED 20 rows"),
        ({"label": ["yes" if row > 11 else "no" for row in range(ROWS)]}, "label is no expected and yes predicted"),
        ({"no": [row / 20 for row in range(ROWS)]}, "FAILED 19 of 20 rows differ"),
        ({"0": [0.5] * ROWS, "1": [0.5] * ROWS}, "name its columns as the model's ('yes', 'no')"),
    ],
    ids=["both", "one", "unnamed", "labels", "tie", "wrong label", "inverted", "other names"],
)
def test_classes_are_compared_by_label(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes], columns: dict[str, Any], outcome: str
) -> None:
    expected = _table(tmp_path / "expected.csv", **columns)
    _, line = _check(capfdbinary, write_model(tmp_path, PAIR), samples, "binary", expected=expected, **LABELS)
    assert outcome in line


@each_case(
    ("arguments", "message"),
    [
        ({"expected": "nowhere.csv"}, "--expected nowhere.csv is not a file"),
        ({"tolerance": 0.1}, "--tolerance is that of --expected"),
        ({"expected": __file__, "tolerance": -1.0}, "must not be negative"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    tmp_path: Path, samples: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        validate(
            Arguments(
                command="validation",
                code_dir=str(write_model(tmp_path, VALUE)),
                input=str(samples),
                target_type="regression",
                **arguments,
            )
        )


def test_unstructured_model_has_no_rows_to_compare(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, UNSTRUCTURED)
    arguments = Arguments(
        command="validation", code_dir=str(model), input=str(samples), target_type="unstructured", expected=str(samples)
    )
    with pytest.raises(UsageError, match="an unstructured model has none"):
        validate(arguments)


@pytest.mark.process
def test_command_compares_a_packed_input_with_the_output_of_score(tmp_path: Path, samples: Path) -> None:
    packed = tmp_path / "samples.csv.gz"
    packed.write_bytes(gzip.compress(samples.read_bytes()))
    model = ("-cd", write_model(tmp_path, VALUE), "--target-type", "regression", "--input", packed)
    scored = drum("score", *model, "--output", tmp_path / "scored.csv")
    assert scored.returncode == 0, scored.stderr
    compared = drum("validation", *model, "--expected", tmp_path / "scored.csv", "--tolerance", "0")
    assert (compared.returncode, "expected predictions      PASSED  20 rows\n" in compared.stdout) == (0, True)


def test_row_that_csv_changes_when_alone_is_named_with_what_to_do(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    source = Path(_table(tmp_path / "codes.csv", code=["01", "A", "01"]))
    code, line = _check(capfdbinary, write_model(tmp_path, CODES), source)
    assert code == 1
    assert (
        "FAILED 2 of 3 rows differ, the first is row 1: Predictions is 1.0 in a batch and -1.0 alone, as csv." in line
    )
    assert "set the dtype of each column" in line


def test_prediction_that_depends_on_other_rows_is_named_with_what_to_do(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code, line = _check(capfdbinary, write_model(tmp_path, RANKS), samples)
    assert code == 1
    assert "the first is row 2: Predictions is 2.0 in a batch and 1.0 alone. The prediction of a row must not" in line


def test_small_differences_of_batches_pass_and_are_reported(
    tmp_path: Path, samples: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    model = VALUE.replace("data['x'] / 10", "data['x'] / 10 + 1 + 1e-9 * len(data)")
    code, line = _check(capfdbinary, write_model(tmp_path, model), samples)
    assert code == 0
    assert "PASSED 20 rows, not equal to the last bit: the largest difference is 1.9e-08, in row " in line
