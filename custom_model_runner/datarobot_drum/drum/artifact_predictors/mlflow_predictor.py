"""Models of MLflow that only MLflow can call, as a ``python_function``.

They get a table with the columns and types of their signature, or one array for a signature of one tensor. They run
code of the folder, so ``DRUM_PICKLE_POLICY=refuse`` rejects them.

Thread safety: unknown, since the code is the owner's; one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc
import numpy as np

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import BoundModel, bind_numbers, one_column
from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.artifact_predictors.label_matching import match_labels
from datarobot_drum.drum.artifact_predictors.load_policy import check_code_folder
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.mlflow_signature import Signature, read_signature
from datarobot_drum.drum.artifact_predictors.mlflow_types import to_signature_types
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_ADVICE = "log the model in the flavor of its library (mlflow.sklearn, mlflow.xgboost ...)"
_TABLE_RANK = 2


class MLflowPredictor(ArtifactPredictor):
    name = "mlflow"
    extensions = ()
    thread_safe = False

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        check_code_folder(
            path, self.policy, "it is a python_function of MLflow, which runs code of the folder", _ADVICE
        )
        with artifact_load_errors(path):
            return mlflow.pyfunc.load_model(str(path))

    def accepts(self, model: Any) -> bool:
        return isinstance(model, mlflow.pyfunc.PyFuncModel)

    def input_schema(self, model: Any) -> InputSchema:
        return _signature(model).input_schema()

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        signature, target_type = _signature(model), settings.target_type
        call = _call_function(model, signature)
        if target_type.has_class_labels:
            if signature.returns_classes:
                raise ModelLoadError(
                    f"The python_function returns classes, and {target_type.value} models need probabilities: return "
                    f"them from predict, or {_ADVICE}."
                )
            return bind_numbers(lambda data: _probabilities(call(data), settings.class_labels), settings)
        if target_type.has_target_column:
            return BoundModel(call, (), lambda output: one_column(np.asarray(output, dtype=object)))
        return bind_numbers(call, settings)


def _signature(model: Any) -> Signature:
    return read_signature(model.metadata.to_dict())


def _call_function(model: Any, signature: Signature) -> Callable[[Any], Any]:
    """Return a function from the samples to the output of the model."""
    tensor = signature.tensor
    if any(item.shape is not None for item in signature.inputs) and (
        tensor is None or len(tensor.shape or ()) > _TABLE_RANK
    ):
        raise ModelLoadError(
            "The signature has tensors that no row of a table holds: only one tensor without a name, of numbers by "
            "rows and columns, is served. Add a custom.py with load_model and score hooks."
        )

    def call(data: Any) -> Any:
        samples = (
            to_matrix(data, np.dtype(tensor.type)) if tensor is not None else to_signature_types(data, signature.inputs)
        )
        try:
            return model.predict(samples)
        except mlflow.MlflowException as error:
            if "enforce schema" in str(error):
                raise UnprocessableInput(f"The samples do not fit the signature: {_first_line(error)}") from error
            raise

    return call


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _probabilities(output: Any, labels: tuple[str, ...]) -> np.ndarray:
    """Return one column of probabilities per label; columns with the names of the labels in their order."""
    if isinstance(output, pd.DataFrame):
        matches = match_labels(labels, list(output.columns))
        if len(matches) == len(labels) == len(output.columns):
            output = output.iloc[:, [matches[label] for label in labels]]
    values = np.asarray(output)
    if values.dtype.kind != "f":
        raise PredictionError(
            f"The python_function returned values of type {values.dtype}, and probabilities are needed: return them "
            f"from predict, or {_ADVICE}."
        )
    return values
