"""``drum score``: input and output formats, blocks and errors."""

import gzip
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from datarobot_drum.drum.commands.score.command import score
from datarobot_drum.drum.exceptions import CommandError, PredictionError, UnprocessableInput, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from tests.cli.commands import drum
from tests.commands.models import FAILS_LATE, LATE_TYPES, PAIR, RAW, STREAM, TYPES, UNSTRUCTURED, WAITS, write_model
from tests.processes import clean_environment

pytestmark = pytest.mark.usefixtures("clean_environment")

ROWS = 25_000
"""Three blocks."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Columns whose types are those of the whole only: a gap and text stand in the last block alone."""
    path = tmp_path_factory.mktemp("input") / "table.csv"
    gaps, text = [str(row) for row in range(ROWS)], [str(row) for row in range(ROWS)]
    gaps[-3], text[-2] = "", "text"
    lines = (f"{row},{gap},{word}\n" for row, (gap, word) in enumerate(zip(gaps, text, strict=True)))
    path.write_text("number,gaps,text\n" + "".join(lines), encoding="utf-8")
    return path


def _score(model: Path, source: Path, output: Path | None = None, target_type: str = "regression", **more: Any) -> int:
    given = {"code_dir": str(model), "input": str(source), "target_type": target_type, **more}
    return score(Arguments(command="score", output=str(output) if output else None, **given))


def _left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".parquet": lambda frame, path: frame.to_parquet(path),
    ".feather": lambda frame, path: frame.to_feather(path),
}
READERS: dict[str, Callable[[Any], pd.DataFrame]] = {
    ".csv": lambda path: pd.read_csv(path, **EXACT_FLOATS),
    ".parquet": pd.read_parquet,
    ".arrow": pd.read_feather,
    ".feather": pd.read_feather,
}


@pytest.mark.parametrize("into", READERS)
@pytest.mark.parametrize("source", WRITERS)
def test_score_converts_every_input_format_to_every_output_format(
    tmp_path: Path, table: Path, source: str, into: str
) -> None:
    whole = pd.read_csv(table, low_memory=False)
    path = tmp_path / f"in{source}"
    WRITERS[source](whole, path)
    output = tmp_path / f"out{into}"
    assert _score(write_model(tmp_path, TYPES), path, output) == 0
    scored = READERS[into](output)
    assert list(scored.columns) == ["Predictions", "types", "row"]
    assert scored["Predictions"].tolist() == [row / 3 for row in range(ROWS)]
    assert set(scored["types"]) == {",".join(map(str, whole.dtypes))}
    assert scored["row"].max() < 10_000 and not _left_over(tmp_path)


def test_matrix_market_file_is_scored_in_slices(tmp_path: Path) -> None:
    entries = "".join(f"{row} 1 {row}\n" for row in range(1, 12_001))
    path = tmp_path / "in.mtx"
    path.write_text(f"%%MatrixMarket matrix coordinate real general\n12000 2 12000\n{entries}", encoding="utf-8")
    code = "import pandas as pd\ndef load_model(d): return 1\ndef score(data, model, **k):\n"
    code += "    return pd.DataFrame({'Predictions': data.iloc[:, 0].to_numpy() * 2.0})\n"
    assert _score(write_model(tmp_path, code), path, tmp_path / "out.csv") == 0
    assert pd.read_csv(tmp_path / "out.csv")["Predictions"].tolist() == [2.0 * row for row in range(1, 12_001)]


def test_class_labels_are_the_columns(tmp_path: Path, table: Path) -> None:
    model = write_model(tmp_path, PAIR)
    labels = {"positive_class_label": "yes", "negative_class_label": "no way"}
    assert _score(model, table, tmp_path / "out.csv", "binary", **labels) == 0
    scored = pd.read_csv(tmp_path / "out.csv")
    assert list(scored.columns) == ["yes", "no way"] and scored["yes"].tolist() == [
        row % 10 / 10 for row in range(ROWS)
    ]


