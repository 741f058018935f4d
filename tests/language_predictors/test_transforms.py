"""Models whose target type is transform: hooks of either signature, artifacts, and what they may return."""

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
from tests.language_predictors.builders import model_settings, write_model

Load = Callable[[Any], BasePredictor]

CSV = b"a,b\n1,2\n3,4\n"
MTX = b"%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 1.5\n2 2 2\n"
TARGET = b"t\n10\n20\n"
TRAINED = pd.DataFrame({"b": [1.0, 2.0, 4.0], "a": [2.0, 8.0, 4.0]})


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Loads a model of this source code, or of this estimator; closes it afterwards."""
    loaded: list[BasePredictor] = []

    def create_and_load(model: Any) -> BasePredictor:
        if isinstance(model, str):
            write_model(tmp_path, custom=model)
        else:
            (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        predictor = create_predictor(model_settings(tmp_path, "transform"))
        loaded.append(predictor)
        predictor.load()
        return predictor

    yield create_and_load
    for predictor in reversed(loaded):
        predictor.close()


def ask(predictor: BasePredictor, samples: bytes = CSV, target: bytes | None = None, kind: str = "csv") -> Transformed:
    asked = StructuredPayload(io.BytesIO(samples), PayloadFormat(kind))
    return predictor.transform(asked, None if target is None else StructuredPayload(io.BytesIO(target), asked.format))


def returning(expression: str) -> str:
    """A hook that returns it."""
    return (
        "import numpy as np, pandas as pd\nfrom scipy import sparse\n"
        "from datarobot_drum.drum.exceptions import CustomHTTPError\n"
        f"def transform(X, model, y=None):\n    return {expression}\n"
    )


# Signatures


@pytest.mark.parametrize(
    ("head", "seen"),
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
def test_a_hook_says_by_its_signature_whether_it_takes_the_target(load: Load, head: str, seen: list[str]) -> None:
    second, *rest = seen[1:]
    code = f"def load_model(code_dir): return 'the model'\ndef transform({head}):\n"
    code += f"    assert {second} == 'the model'\n"
    code += "    assert list(y) == [10, 20] and y.name == 't'\n" if rest else ""
    transformed = ask(load(code + f"    return {seen[0]}\n"), target=TARGET)
    assert transformed.features.to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert transformed.target is not None
    assert transformed.target.to_dict("list") == {"t": [10, 20]}


def test_a_hook_with_all_keywords_gets_the_target(load: Load) -> None:
    predictor = load("def transform(X, model, **kwargs): return X.assign(seen=sorted(kwargs)[0])\n")
    assert list(ask(predictor).features["seen"]) == ["y", "y"]


def test_a_hook_gets_none_without_a_target(load: Load) -> None:
    transformed = ask(load("def transform(X, y, transformer): return X.assign(y=y is None)\n"))
    assert list(transformed.features["y"]) == [True, True]
    assert transformed.target is None


@pytest.mark.parametrize("head", ["X", "X, y", "X, y, transformer, more", "X, transformer, other"])
def test_a_hook_that_cannot_be_called_is_refused_at_start(load: Load, head: str) -> None:
    with pytest.raises(ModelLoadError, match=r"transform\(data, model, \*\*kwargs\)"):
        load(f"def transform({head}): return X\n")


def test_a_target_of_several_columns_is_a_frame(load: Load) -> None:
    transformed = ask(load(returning("X, y[['u']]")), target=b"t,u\n1,2\n3,4\n")
    assert transformed.target is not None
    assert transformed.target.to_dict("list") == {"u": [2, 4]}


# What a hook may return


@pytest.mark.parametrize(
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
def test_dense_samples_become_a_table(load: Load, expression: str, table: dict[str, Any]) -> None:
    transformed = ask(load(returning(expression)))
    assert not transformed.is_sparse
    assert transformed.features.astype(object).where(transformed.features.notna(), None).to_dict("list") == table
    assert transformed.names == tuple(table)


@pytest.mark.parametrize(
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
def test_sparse_samples_become_a_matrix(load: Load, expression: str, names: tuple[str, ...]) -> None:
    transformed = ask(load(returning(expression)))
    assert transformed.is_sparse
    assert transformed.features.toarray().tolist() == [[1, 2], [3, 4]]
    assert transformed.names == names


def test_column_names_may_repeat(load: Load) -> None:
    transformed = ask(load(returning("pd.concat([X, X], axis=1)")))
    assert list(transformed.features.columns) == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
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
def test_a_hook_may_return_the_target_too(load: Load, expression: str, table: dict[str, Any]) -> None:
    target = ask(load(returning(expression)), target=TARGET).target
    assert target is not None
    assert target.to_dict("list") == table
    assert not any(isinstance(dtype, pd.SparseDtype) for dtype in target.dtypes)


def test_a_target_that_was_not_sent_is_not_answered(load: Load) -> None:
    assert ask(load(returning("(X, [1, 2, 3])"))).target is None


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("None", "returned None as X"),
        ("'text'", "returned a str as X"),
        ("[[1, 2]]", "returned a list as X"),
        ("(X, y, model)", "tuple of 3"),
        ("(X, 'no')", "returned a str as y"),
        ("X.to_numpy()[None]", "returned a ndarray as X"),
        ("X[[]]", "without columns"),
        ("X[:1]", "returned 1 rows of X for 2 rows of input"),
        ("X.to_numpy()[:0, 0]", "returned 0 rows of X"),
        ("sparse.vstack([sparse.csr_matrix(X), sparse.csr_matrix(X)])", "returned 4 rows of X"),
        ("(X, y[:1])", "returned 1 rows of y for 2 rows of input"),
        ("sparse.csr_matrix(X.to_numpy() * 1j)", "complex128"),
        ("sparse.coo_array([1, 2])", r"shape \(2,\)"),
        ("X['missing']", "KeyError"),
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_model(load: Load, expression: str, text: str) -> None:
    with pytest.raises(PredictionError, match=text):
        ask(load(returning(expression)), target=TARGET)


def test_a_hook_may_choose_its_answer(load: Load) -> None:
    code = "from datarobot_drum.drum.exceptions import CustomHTTPError\n"
    with pytest.raises(CustomHTTPError, match="no"):
        ask(load(code + "def transform(X, model): raise CustomHTTPError('no', 418)\n"))


def test_matrix_market_samples_reach_a_hook_as_sparse_columns(load: Load) -> None:
    transformed = ask(load(returning("X * 2")), MTX, kind="mtx")
    assert transformed.is_sparse
    assert transformed.features.toarray().tolist() == [[3.0, 0.0], [0.0, 4.0]]


def test_a_model_may_read_its_samples_itself(load: Load) -> None:
    code = "def read_input_data(input_binary_data): return input_binary_data.split()\n"
    predictor = load(code + "import pandas as pd\ndef transform(X, model): return pd.DataFrame({'n': map(len, X)})\n")
    assert list(ask(predictor, b"one three").features["n"]) == [3, 5]
    assert ask(predictor, b"one three", TARGET).target is not None
    with pytest.raises(UnprocessableInput, match="2 rows for 3 rows"):
        ask(predictor, b"one two three", TARGET)


def test_sparse_columns_without_scipy_name_the_extra(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = load(returning("X.astype(pd.SparseDtype(int, 0))"))
    monkeypatch.setitem(sys.modules, "scipy", None)  # as if it were not installed
    with pytest.raises(PredictionError, match=r"install datarobot-drum\[scikit-learn\]"):
        ask(predictor)


# Targets


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (b"t\n1\n", "1 rows for 2 rows of `X`"),
        (b"t\n1\n\n2\n3\n", "3 rows for 2"),
        (b"t\n", r"`y` cannot be read\. The csv has a header"),
        (b"\xff\n1\n2\n", "`y` cannot be read"),
    ],
)
def test_a_target_that_does_not_fit_is_the_fault_of_its_sender(load: Load, target: bytes, text: str) -> None:
    with pytest.raises(UnprocessableInput, match=text):
        ask(load(returning("X")), target=target)


def test_a_matrix_market_target_becomes_dense(load: Load) -> None:
    target = b"%%MatrixMarket matrix coordinate real general\n2 1 1\n2 1 5\n"
    answered = ask(load(returning("X")), MTX, target, kind="mtx").target
    assert answered is not None
    assert answered.to_dict("list") == {"0": [0.0, 5.0]}


# Artifacts


def test_a_transformer_gets_the_columns_that_it_was_trained_on_in_their_order(load: Load) -> None:
    predictor = load(MaxAbsScaler().fit(TRAINED))
    transformed = ask(predictor, b"a,c,b\n4,9,1\n8,9,4\n", TARGET)
    assert transformed.features.to_dict("list") == {"b": [0.25, 1.0], "a": [0.5, 1.0]}
    assert transformed.target is not None
    assert predictor.name == "scikit-learn"
    with pytest.raises(UnprocessableInput, match=r"lack 1 of the 2 columns of the model: b"):
        ask(predictor, b"a\n1\n")


def test_a_transformer_of_sparse_output_names_its_columns(load: Load) -> None:
    transformed = ask(load(OneHotEncoder().fit(TRAINED)), b"a,b\n2,1\n8,4\n")
    assert transformed.names == ("b_1.0", "b_2.0", "b_4.0", "a_2.0", "a_4.0", "a_8.0")
    assert transformed.features.toarray().tolist() == [[1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("transformer", "names"),
    [
        (MaxAbsScaler().fit(TRAINED.to_numpy()), ("x0", "x1")),
        (make_pipeline(MaxAbsScaler(), StandardScaler(with_mean=False)).fit(TRAINED.to_numpy()), ("x0", "x1")),
        (FunctionTransformer(abs), ("0", "1")),
    ],
    ids=["scaler", "pipeline", "cannot tell"],
)
def test_a_matrix_without_names_gets_some(load: Load, transformer: Any, names: tuple[str, ...]) -> None:
    assert ask(load(transformer), MTX, kind="mtx").names == names


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_transformer_trained_without_names_keeps_those_of_the_samples(load: Load) -> None:
    transformed = ask(load(MaxAbsScaler().fit([[3.0, 4.0]])), b"\xc3\xbc,b\n3,2\n")
    assert transformed.features.to_dict("list") == {"ü": [1.0], "b": [0.5]}


def test_a_matrix_stays_sparse_on_its_way_through_a_transformer(load: Load) -> None:
    transformed = ask(load(MaxAbsScaler().fit(sparse.csr_matrix([[3.0, 4.0]]))), MTX, kind="mtx")
    assert transformed.is_sparse
    assert transformed.features.toarray().tolist() == [[0.5, 0.0], [0.0, 0.5]]


def test_a_transformer_that_raises_is_an_error_of_the_model(load: Load) -> None:
    with pytest.raises(PredictionError, match="ValueError"):
        ask(load(StandardScaler().fit(TRAINED)), b"a,b\nx,y\n")


def test_load_model_may_give_the_transformer(load: Load) -> None:
    predictor = load(
        "from sklearn.preprocessing import MaxAbsScaler\n"
        "def load_model(code_dir): return MaxAbsScaler().fit([[3.0, 4.0]])\n"
        "def read_input_data(input_binary_data): return [line.split() for line in input_binary_data.splitlines()]\n"
    )
    assert ask(predictor, b"3 2\n6 4\n").features.to_numpy().tolist() == [[1.0, 0.5], [2.0, 1.0]]


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (3, "the model is a int, without transform"),
        ("def score(data, model): return data\n", "Nothing transforms: there is no model"),
        ("transform = 3\n", "it must be a function"),
    ],
    ids=["artifact", "score", "number"],
)
def test_a_model_that_does_not_transform_is_refused(load: Load, model: Any, text: str) -> None:
    with pytest.raises(ModelLoadError, match=text):
        load(model)
