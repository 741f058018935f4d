"""``drum score`` in parts: many files, several processes, folders of results."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest

from datarobot_drum.drum.commands.score.command import score
from datarobot_drum.drum.exceptions import CommandError, DrumError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from tests.cases import each_case
from tests.commands.models import RAW, write_model

pytestmark = pytest.mark.usefixtures("clean_environment")

ECHO = """
import pandas as pd


def load_model(code_dir):
    return 1


def score(data, model, **kwargs):
    text, flag = (data.iloc[:, position].astype(object).map(str) for position in (1, 2))
    types = ",".join(map(str, data.dtypes))
    block = f"{data.index[0]} {len(data)}"
    return pd.DataFrame({"Predictions": data["number"] / 3, "types": types, "texts": text + flag, "block": block})
"""

TEXTS = ("plain", '"line\nbreak ""q"""', '"a,b"', 'a 5" pipe', "NA", "", '"",', "é")


def _rows(count: int, start: int = 0) -> list[str]:
    draw = random.Random(start)
    numbers = (str(row) if row < 25_000 else f"{row}.5" for row in range(start, start + count))
    return [f"{number},{draw.choice(TEXTS[:6])},{'True' if number != '30' else ''}" for number in numbers]


def _csv(*rows: str, header: str = "number,text,flag", end: str = "\n") -> bytes:
    return (end.join([header, *rows]) + end).encode()


def _given(folder: Path, source: Path | str, output: Path | str, **more: Any) -> Arguments:
    model = folder / "model"
    if not model.exists():
        model.mkdir()
        (model / "custom.py").write_text(ECHO)
    return Arguments(code_dir=str(model), target_type="regression", input=str(source), output=str(output), **more)


def _union(folder: Path) -> bytes:
    files = sorted(folder.glob("part-*.csv"))
    lines = [path.read_bytes().partition(b"\n") for path in files]
    assert len({header for header, _, _ in lines}) == 1
    return b"".join([lines[0][0], b"\n", *(rest for _, _, rest in lines)])


@each_case(
    "content",
    [
        pytest.param(_csv(*_rows(45_000)), id="types that change in the third part"),
        pytest.param(_csv(*_rows(41_000), end="\r\n"), id="carriage returns"),
        pytest.param(_csv(*_rows(41_000), end="\r"), id="carriage returns alone: one part"),
        pytest.param(_csv(*_rows(30_000), "", "  ", *_rows(20_000)), id="blank lines"),
        pytest.param(b"\xef\xbb\xbf" + _csv(*_rows(20_001)), id="byte order mark"),
        pytest.param(_csv(*_rows(20_000)).rstrip(b"\n"), id="no line end at the end of the last block"),
        pytest.param(_csv(*_rows(30_000), f"{2**70},x,True", *_rows(20_000)), id="huge integers"),
        pytest.param(_csv(*_rows(3)), id="one block"),
        pytest.param(_csv(), id="no rows"),
    ],
)
def test_parts_equal_the_file_that_one_process_writes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    source, parts_folder = tmp_path / "in.csv", tmp_path / "parts"
    assert score(_given(tmp_path, source, tmp_path / "one.csv")) == 0
    assert score(_given(tmp_path, source, f"{parts_folder}/")) == 0
    assert _union(parts_folder) == (tmp_path / "one.csv").read_bytes()
    assert {path.name for path in parts_folder.iterdir() if path.suffix != ".csv"} == {"_SUCCESS", "_job.json"}


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, row_group_size=7_000)


@pytest.mark.parametrize(
    "write, name", [(_write_parquet, "in.parquet"), (pd.DataFrame.to_feather, "in.arrow")], ids=["Parquet", "Arrow"]
)
def test_parts_of_arrow_files_equal_the_file_that_one_process_writes(
    tmp_path: Path, write: Callable[..., None], name: str
) -> None:
    rows = range(65_000)
    table = pd.DataFrame({"number": rows, "text": pd.Categorical([f"c{row // 9_000}" for row in rows])})
    table["gaps"] = pd.array([None if row == 64_000 else row for row in rows], dtype="Int64")
    write(table, tmp_path / name)
    assert score(_given(tmp_path, tmp_path / name, tmp_path / "one.csv")) == 0
    assert score(_given(tmp_path, tmp_path / name, f"{tmp_path}/parts/")) == 0
    assert _union(tmp_path / "parts") == (tmp_path / "one.csv").read_bytes()