@pytest.mark.parametrize("code", [STREAM, RAW], ids=["score_stream", "read_input_data"])
def test_models_with_raw_input_or_streams_are_scored(tmp_path: Path, code: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"number\n1\n2\n3\n")
    assert _score(write_model(tmp_path, code), path, tmp_path / "out.csv") == 0
    wanted = [1.0, 2.0, 3.0] if code is STREAM else [float(byte) for byte in path.read_bytes()]
    assert pd.read_csv(tmp_path / "out.csv")["Predictions"].tolist() == wanted


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_extra_output_has_types_that_fit_all_blocks(tmp_path: Path, table: Path, form: str) -> None:
    output = tmp_path / f"out.{form}"
    assert _score(write_model(tmp_path, LATE_TYPES), table, output) == 0
    scored = READERS[f".{form}"](output)
    assert scored["count"].tolist() == [1.0] * 10_000 + [1.5] * 15_000
    assert scored["reason"].isna().sum() == 10_000 and set(scored["reason"].dropna()) == {"because"}


@pytest.mark.parametrize(
    ("query", "content_type", "expected"),
    [
        ("a=1&b=2", None, "str \xe4 text/plain ['a', 'b']".encode("latin-1")),
        ("", "application/octet-stream", b"bytes b'\\xc3\\xa4' application/octet-stream []"),
        ("format=bytes", None, bytes(range(256))),
        ("format=stream", None, b"one two"),
    ],
    ids=["text", "bytes in", "bytes out", "stream"],
)
def test_unstructured_model_gets_the_whole_file(
    tmp_path: Path, query: str, content_type: str | None, expected: bytes
) -> None:
    path, output = tmp_path / "body.bin", tmp_path / "output.xyz"
    path.write_bytes("ä".encode())
    model = write_model(tmp_path, UNSTRUCTURED)
    assert _score(model, path, output, "unstructured", query=query, content_type=content_type) == 0
    assert output.read_bytes() == expected


def test_content_type_sets_the_charset(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes("number,ä\n1,ü\n".encode("latin-1"))
    model = write_model(tmp_path, TYPES)
    with pytest.raises(UnprocessableInput, match="not utf-8 text"):
        _score(model, path, tmp_path / "out.csv")
    assert _score(model, path, tmp_path / "out.csv", content_type="text/csv; charset=latin-1") == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"input": None}, "--input is missing"),
        ({"input": "nowhere.csv"}, "--input nowhere.csv is not a file"),
        ({"output": "{folder}"}, "is not empty: name another one"),
        ({"output": "{folder}/nowhere/out.csv"}, "there is no folder"),
        ({"output": "{folder}/out.xlsx"}, "must be one of .csv, .parquet"),
        ({"target_type": None}, "--target-type is missing"),
    ],
)
def test_wrong_arguments_raise_usage_error(
    tmp_path: Path, table: Path, changes: dict[str, str | None], complaint: str
) -> None:
    given = {"code_dir": str(write_model(tmp_path, TYPES)), "input": str(table), "target_type": "regression"}
    given |= {name: value and value.format(folder=tmp_path) for name, value in changes.items()}  # type: ignore[misc]
    with pytest.raises(UsageError, match=complaint):
        score(Arguments(command="score", **given))  # type: ignore[arg-type]


