"""The multipart response of a transform: parts, types and bytes."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import mmread

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.transforms import Transformed
from datarobot_drum.drum.serving.formats.transform_multipart import transform_response
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from tests.cases import each_case
from tests.multipart_responses import Part, parse_form

TABLE = pd.DataFrame({"a": [1.5, None], "ü, \n": ["x", 'quo"ted,']})
MATRIX = sparse.csr_matrix(np.array([[0.0, 0.1 + 0.2], [-1e-300, 0.0]]))


def encode(features: Any, names: tuple[str, ...] = ("a", "b"), target: pd.DataFrame | None = None) -> dict[str, Part]:
    response = transform_response(Transformed(features, names, target))
    assert isinstance(response.content, bytes)
    assert response.status == 200
    return parse_form(response.content, response.media_type)


def test_table_is_encoded_as_csv() -> None:
    form = encode(TABLE)
    assert list(form) == ["X.transformed", "out.format"]
    assert form["X.transformed"] == Part(b'a,"\xc3\xbc, \n"\n1.5,x\n,"quo""ted,"\n', "text/csv", "X.csv")
    assert form["out.format"] == Part(b"csv", "text/plain", None)


def test_sparse_matrix_is_encoded_as_matrix_market_with_column_names() -> None:
    form = encode(MATRIX)
    assert list(form) == ["X.transformed", "out.format", "X.colnames"]
    samples = form["X.transformed"]
    assert (samples.media_type, samples.filename) == ("text/mtx", "X.mtx")
    np.testing.assert_array_equal(mmread(io.BytesIO(samples.content)).toarray(), MATRIX.toarray())
    assert form["out.format"].text == "sparse"
    assert form["X.colnames"] == Part(b"a\nb", "text/plain; charset=utf-8", None)


@each_case("features", [TABLE, MATRIX], ids=["dense", "sparse"])
def test_target_is_encoded_as_csv(features: Any) -> None:
    form = encode(features, target=pd.DataFrame({"t": ["ä", None]}))
    assert list(form)[-2:] == ["y.transformed", "y.format"]
    assert form["y.transformed"] == Part('t\nä\n""\n'.encode(), "text/csv", "y.csv")
    assert form["y.format"].text == "csv"


@each_case("dtype", ["bool", "int8", "int64", "uint64", "float32", "float64"])
def test_sparse_numbers_are_exact_for_every_dtype(dtype: str) -> None:
    matrix = sparse.csr_array(np.array([[0, 1], [1, 0]]).astype(dtype))
    if dtype == "int64":
        matrix[0, 1] = -(2**63)
    if dtype == "uint64":
        matrix[0, 1] = 2**64 - 1
    found = mmread(io.BytesIO(encode(matrix)["X.transformed"].content)).toarray()
    np.testing.assert_array_equal(found, matrix.toarray().astype(found.dtype))


def test_symmetric_matrix_is_encoded_as_general() -> None:
    content = encode(sparse.eye(2, format="csr"))["X.transformed"].content
    assert content.startswith(b"%%MatrixMarket matrix coordinate real general\n")


def test_line_break_in_column_name_is_escaped() -> None:
    names = ("a\nb", "\r", "c\u2028d", "", "ü\\n")
    form = encode(sparse.csr_matrix((1, len(names))), names)
    assert form["X.colnames"].text.split("\n") == ["a\\nb", "\\r", "c\\u2028d", "", "ü\\n"]


def test_equal_content_has_equal_bytes() -> None:
    first, second, other = (transform_response(Transformed(table, ())) for table in (TABLE, TABLE.copy(), TABLE[:1]))
    assert first == second
    assert first.media_type != other.media_type


@each_case("lone", ["cell", "name", "sparse name"])
def test_text_that_utf_8_cannot_encode_is_a_prediction_error(lone: str) -> None:
    features = {
        "cell": pd.DataFrame({"a": ["\ud800"]}, dtype=object),
        "name": pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)),
        "sparse name": sparse.csr_matrix((1, 1)),
    }
    with pytest.raises(PredictionError, match="UTF-8"):
        encode(features[lone], ("\ud800",))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(), min_size=1, max_size=20),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8), min_size=1, max_size=4),
)
def test_encoded_table_reads_back_equal(numbers: list[float], names: list[str]) -> None:
    table = pd.DataFrame({place: numbers for place in range(len(names))})
    table.columns = pd.Index(names, dtype=object)
    content = encode(table)["X.transformed"].content
    header, *_ = pd.read_csv(io.BytesIO(content), header=None, dtype=str, keep_default_na=False, nrows=1).to_numpy()
    assert list(header) == names
    found = pd.read_csv(io.BytesIO(content), header=0, names=range(len(names)), **EXACT_FLOATS)
    np.testing.assert_array_equal(found.to_numpy(dtype=float), table.to_numpy())