def test_folder_and_pattern_are_one_table_whose_types_do_not_depend_on_its_files(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole.csv", tmp_path / "data" / "day"
    folder.mkdir(parents=True)
    whole.write_bytes(_csv(*_rows(40_000)))
    (folder / "a.csv").write_bytes(_csv(*_rows(40_000)[:20_000]))
    (folder / "b.csv").write_bytes(_csv())
    (folder / "c.csv").write_bytes(_csv(*_rows(40_000)[20_000:]))
    (folder / "_SUCCESS").write_text("")
    for number, source in enumerate(map(str, (whole, tmp_path / "data", f"{folder}/*.csv"))):
        assert score(_given(tmp_path, source, tmp_path / f"{number}.csv")) == 0
    one, of_folder, of_pattern = (pd.read_csv(tmp_path / f"{number}.csv") for number in range(3))
    columns = ["Predictions", "types", "texts"]
    pd.testing.assert_frame_equal(one[columns], of_folder[columns])
    pd.testing.assert_frame_equal(of_folder, of_pattern)


def test_parquet_parts_have_the_same_types(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(_csv(*_rows(45_000)))
    given = _given(tmp_path, tmp_path / "in.csv", f"{tmp_path}/parts/", output_format="parquet")
    (tmp_path / "model" / "custom.py").write_text(
        ECHO + "\n\n_score = score\n\n\ndef score(data, model, **kwargs):\n"
        "    whole = data.index[0] < 20_000\n"
        "    return _score(data, model).assign(extra=data.index if whole else data.index + 0.5)\n"
    )
    assert score(given) == 0
    tables = [pyarrow.parquet.read_table(path) for path in sorted((tmp_path / "parts").glob("*.parquet"))]
    assert len(tables) == 5 and len({table.schema for table in tables}) == 1
    assert json.loads((tmp_path / "parts" / "_SUCCESS").read_text())["rows"] == 45_000


def test_resumed_run_keeps_finished_parts_and_rejects_another_job(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(_csv(*_rows(45_000), "no number,x,True"))
    given = _given(tmp_path, source, f"{tmp_path}/parts/")
    code = tmp_path / "model" / "custom.py"
    code.write_text(ECHO.replace('data["number"] / 3', 'pd.to_numeric(data["number"]) / 3'))
    with pytest.raises(CommandError, match=r"in\.csv, rows 40001 to 45001"):
        score(given)
    parts_folder = tmp_path / "parts"
    finished = {path.name: path.stat().st_mtime_ns for path in parts_folder.glob("part-*.csv")}
    assert len(finished) == 4 and not (parts_folder / "_SUCCESS").exists()
    with pytest.raises(UsageError, match="is not empty: give --resume"):
        score(given)
    with pytest.raises(CommandError, match="rows 40001 to 45001"):
        score(_given(tmp_path, source, f"{parts_folder}/", resume=True))
    assert {path.name: path.stat().st_mtime_ns for path in parts_folder.glob("part-*.csv")} == finished
    source.write_bytes(_csv(*_rows(45_000)))
    with pytest.raises(UsageError, match="come from other input"):
        score(_given(tmp_path, source, f"{parts_folder}/", resume=True))


@each_case(
    "files, more, message",
    [
        ({"a.csv": b"a,b\n1,2\n", "b.csv": b"a,c\n1,2\n"}, {}, "b.csv has the columns a, c.*have the same columns"),
        ({"a.csv": b"number,text,flag\n1,2,3\n"}, {"resume": True}, "--resume continues a run into a folder"),
        ({"a.csv": b"number\n1\n"}, {"output_format": "csv"}, "--output-format is for a folder"),
        ({"a.csv": b"number\n1\n"}, {"workers": 0}, "--workers 0"),
        ({}, {}, "names no file"),
        ({"a.mtx": b"%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 1\n"}, {}, "is scored alone"),
    ],
)
def test_wrong_use_is_reported(tmp_path: Path, files: dict[str, bytes], more: dict[str, Any], message: str) -> None:
    (tmp_path / "data").mkdir()
    for name, content in files.items():
        (tmp_path / "data" / name).write_bytes(content)
    with pytest.raises(DrumError, match=message):
        score(_given(tmp_path, tmp_path / "data", tmp_path / "out.csv", **more))
    assert not (tmp_path / "out.csv").exists()


def test_model_that_reads_raw_input_has_no_parts(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"x\n1\n")
    model = write_model(tmp_path, RAW)
    given = Arguments(
        code_dir=str(model), target_type="regression", input=str(tmp_path / "in.csv"), output=f"{tmp_path}/o/"
    )
    with pytest.raises(CommandError, match="reads its whole input itself"):
        score(given)


def _command(given: Arguments) -> list[str]:
    flags = ["--workers", "2", "--output", str(given.output), "--input", str(given.input)]
    return [sys.executable, "-m", "datarobot_drum", "score", "--code-dir", str(given.code_dir), *flags]


def test_worker_processes_write_the_same_bytes_and_survive_a_kill_by_resume(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(_csv(*_rows(100_000)))
    given = _given(tmp_path, source, tmp_path / "one.csv")
    assert score(given) == 0
    (tmp_path / "out.csv").unlink(missing_ok=True)
    environment = {**os.environ, "TARGET_TYPE": "regression"}
    to_file = _command(_given(tmp_path, source, tmp_path / "out.csv"))
    subprocess.run(to_file, env=environment, check=True, timeout=300)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    parts_folder = tmp_path / "parts"
    command = _command(_given(tmp_path, source, f"{parts_folder}/"))
    with subprocess.Popen(command, env=environment) as process:
        while not list(parts_folder.glob("part-*.csv")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    subprocess.run([*command, "--resume"], env=environment, check=True, timeout=300)
    assert _union(parts_folder) == (tmp_path / "one.csv").read_bytes()