def test_failure_names_its_rows_and_leaves_no_file(tmp_path: Path, table: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("of yesterday", encoding="utf-8")
    with pytest.raises(CommandError, match=r"In the block of rows 10001 to 20000: ValueError: too large"):
        _score(write_model(tmp_path, FAILS_LATE), table, output)
    assert output.read_text() == "of yesterday" and not _left_over(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", [".csv", ".parquet"])
def test_every_block_is_checked_against_the_type_schema(tmp_path: Path, table: Path, form: str) -> None:
    model = write_model(tmp_path, TYPES)
    (model / "model-metadata.yaml").write_text(
        "typeSchema: {input_requirements: [{field: data_types, condition: NOT_IN, value: TXT}, "
        "{field: contains_missing, condition: EQUALS, value: FORBIDDEN}]}"
    )
    source = tmp_path / f"table{form}"
    WRITERS[form](pd.read_csv(table), source)
    finished = drum("score", "--code-dir", model, "--target-type", "regression", "--input", source)
    assert finished.returncode == 3
    assert "drum: error: In the block of rows 20001 to 25000: The input breaks typeSchema: contains_missing" in (
        finished.stderr
    )


def test_full_disk_is_reported(tmp_path: Path, table: Path) -> None:
    with pytest.raises(CommandError, match="writing the output failed: No space left on device"):
        _score(write_model(tmp_path, TYPES), table, Path("/dev/full"))


def test_chat_model_is_rejected(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_NAME", "text")
    model = write_model(tmp_path, "def load_model(d): return 1\ndef chat(params, model): return {}\n")
    with pytest.raises(UnprocessableInput, match="no score hook"):
        _score(model, table, tmp_path / "out.csv", "textgeneration")


def test_wrong_output_is_reported(tmp_path: Path, table: Path) -> None:
    model = write_model(tmp_path, "def load_model(d): return 1\ndef score(data, model, **k): return None\n")
    with pytest.raises(PredictionError, match="it must return a pandas DataFrame"):
        _score(model, table, tmp_path / "out.csv")


@pytest.mark.process
def test_standard_output_contains_only_predictions(tmp_path: Path, table: Path) -> None:
    words = ("-cd", write_model(tmp_path, TYPES), "--target-type", "regression")
    process = drum("score", *words, "--input", table)
    lines = process.stdout.splitlines()
    assert (process.returncode, len(lines), lines[0]) == (0, ROWS + 1, "Predictions,types,row")
    assert process.stderr == "model code prints\n"


@pytest.mark.process
def test_score_reads_pipes_and_survives_a_closed_reader(tmp_path: Path, table: Path) -> None:
    model = write_model(tmp_path, TYPES)
    command = f"cat {table} | {sys.executable} -m datarobot_drum score -cd {model} --target-type regression"
    command += " --input /dev/stdin | head -2"
    done = subprocess.run(command, shell=True, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[0] == "Predictions,types,row" and len(done.stdout.splitlines()) == 2
    assert done.stderr == "model code prints\n"


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        ("--input {folder}/nowhere.csv", 2, "is not a file"),
        ("--input {folder}/in.csv --address :80", 2, "--address is that of a Ray cluster: give --engine ray, too."),
        ("--input {folder}/in.csv", 1, "The csv is empty"),
    ],
)
def test_error_is_one_sentence_and_an_exit_code(tmp_path: Path, words: str, exit_code: int, said: str) -> None:
    (tmp_path / "in.csv").touch()
    model = write_model(tmp_path, PAIR)
    process = drum("score", "-cd", model, "--target-type", "regression", *words.format(folder=tmp_path).split())
    assert (process.returncode, process.stdout) == (exit_code, "")
    assert said in process.stderr and len(process.stderr.splitlines()) == 1


@pytest.mark.process
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_interrupted_score_leaves_no_output_file(
    tmp_path: Path, table: Path, number: signal.Signals, exit_code: int
) -> None:
    model, output = write_model(tmp_path, WAITS), tmp_path / "out.csv"
    words = ["-cd", model, "--target-type", "regression", "--input", table, "--output", output]
    command = [sys.executable, "-m", "datarobot_drum", "score", *map(str, words)]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "second-block").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        assert _left_over(tmp_path) and not output.exists()
        process.send_signal(number)
        assert process.wait(30) == exit_code
    assert not output.exists()
    assert number is signal.SIGKILL or not _left_over(tmp_path)


@pytest.mark.process
@pytest.mark.parametrize(("variables", "progress"), [({"TERM": "xterm"}, "━"), ({"TERM": "dumb"}, "scoring: 100%")])
def test_a_terminal_shows_progress(tmp_path: Path, table: Path, variables: dict[str, str], progress: str) -> None:
    words = ["-cd", write_model(tmp_path, PAIR), "--target-type", "binary", "--input", table]
    words += ["--positive-class-label", "a", "--negative-class-label", "b", "--output", tmp_path / "out.csv"]
    terminal, slave = pty.openpty()
    command = [sys.executable, "-m", "datarobot_drum", "score", *map(str, words)]
    environment = clean_environment() | variables
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=slave) as process:
        assert process.wait(60) == 0 and process.stdout is not None and process.stdout.read() == b""
    os.set_blocking(terminal, False)
    said = os.read(terminal, 100_000).decode()
    os.close(slave)
    os.close(terminal)
    assert "reading types" in said and "scoring" in said and progress in said


