"""Other estimators of scikit-learn by skl2onnx and ONNX Runtime in double precision, for ``DRUM_COMPILE=close``.

ONNX Runtime has kernels of its own, whose sums round in another order: they agree to 1e-9, seldom to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import skl2onnx
from skl2onnx.common.data_types import DoubleTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

from datarobot_drum.drum.compiled_models.arrays import require_finite, require_width, to_floats
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, CompiledForm
from datarobot_drum.drum.compiled_models.original_classes import is_original

NAME = "ONNX Runtime"

_INPUT = "samples"
_METHODS = ("predict", "predict_proba")


def compile_by_onnx(estimator: Any, method: str) -> CompiledForm:
    """Compile an estimator that takes finite numbers.

    Raises:
        CannotCompileError: skl2onnx has no converter for the estimator, or a part of it is no original.
    """
    width = getattr(estimator, "n_features_in_", None)
    if method not in _METHODS or width is None or hasattr(estimator, "classes_") != (method == "predict_proba"):
        raise CannotCompileError(f"no compiler for {method} of {type(estimator).__name__}")
    parts = (value for value in estimator.get_params(deep=True).values() if hasattr(value, "fit"))
    if not all(is_original(part) for part in parts):
        raise CannotCompileError("a part of it is no class of a library, or its methods were replaced")
    content = _convert(estimator, width)
    session = onnxruntime.InferenceSession(content, _options(), providers=["CPUExecutionProvider"])
    outputs = [session.get_outputs()[-1].name]

    def predict(data: Any) -> np.ndarray:
        values = to_floats(data, np.float64)
        require_width(values, width)
        require_finite(values)
        output: np.ndarray = session.run(outputs, {_INPUT: np.ascontiguousarray(values)})[0]
        return output.reshape(-1) if method == "predict" and output.shape[1:] == (1,) else output

    return CompiledForm((NAME,), predict, nbytes=len(content))


def _convert(estimator: Any, width: int) -> bytes:
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "classes_") else None
    types = [(_INPUT, DoubleTensorType([None, width]))]
    try:
        content: bytes = skl2onnx.convert_sklearn(estimator, initial_types=types, options=options).SerializeToString()
    except (MissingConverter, MissingShapeCalculator, RuntimeError, ValueError, TypeError, NameError) as error:
        raise CannotCompileError(f"skl2onnx does not convert it: {type(error).__name__}") from error
    return content


def _options() -> Any:
    """Return options for one thread: more cost more than they save for a few rows."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options
