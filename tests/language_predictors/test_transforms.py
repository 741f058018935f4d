"""Models of target type transform: hook signatures, artifacts, and their results."""

import io
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, OneHotEncoder, StandardScaler

from datarobot_drum.drum.exceptions import CustomHTTPError, ModelLoadError, PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.language_predictors.transforms import Transformed
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

Load = Callable[[Any], BasePredictor]

CSV = b"a,b\n1,2\n3,4\n"
MTX = b"%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 1.5\n2 2 2\n"
TARGET = b"t\n10\n20\n"
TRAINED = pd.DataFrame({"b": [1.0, 2.0, 4.0], "a": [2.0, 8.0, 4.0]})


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Load a model from source code or an estimator, and close it after the test."""
    loaded: list[BasePredictor] = []

    def create_and_load(model: Any) -> BasePredictor:
        folder = tmp_path / str(len(loaded))
        folder.mkdir()
        if isinstance(model, str):
            write_model(folder, custom=model)
        else:
            (folder / "model.pkl").write_bytes(pickle.dumps(model))
        predictor = create_predictor(model_settings(folder, "transform"))
        loaded.append(predictor)
        predictor.load()
        return predictor

    yield create_and_load
    for predictor in reversed(loaded):
        predictor.close()


def transform_body(
    predictor: BasePredictor, samples: bytes = CSV, target: bytes | None = None, kind: str = "csv"
) -> Transformed:
    samples_payload = StructuredPayload(io.BytesIO(samples), PayloadFormat(kind))
    return predictor.transform(
        samples_payload, None if target is None else StructuredPayload(io.BytesIO(target), samples_payload.format)
    )


def hook_returning(expression: str) -> str:
    """Return the source of a hook that returns ``expression``."""
    return (
        "import numpy as np, pandas as pd\nfrom scipy import sparse\n"
        "from datarobot_drum.drum.exceptions import CustomHTTPError\n"
        f"def transform(X, model, y=None):\n    return {expression}\n"
    )


# Signatures


@each_case(
    ("signature", "seen"),
    [
        ("X, model", ["X", "model"]),
        ("anything, /, else_", ["anything", "else_"]),
        ("X, transformer, y", ["X", "transformer", "y"]),
        ("X, transformer, y=None", ["X", "transformer", "y"]),
        ("X, transformer, *, y", ["X", "transformer", "y"]),
        ("X, y, transformer", ["X", "transformer", "y"]),
        ("X, y=None, transformer=None", ["X", "transformer", "y"]),
        ("X, y, transformer, **kwargs", ["X", "transformer", "y"]),
    ],
)
def test_transform_hook_receives_the_target_its_signature_names(load: Load, signature: str, seen: list[str]) -> None:
    second, *rest = seen[1:]
    code = f"def load_model(code_dir): return 'the model'\ndef transform({signature}):\n"
    code += f"    assert {second} == 'the model'\n"
    code += "    assert list(y) == [10, 20] and y.name == 't'\n" if rest else ""
    transformed = transform_body(load(code + f"    return {seen[0]}\n"), target=TARGET)
    assert transformed.features.to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert transformed.target is not None
    assert transformed.target.to_dict("list") == {"t": [10, 20]}


def test_transform_hook_with_kwargs_receives_the_target(load: Load) -> None:
    predictor = load("def transform(X, model, **kwargs): return X.assign(seen=sorted(kwargs)[0])\n")
    assert list(transform_body(predictor).features["seen"]) == ["y", "y"]


def test_transform_hook_receives_none_without_a_target(load: Load) -> None:
    transformed = transform_body(load("def transform(X, y, transformer): return X.assign(y=y is None)\n"))
    assert list(transformed.features["y"]) == [True, True]
    assert transformed.target is None


@each_case("signature", ["X", "X, y", "X, y, transformer, more", "X, transformer, other"])
def test_transform_hook_of_another_signature_is_rejected_at_load(load: Load, signature: str) -> None:
    with pytest.raises(ModelLoadError, match=r"transform\(data, model, \*\*kwargs\)"):
        load(f"def transform({signature}): return X\n")


def test_target_of_several_columns_is_a_frame(load: Load) -> None:
    transformed = transform_body(load(hook_returning("X, y[['u']]")), target=b"t,u\n1,2\n3,4\n")
    assert transformed.target is not None
    assert transformed.target.to_dict("list") == {"u": [2, 4]}


# Results of hooks


@each_case(
    ("expression", "table"),
    [
        ("X * 2", {"a": [2, 6], "b": [4, 8]}),
        ("X.to_numpy() + 1", {"0": [2, 4], "1": [3, 5]}),
        ("X['a'].to_numpy()", {"0": [1, 3]}),
        ("X['a'] + X['b']", {"0": [3, 7]}),
        ("X['a'].rename('ü')", {"ü": [1, 3]}),
        ("X.set_axis([7, 8]).set_axis([1, 2.5], axis=1)", {"1.0": [1, 3], "2.5": [2, 4]}),
        ("sparse.csr_matrix(X.to_numpy()).todense()", {"0": [1, 3], "1": [2, 4]}),
        ("X.assign(c=['x', None])[['c']]", {"c": ["x", None]}),
        ("X.astype('Sparse[float64]')", {"a": [1.0, 3.0], "b": [2.0, 4.0]}),
        ("X.astype({'a': 'Sparse[int64, 0]'})", {"a": [1, 3], "b": [2, 4]}),
    ],
)
def test_dense_result_becomes_a_frame(load: Load, expression: str, table: dict[str, Any]) -> None:
    transformed = transform_body(load(hook_returning(expression)))
    assert not transformed.is_sparse
    assert transformed.features.astype(object).where(transformed.features.notna(), None).to_dict("list") == table
    assert transformed.names == tuple(table)


@each_case(
    ("expression", "names"),
    [
        ("sparse.csr_matrix(X.to_numpy())", ("0", "1")),
        ("sparse.csc_array(X.to_numpy())", ("0", "1")),
        ("sparse.coo_array(X.to_numpy())", ("0", "1")),
        ("sparse.lil_matrix(X.to_numpy())", ("0", "1")),
        ("X.astype('Sparse[int64, 0]')", ("a", "b")),
        ("X.astype('Sparse[int64, 0]').set_axis(['ü', 'ü'], axis=1)", ("ü", "ü")),
    ],
)
def test_sparse_result_becomes_a_csr_matrix(load: Load, expression: str, names: tuple[str, ...]) -> None:
    transformed = transform_body(load(hook_returning(expression)))
    assert transformed.is_sparse
    assert transformed.features.toarray().tolist() == [[1, 2], [3, 4]]
    assert transformed.names == names


def test_result_may_repeat_column_names(load: Load) -> None:
    transformed = transform_body(load(hook_returning("pd.concat([X, X], axis=1)")))
    assert list(transformed.features.columns) == ["a", "b", "a", "b"]


@each_case(
    ("expression", "table"),
    [
        ("X", {"t": [10, 20]}),
        ("(X, None)", {"t": [10, 20]}),
        ("(X, y + 1)", {"t": [11, 21]}),
        ("(X, y.rename('u'))", {"u": [10, 20]}),
        ("(X, y.to_frame('u'))", {"u": [10, 20]}),
        ("(X, y.to_numpy())", {"t": [10, 20]}),
        ("(X, y.to_list())", {"t": [10, 20]}),
        ("(X, ['ä', 'b'])", {"t": ["ä", "b"]}),
        ("(X, np.stack([y, y], axis=1))", {"0": [10, 20], "1": [10, 20]}),
        ("(X, sparse.csr_matrix(y.to_frame()))", {"t": [10, 20]}),
        ("(X, y.to_frame().astype('Sparse[int64, 0]'))", {"t": [10, 20]}),
    ],
)
def test_transform_hook_may_return_the_target(load: Load, expression: str, table: dict[str, Any]) -> None:
    target = transform_body(load(hook_returning(expression)), target=TARGET).target
    assert target is not None
    assert target.to_dict("list") == table
    assert not any(isinstance(dtype, pd.SparseDtype) for dtype in target.dtypes)


def test_target_is_returned_only_if_sent(load: Load) -> None:
    assert transform_body(load(hook_returning("(X, [1, 2, 3])"))).target is None


@each_case(
    ("expression", "text"),
    [
        ("None", "returned None as X"),
        ("(X, y, model)", "tuple of 3"),
        ("(X, 'no')", "returned a str as y"),
        ("X.to_numpy()[None]", r"returned a ndarray of shape \(1, 2, 2\) as X"),
        ("X[[]]", "without columns"),
        ("X[:1]", "returned 1 rows of X for 2 rows of input"),
        ("sparse.vstack([sparse.csr_matrix(X), sparse.csr_matrix(X)])", "returned 4 rows of X"),
        ("(X, y[:1])", "returned 1 rows of y for 2 rows of input"),
        ("sparse.csr_matrix(X.to_numpy() * 1j)", "complex128"),
        ("sparse.coo_array([1, 2])", r"shape \(2,\)"),
        ("X['missing']", "KeyError"),
    ],
)
def test_invalid_transform_result_raises_prediction_error(load: Load, expression: str, text: str) -> None:
    with pytest.raises(PredictionError, match=text):
        transform_body(load(hook_returning(expression)), target=TARGET)


def test_transform_hook_may_raise_a_custom_http_error(load: Load) -> None:
    code = "from datarobot_drum.drum.exceptions import CustomHTTPError\n"
    with pytest.raises(CustomHTTPError, match="no"):
        transform_body(load(code + "def transform(X, model): raise CustomHTTPError('no', 418)\n"))


def test_transform_hook_receives_matrix_market_as_sparse_columns(load: Load) -> None:
    transformed = transform_body(load(hook_returning("X * 2")), MTX, kind="mtx")
    assert transformed.is_sparse
    assert transformed.features.toarray().tolist() == [[3.0, 0.0], [0.0, 4.0]]


def test_transform_hook_receives_the_result_of_read_input_data(load: Load) -> None:
    code = "def read_input_data(input_binary_data): return input_binary_data.split()\n"
    predictor = load(code + "import pandas as pd\ndef transform(X, model): return pd.DataFrame({'n': map(len, X)})\n")
    assert list(transform_body(predictor, b"one three").features["n"]) == [3, 5]
    assert transform_body(predictor, b"one three", TARGET).target is not None
    with pytest.raises(UnprocessableInput, match="2 rows for 3 rows"):
        transform_body(predictor, b"one two three", TARGET)


def test_sparse_columns_without_scipy_error_names_the_extra(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load(hook_returning("X.astype(pd.SparseDtype(int, 0))"))
    monkeypatch.setitem(sys.modules, "scipy", None)  # simulates a missing package
    with pytest.raises(PredictionError, match=r"install datarobot-drum\[scikit-learn\]"):
        transform_body(predictor)


# Targets


@each_case(
    ("target", "text"),
    [
        (b"t\n1\n", "1 rows for 2 rows of `X`"),
        (b"t\n1\n\n2\n3\n", "3 rows for 2"),
        (b"t\n", r"`y` cannot be read\. The csv has a header"),
        (b"\xff\n1\n2\n", "`y` cannot be read"),
    ],
)
def test_invalid_target_raises_unprocessable_input(load: Load, target: bytes, text: str) -> None:
    with pytest.raises(UnprocessableInput, match=text):
        transform_body(load(hook_returning("X")), target=target)


def test_matrix_market_target_becomes_dense(load: Load) -> None:
    target = b"%%MatrixMarket matrix coordinate real general\n2 1 1\n2 1 5\n"
    target_out = transform_body(load(hook_returning("X")), MTX, target, kind="mtx").target
    assert target_out is not None
    assert target_out.to_dict("list") == {"0": [0.0, 5.0]}


# Artifacts


def test_transformer_receives_its_training_columns_in_order(load: Load) -> None:
    predictor = load(MaxAbsScaler().fit(TRAINED))
    transformed = transform_body(predictor, b"a,c,b\n4,9,1\n8,9,4\n", TARGET)
    assert transformed.features.to_dict("list") == {"b": [0.25, 1.0], "a": [0.5, 1.0]}
    assert transformed.target is not None
    assert predictor.name == "scikit-learn"
    with pytest.raises(UnprocessableInput, match=r"lack 1 of the 2 columns of the model: b"):
        transform_body(predictor, b"a\n1\n")


def test_sparse_transformer_output_has_column_names(load: Load) -> None:
    transformed = transform_body(load(OneHotEncoder().fit(TRAINED)), b"a,b\n2,1\n8,4\n")
    assert transformed.names == ("b_1.0", "b_2.0", "b_4.0", "a_2.0", "a_4.0", "a_8.0")
    assert transformed.features.toarray().tolist() == [[1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1]]


@each_case(
    ("transformer", "names"),
    [
        (MaxAbsScaler().fit(TRAINED.to_numpy()), ("x0", "x1")),
        (make_pipeline(MaxAbsScaler(), StandardScaler(with_mean=False)).fit(TRAINED.to_numpy()), ("x0", "x1")),
        (FunctionTransformer(abs), ("0", "1")),
    ],
    ids=["scaler", "pipeline", "cannot tell"],
)
def test_unnamed_matrix_output_gets_default_names(load: Load, transformer: Any, names: tuple[str, ...]) -> None:
    assert transform_body(load(transformer), MTX, kind="mtx").names == names


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_transformer_trained_without_names_keeps_the_sample_names(load: Load) -> None:
    transformed = transform_body(load(MaxAbsScaler().fit([[3.0, 4.0]])), b"\xc3\xbc,b\n3,2\n")
    assert transformed.features.to_dict("list") == {"ü": [1.0], "b": [0.5]}


def test_matrix_stays_sparse_through_a_transformer(load: Load) -> None:
    transformed = transform_body(load(MaxAbsScaler().fit(sparse.csr_matrix([[3.0, 4.0]]))), MTX, kind="mtx")
    assert transformed.is_sparse
    assert transformed.features.toarray().tolist() == [[0.5, 0.0], [0.0, 0.5]]


def test_failing_transformer_raises_prediction_error(load: Load) -> None:
    broken = StandardScaler().fit(TRAINED)
    broken.mean_ = "none"
    with pytest.raises(PredictionError, match="Error: "):
        transform_body(load(broken), b"a,b\n1,2\n")


def test_text_in_a_number_column_raises_unprocessable_input(load: Load) -> None:
    with pytest.raises(UnprocessableInput, match=r"a \(row 1: 'x'\), b \(row 1: 'y'\)"):
        transform_body(load(StandardScaler().fit(TRAINED)), b"a,b\nx,y\n")


def test_load_model_may_return_the_transformer(load: Load) -> None:
    predictor = load(
        "from sklearn.preprocessing import MaxAbsScaler\n"
        "def load_model(code_dir): return MaxAbsScaler().fit([[3.0, 4.0]])\n"
        "def read_input_data(input_binary_data): return [line.split() for line in input_binary_data.splitlines()]\n"
    )
    assert transform_body(predictor, b"3 2\n6 4\n").features.to_numpy().tolist() == [[1.0, 0.5], [2.0, 1.0]]


@each_case(
    ("model", "text"),
    [
        (3, "the model is a int, without transform"),
        ("def score(data, model): return data\n", "Nothing transforms: there is no model"),
        ("transform = 3\n", "it must be a function"),
    ],
    ids=["artifact", "score", "number"],
)
def test_model_without_transform_is_rejected_at_load(load: Load, model: Any, text: str) -> None:
    with pytest.raises(ModelLoadError, match=text):
        load(model)
