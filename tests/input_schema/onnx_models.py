"""An ONNX model with an input of each type, and its predictions by ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from onnx import TensorProto, helper

from tests.input_schema.tables import Feature
from tests.input_schema.tree_models import CODE, SIZE, WORD, TrainedModel

YES = Feature("yes", "flag", (True, False), ("true", "FALSE"))
COUNT = Feature("count", "integer", (1, 2, 2**53 + 1), ("7",))
SHARE = Feature("share", "number", (0.1, 2, 2**60 + 1), ("", "1e5"))

_FLOAT = TensorProto.FLOAT


def onnx_with_an_input_per_column() -> TrainedModel:
    features = (WORD, YES, COUNT, SIZE)
    inputs = [("word", TensorProto.STRING, 1), ("yes", TensorProto.BOOL, 1), ("count", TensorProto.INT64, 1)]
    return _onnx_model(features, [*inputs, ("size", _FLOAT, 1)])


def onnx_with_inputs_of_several_columns() -> TrainedModel:
    features = (WORD, CODE, SIZE, SHARE, COUNT)
    inputs = [("texts", TensorProto.STRING, 2), ("numbers", _FLOAT, 2), ("counts", TensorProto.INT64, 1)]
    return _onnx_model(features, inputs, is_positional=True)


def _onnx_model(features: tuple[Feature, ...], inputs: list[tuple[str, int, int]], **more: bool) -> TrainedModel:
    values = [helper.make_tensor_value_info(name, kind, [None, width]) for name, kind, width in inputs]
    nodes = [node for name, kind, _ in inputs for node in _to_float(name, kind)]
    nodes.append(helper.make_node("Concat", [f"{name}_float" for name, _, _ in inputs], ["all"], axis=1))
    weights = np.array([[10.0**-place] for place in range(len(features))], dtype=np.float32)
    nodes.append(helper.make_node("MatMul", ["all", "weights"], ["y"]))
    output = helper.make_tensor_value_info("y", _FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "graph", values, [output], [onnx.numpy_helper.from_array(weights, "weights")])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    session = onnxruntime.InferenceSession(content)

    def predict(rows: pd.DataFrame) -> np.ndarray:
        feed, start = {}, 0
        for name, kind, width in inputs:
            feed[name] = _array(rows.iloc[:, start : start + width], kind)
            start += width
        return np.asarray(session.run(None, feed)[0])

    return TrainedModel(features, lambda folder: (folder / "model.onnx").write_bytes(content), predict, **more)


def _to_float(name: str, kind: int) -> list[onnx.NodeProto]:
    target = f"{name}_float"
    if kind != TensorProto.STRING:
        return [helper.make_node("Cast", [name], [target], to=_FLOAT)]
    texts = sorted({*WORD.values, *CODE.values, ""})
    numbers = [float(place + 1) for place in range(len(texts))]
    return [
        helper.make_node(
            "LabelEncoder", [name], [target], domain="ai.onnx.ml",
            keys_strings=texts, values_floats=numbers, default_float=-1.0,
        )
    ]  # fmt: skip


def _array(columns: pd.DataFrame, kind: int) -> np.ndarray:
    if kind == TensorProto.STRING:
        texts: np.ndarray = columns.map(lambda cell: cell or "").to_numpy(dtype=object)
        return texts
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    # Through float64 for decimals, so that their rounding is that of the csv; large whole numbers stay exact.
    cells = [columns[name].astype(float if kind == _FLOAT else object) for name in columns]
    array: np.ndarray = np.column_stack(cells).astype(dtype)
    return array


ONNX_MODELS = {
    "ONNX with an input per column": onnx_with_an_input_per_column,
    "ONNX with inputs of several columns": onnx_with_inputs_of_several_columns,
}
