"""Samples of several requests as one table."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.tabular.batch_concat import join, joining_key
from datarobot_drum.drum.tabular.fast_csv import read_plain_numbers
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from datarobot_drum.drum.tabular.payload import PayloadFormat, StructuredPayload


def read(text: str) -> NumericTable:
    table = read_plain_numbers(StructuredPayload(BytesIO(text.encode()), PayloadFormat.CSV))
    assert table is not None
    return table


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["a,b\n1,2\n", "a,b\n3,4\n5,6\n"], id="whole"),
        pytest.param(["a,b\n1.5,2\n", "a,b\n3.5,4\n"], id="mixed"),
        pytest.param(["a,b\n1.5,2\n", "a,b\n3,4.5\n"], id="whole by turns"),
    ],
)
def test_joined_numbers_are_those_of_the_joined_text(texts: list[str]) -> None:
    whole = read(texts[0] + "".join(text.partition("\n")[2] for text in texts[1:]))
    tables = [read(text) for text in texts]
    assert len({joining_key(table) for table in tables}) == 1
    joined = join(tables)
    pd.testing.assert_frame_equal(joined.to_frame(), whole.to_frame())
    assert (joined.to_array().dtype, joined.to_array().flags.f_contiguous) == (whole.to_array().dtype, True)


def test_joined_frames_keep_columns_and_types() -> None:
    tables = [pd.DataFrame({"t": ["x"], "n": [1], "b": [True]}), pd.DataFrame({"t": ["y"], "n": [2], "b": [False]})]
    assert joining_key(tables[0]) == joining_key(tables[1]) is not None
    joined = join(tables)
    assert list(joined.dtypes) == list(tables[0].dtypes)
    assert joined.to_dict("list") == {"t": ["x", "y"], "n": [1, 2], "b": [True, False]}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([[1, 2]], id="list"),
        pytest.param(np.ones((2, 2)), id="array"),
        pytest.param(pd.DataFrame({"a": [1]}, index=["row"]), id="named row"),
        pytest.param(pd.DataFrame({"a": [1, 2]}).iloc[1:], id="later row"),
        pytest.param(pd.DataFrame({"a": []}), id="no rows"),
    ],
)
def test_what_is_no_plain_table_is_never_joined(data: object) -> None:
    assert joining_key(data) is None
