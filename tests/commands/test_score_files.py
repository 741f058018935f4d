"""Files of ``drum score``: outputs that replace a file, and inputs that take more memory than they have bytes."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from datarobot_drum.drum.commands.report_file import report_path, write_report
from datarobot_drum.drum.commands.score.command import score
from datarobot_drum.drum.exceptions import UnprocessableInput, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.tabular.table_files import BLOCK_BYTES, FileFormat, open_table
from tests.cases import each_case
from tests.commands.models import write_model

pytestmark = pytest.mark.usefixtures("clean_environment")

FIRST = """
def load_model(code_dir):
    return 1


def score(data, model, **kwargs):
    return data.iloc[:, :1].set_axis(["Predictions"], axis=1)
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    return path


def _score(folder: Path, source: Path, output: Path) -> None:
    model = write_model(folder, FIRST)
    given = Arguments(code_dir=str(model), target_type="regression", input=str(source), output=str(output))
    assert score(given) == 0


def test_replaced_file_keeps_its_mode(tmp_path: Path, table: Path) -> None:
    output, new = tmp_path / "out.csv", tmp_path / "new.csv"
    output.touch()
    output.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(output)
    for path in (output, tmp_path / "link.csv", new):
        _score(tmp_path, table, path)
    assert output.read_text() == new.read_text()
    assert stat.S_IMODE(output.stat().st_mode) == 0o640


@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to], ids=["same", "symbolic", "hard"])
def test_output_that_is_the_input_is_rejected(tmp_path: Path, table: Path, link: Callable[..., None] | None) -> None:
    before = table.read_bytes()
    output = table
    if link is not None:
        link(output := tmp_path / "other.csv", table)
    with pytest.raises(UsageError, match="is the file of --input"):
        _score(tmp_path, table, output)
    assert table.read_bytes() == before


@each_case("opened", [pyarrow.ipc.new_file, pyarrow.ipc.new_stream], ids=["file", "stream"])
def test_arrow_batch_that_is_compressed_too_much_is_rejected(tmp_path: Path, opened: Callable[..., Any]) -> None:
    source = tmp_path / "rows.arrow"
    rows = pyarrow.table({"a": np.zeros(10_000_000)})
    with opened(source, rows.schema, options=pyarrow.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    with pytest.raises(UnprocessableInput, match=r"more than 700 times \(DRUM_MAX_COMPRESSION_RATIO\)"):
        _score(tmp_path, source, tmp_path / "out.csv")


def test_large_arrow_batch_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "rows.arrow"
    pyarrow.feather.write_feather(pyarrow.table({"a": np.random.default_rng(0).random(1000)}), source)
    monkeypatch.setenv("DRUM_MAX_RECORD_BATCH_SIZE", "7KB")
    with pytest.raises(UnprocessableInput, match=r"8000 bytes when decoded.*\(DRUM_MAX_RECORD_BATCH_SIZE\)"):
        _score(tmp_path, source, tmp_path / "out.csv")


def test_long_texts_of_parquet_make_small_blocks(tmp_path: Path) -> None:
    source = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": ["x" * 1_000_000] * 100}), source)
    with source.open("rb") as file:
        sizes = [len(block) for block in open_table(file, FileFormat.PARQUET, "utf-8", lambda *_: None).blocks()]
    assert sum(sizes) == 100 and max(sizes) <= BLOCK_BYTES // 1_000_000


def test_report_keeps_the_mode_of_a_replaced_file_and_is_never_the_input(tmp_path: Path, table: Path) -> None:
    path = tmp_path / "report.html"
    path.touch()
    path.chmod(0o640)
    write_report(path, "page")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("page", 0o640)
    with pytest.raises(UsageError, match=r"--report .* is the file of --input"):
        report_path(Arguments(input=str(table), report=str(table)))