@pytest.mark.process
@pytest.mark.parametrize("place", ["--input", "--output"])
def test_missing_pyarrow_names_the_extra(tmp_path: Path, table: Path, place: str) -> None:
    files = {"--input": str(table), "--output": str(tmp_path / "out.csv")}
    files[place] = str(tmp_path / "table.parquet")
    Path(files["--input"]).touch()
    words = ["score", "-cd", str(write_model(tmp_path, PAIR)), "--target-type", "regression"]
    words += [word for pair in files.items() for word in pair]
    code = "import sys; sys.modules['pyarrow'] = None; from datarobot_drum.drum.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)
    said = "drum: error: Parquet files need PyArrow: install datarobot-drum[arrow].\n"
    assert (done.returncode, done.stderr) == (1, said)


PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.mark.process
def test_memory_is_independent_of_input_size(tmp_path: Path) -> None:
    """Peak memory in MiB over a file of 4 and one of 43 MB: what the larger one would take as a table is far more."""
    model = write_model(tmp_path, PAIR)
    peaks = []
    for rows in (10_000, 120_000):
        path = tmp_path / f"{rows}.csv"
        path.write_text("number,text\n" + f"7,{'some text that takes its room ' * 12}\n" * rows, encoding="utf-8")
        words = ["-cd", model, "--target-type", "binary", "--input", path, "--output", tmp_path / "out.csv"]
        words += ["--positive-class-label", "a", "--negative-class-label", "b"]
        command = [sys.executable, "-c", PEAK, sys.executable, "-m", "datarobot_drum", "score", *map(str, words)]
        done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True, timeout=120)
        exit_code, peak = map(int, done.stdout.split())
        assert exit_code == 0
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 40


def test_packed_csv_is_scored_as_the_plain_one(
    tmp_path: Path, table: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    model = write_model(tmp_path, TYPES)
    assert _score(model, packed, tmp_path / "packed.csv") == _score(model, table, tmp_path / "plain.csv") == 0
    assert (tmp_path / "packed.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_damaged_gzip_file_is_a_usage_error(tmp_path: Path, table: Path) -> None:
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes())[:-9])
    with pytest.raises(UsageError, match="cannot be unpacked"):
        _score(write_model(tmp_path, TYPES), packed)


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.json.gz"])
def test_json_file_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    source, content = tmp_path / name, b'{"number": 1, "x": 2}\n{"number": 2, "x": 2}\n'
    source.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UnprocessableInput, match=r"is JSON, not csv: convert it, for example with pandas\.read_json"):
        _score(write_model(tmp_path, TYPES), source)


def test_csv_with_the_extension_of_json_is_scored(tmp_path: Path) -> None:
    source = tmp_path / "rows.json"
    source.write_bytes(b"number\n1\n")
    assert _score(write_model(tmp_path, TYPES), source, tmp_path / "out.csv") == 0
