"""Tables read in blocks equal those that pandas reads at once, types included."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from datarobot_drum.drum.tabular.table_files import FileFormat, detect_format, open_table
from tests.cases import each_case

ROWS = 3
CELLS = ("", "0", "1", "-1", "7", "1.5", "-0.1", "inf", "True", "false", "x", "NA", "1e400")
HUGE_INTEGERS = ("", "18446744073709551615", "9223372036854775807", "-5", "1.5", "99999999999999999999999")


def _read(path: Path, rows: int = ROWS) -> pd.DataFrame:
    with path.open("rb") as file:
        table = open_table(file, detect_format(file, path), "utf-8", lambda what, share: None, rows)
        blocks = list(table.blocks())
    assert all(len(block) <= rows for block in blocks)
    return pd.concat(blocks) if len(blocks) > 1 else blocks[0]


def _whole_csv(text: str) -> pd.DataFrame:
    return pd.read_csv(BytesIO(text.encode()), low_memory=False, **EXACT_FLOATS)


def _assert_block_types_equal(path: Path, whole: pd.DataFrame) -> None:
    """Compare each block alone: concatenation would hide differing types."""
    with path.open("rb") as file:
        blocks = list(open_table(file, detect_format(file, path), "utf-8", lambda *_: None, ROWS).blocks())
    start = 0
    for block in blocks:
        pd.testing.assert_frame_equal(block, whole.iloc[start : start + len(block)], check_index_type=False)
        start += len(block)
    assert start == len(whole)


@each_case("cells", [CELLS, HUGE_INTEGERS], ids=["usual", "vast"])
def test_csv_blocks_have_the_types_of_the_whole_table(tmp_path: Path, cells: tuple[str, ...]) -> None:
    path = tmp_path / "table.csv"

    @example(["1", "1", "1", "1.5"])
    @example(["True"] * 3 + ["", "True", "", "False"])
    @example(["True"] * 3 + ["x"])
    @example(["18446744073709551615"] * 3 + ["", "-5"])
    @example(["99999999999999999999999"] * 3 + ["1.5"])
    @settings(max_examples=50, deadline=None)
    @given(column=st.lists(st.sampled_from(cells), min_size=1, max_size=10))
    def check(column: list[str]) -> None:
        text = "a,b\n" + "".join(f"{cell},{number}\n" for number, cell in enumerate(column))
        path.write_text(text, encoding="utf-8")
        _assert_block_types_equal(path, _whole_csv(text))

    check()


def test_duplicate_and_unnamed_columns_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    text = "a,a,,\n" + "1,x,1,\n" * 4 + "y,1.5,,2\n" * 2
    path.write_text(text, encoding="utf-8")
    _assert_block_types_equal(path, _whole_csv(text))


def _write_parquet(table: pa.Table, path: Path) -> None:
    pyarrow.parquet.write_table(table, path, row_group_size=4)


def _write_file(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


def _write_stream(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


@each_case("name", ["table.parquet", "table"], ids=["named", "nameless"])
@each_case("write", [_write_parquet, _write_file, _write_stream])
def test_arrow_blocks_have_the_types_of_the_whole_table(
    tmp_path: Path, write: Callable[[pa.Table, Path], None], name: str
) -> None:
    whole = pa.table(
        {
            "whole": list(range(10)),
            "gaps": [None, *range(9)],
            "bool": [True, False] * 5,
            "bool with gaps": [True] * 9 + [None],
            "small with gaps": pa.array([*range(9), None], pa.int8()),
            "days": pa.array([*range(9), None], pa.date32()),
            "lists": [[1, 2], None] * 5,
            "text": ["a", None] * 5,
            "time": pd.date_range("2024-01-01", periods=10),
            "kind": pd.Categorical(list("aabbaabbca")),
        }
    )
    path = tmp_path / name
    write(whole, path)
    _assert_block_types_equal(path, whole.to_pandas())


def test_feather_and_parquet_with_a_stored_index_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3, 4]}, index=["a", "b", "c", "d"])
    frame.to_parquet(tmp_path / "indexed.parquet")
    frame.reset_index(drop=True).to_feather(tmp_path / "plain.feather")
    for path in tmp_path.iterdir():
        assert _read(path).to_dict("list") == {"x": [1, 2, 3, 4]}


@each_case(
    ("name", "content", "kind"),
    [
        ("x.csv", b"PAR1", FileFormat.PARQUET),
        ("x.csv", b"ARROW1\0\0", FileFormat.ARROW),
        ("x.csv", b"%%matrixMarket matrix", FileFormat.MTX),
        ("x.parquet", b"", FileFormat.PARQUET),
        ("x.FEATHER", b"?", FileFormat.ARROW),
        ("x.mtx", b"1 1", FileFormat.MTX),
        ("x.csv", b"a,b", FileFormat.CSV),
        ("x", b"a,b", FileFormat.CSV),
    ],
)
def test_content_precedes_the_name_in_format_detection(name: str, content: bytes, kind: FileFormat) -> None:
    assert detect_format(BytesIO(content), Path(name)) is kind


@each_case(
    ("name", "content", "reason"),
    [
        ("x.csv", b"", "The csv is empty"),
        ("x.csv", b"a,b\n", "header but no data rows"),
        ("x.csv", b"a,b\n" + b"1,2\n" * 5 + b"1,2,3\n", "line 7"),
        ("x.csv", b"a\n\xff\n", "not utf-8"),
        ("x.parquet", b"PAR1 and no more", "The Parquet file could not be read"),
        ("x.arrow", b"ARROW1\0\0 and no more", "The Arrow file could not be read"),
        ("x.arrow", b"\xff\xff\xff\xff", "The Arrow file could not be read"),
    ],
)
def test_invalid_table_file_is_rejected_with_the_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnprocessableInput, match=reason):
        _read(path)


def test_table_without_rows_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    pd.DataFrame({"x": pd.Series([], dtype="int64")}).to_parquet(path)
    with pytest.raises(UnprocessableInput, match="no rows"):
        _read(path)


def test_progress_is_reported_up_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a\n" + "1\n" * 20, encoding="utf-8")
    progress: list[Any] = []
    with path.open("rb") as file:
        table = open_table(file, FileFormat.CSV, "utf-8", lambda what, share: progress.append((what, share)), 5)
        assert sum(map(len, table.blocks())) == 20
    assert progress[0][0] == "reading types" and progress[-1] == ("scoring", 1.0)
