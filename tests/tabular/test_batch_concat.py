"""Samples of several requests are concatenated into one table."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.tabular.batch_concat import concat, concat_key
from datarobot_drum.drum.tabular.fast_csv import read_numeric_csv
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from datarobot_drum.drum.tabular.payload import PayloadFormat, StructuredPayload
from tests.cases import each_case


def read(text: str) -> NumericTable:
    table = read_numeric_csv(StructuredPayload(BytesIO(text.encode()), PayloadFormat.CSV))
    assert table is not None
    return table


@each_case(
    "texts",
    [
        pytest.param(["a,b\n1,2\n", "a,b\n3,4\n5,6\n"], id="integers"),
        pytest.param(["a,b\n1.5,2\n", "a,b\n3.5,4\n"], id="mixed"),
        pytest.param(["a,b\n1.5,2\n", "a,b\n3,4.5\n"], id="integer columns alternate"),
    ],
)
def test_concatenated_numeric_tables_equal_the_table_of_the_concatenated_text(texts: list[str]) -> None:
    whole = read(texts[0] + "".join(text.partition("\n")[2] for text in texts[1:]))
    tables = [read(text) for text in texts]
    assert len({concat_key(table) for table in tables}) == 1
    concatenated = concat(tables)
    pd.testing.assert_frame_equal(concatenated.to_frame(), whole.to_frame())
    assert (concatenated.to_array().dtype, concatenated.to_array().flags.f_contiguous) == (whole.to_array().dtype, True)


def test_concatenated_frames_keep_columns_and_types() -> None:
    tables = [pd.DataFrame({"t": ["x"], "n": [1], "b": [True]}), pd.DataFrame({"t": ["y"], "n": [2], "b": [False]})]
    assert concat_key(tables[0]) == concat_key(tables[1]) is not None
    concatenated = concat(tables)
    assert list(concatenated.dtypes) == list(tables[0].dtypes)
    assert concatenated.to_dict("list") == {"t": ["x", "y"], "n": [1, 2], "b": [True, False]}


@each_case(
    "data",
    [
        pytest.param([[1, 2]], id="list"),
        pytest.param(np.ones((2, 2)), id="array"),
        pytest.param(pd.DataFrame({"a": [1]}, index=["row"]), id="named row"),
        pytest.param(pd.DataFrame({"a": [1, 2]}).iloc[1:], id="later row"),
        pytest.param(pd.DataFrame({"a": []}), id="no rows"),
    ],
)
def test_other_data_has_no_concat_key(data: object) -> None:
    assert concat_key(data) is None
