"""TensorFlow SavedModel folders: rows equal what the signature returns."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from tests.artifact_predictors.loaded_models import Load, predict_csv

tf = pytest.importorskip("tensorflow", reason="needs datarobot-drum[tensorflow]")

ROWS = pd.DataFrame({"a": [0.5, 1.0, -2.0], "b": [1.0, 0.25, 3.0]})


def save(folder: Path, function: Any, *inputs: Any) -> Any:
    """Save a function as the only signature."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=inputs)
    tf.saved_model.save(module, str(folder), signatures=module.call)
    return module.call


def table(width: int | None) -> Any:
    return tf.TensorSpec([None, width], tf.float32, name="rows")


def weighted(rows: Any) -> Any:
    return {"output": tf.linalg.matmul(rows, tf.constant([[1.0], [2.0]]))}


def test_one_input_takes_all_columns(load: Load, tmp_path: Path) -> None:
    call = save(tmp_path / "model", weighted, table(2))
    predictor = load("regression")
    assert (predictor.name, predictor.thread_safe) == ("tensorflow", False)
    own = call(tf.constant(ROWS.to_numpy(), dtype=tf.float32))["output"].numpy()
    assert np.array_equal(predict_csv(predictor, ROWS).values, own)
    assert np.array_equal([predict_csv(predictor, ROWS.iloc[[row]]).values[0] for row in range(3)], own)


def test_several_inputs_are_filled_by_name(load: Load, tmp_path: Path) -> None:
    def call(price: Any, town: Any) -> Any:
        return {"score": price + tf.cast(town == "01", tf.float32)[:, tf.newaxis]}

    specs = tf.TensorSpec([None, 1], tf.float32, name="price"), tf.TensorSpec([None], tf.string, name="town")
    save(tmp_path, call, *specs)
    rows = pd.DataFrame({"town": ["01", "1", None], "note": ["x", "y", "z"], "price": [1, 2, 3]})
    predictor = load("regression")
    assert predict_csv(predictor, rows).values[:, 0].tolist() == [2, 2, 3]
    with pytest.raises(UnprocessableInput, match="town"):
        predict_csv(predictor, rows.drop(columns="town"))


def test_probabilities_have_the_order_of_the_labels(load: Load, tmp_path: Path) -> None:
    def call(rows: Any) -> Any:
        return {"logits": rows, "probabilities": tf.nn.softmax(rows)}

    save(tmp_path, call, table(2))
    values = predict_csv(load("binary", ("no", "yes")), ROWS).values
    assert np.array_equal(values, tf.nn.softmax(tf.constant(ROWS.to_numpy(), dtype=tf.float32)).numpy())


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        pytest.param(lambda rows: {"a": rows, "b": rows}, [None, 1], "outputs a, b, of which one", id="outputs"),
        pytest.param(lambda rows: {"a": rows[:, 0, 0]}, [None, 2, 2], "rows.* are no columns of a table", id="inputs"),
    ],
)
def test_models_that_are_no_tables_are_rejected(
    load: Load, tmp_path: Path, function: Any, shape: list[int | None], message: str
) -> None:
    save(tmp_path, function, tf.TensorSpec(shape, tf.float32, name="rows"))
    with pytest.raises(ModelLoadError, match=message):
        load("regression")


def test_other_columns_are_rejected(load: Load, tmp_path: Path) -> None:
    save(tmp_path, weighted, table(2))
    predictor = load("regression")
    with pytest.raises(UnprocessableInput, match="the model takes 2"):
        predict_csv(predictor, ROWS[["a"]])
    with pytest.raises(UnprocessableInput, match=r"numbers only.* b \(row 1: 'x'\)"):
        predict_csv(predictor, ROWS.assign(b="x"))
