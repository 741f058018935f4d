"""A bound model that receives the columns and types that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactOutput
from datarobot_drum.drum.artifact_predictors.features import is_sparse, to_csr
from datarobot_drum.drum.compiled_models.prediction_function import PredictionFunction
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.input_schema.conform import conform, select, with_own_names
from datarobot_drum.drum.input_schema.failures import explain_failure
from datarobot_drum.drum.input_schema.selection import require_numbers_only, require_width
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable


@dataclass(frozen=True, eq=False)
class SchemaModel:
    """A model whose samples are selected and converted by its input schema before it predicts."""

    model: ArtifactModel
    schema: InputSchema

    @property
    def function(self) -> PredictionFunction | None:
        """The function that may be compiled; None for a model that has none."""
        function = getattr(self.model, "function", None)
        return function if isinstance(function, PredictionFunction) else None

    @property
    def accepts_numeric_table(self) -> bool:
        return self.schema.is_numeric and self.model.accepts_numeric_table and not self._needs_typed_frame

    @property
    def _needs_typed_frame(self) -> bool:
        """True for an original that takes frames, with columns whose numbers are converted."""
        function = self.function
        is_plain = function is None or function.reads_arrays or self.schema.has_plain_numbers
        return not is_plain

    def to_samples(self, frame: pd.DataFrame) -> Any:
        """Return the samples that the model gets for a table.

        Raises:
            UnprocessableInput: the table does not have the columns and types of the model.
        """
        return to_csr(to_training_types(self.schema, frame))

    def _needs_frame(self, data: Any) -> bool:
        """Return True for a table that a model takes as a frame: not compiled, or with other columns."""
        function = self.function
        if function is None or function.reads_arrays or not isinstance(data, NumericTable):
            return False
        return not function.is_compiled or data.names != self.schema.names or self._needs_typed_frame

    def predict(self, data: Any) -> ArtifactOutput:
        """Predict a table or a sparse matrix.

        Raises:
            UnprocessableInput: the samples do not have the columns and types of the model.
            Exception: any other error of the framework.
        """
        data = to_training_types(self.schema, data.to_frame() if self._needs_frame(data) else data)
        try:
            return self.model.predict(data)
        except ValueError as error:
            explain_failure(self.schema, data, error)
            raise


def to_training_types(schema: InputSchema, data: Any) -> Any:
    """Return the columns of the model with their types; a Series of them if it takes one.

    Raises:
        UnprocessableInput: the samples do not have the columns and types of the model.
    """
    if isinstance(data, NumericTable):
        if schema.names is None:
            require_width(data, schema.width)
        return data
    if isinstance(data, pd.DataFrame):
        selected = select(schema, data)
        if not is_sparse(selected):
            conformed = conform(schema, selected)
            if schema.takes_series:
                return conformed.iloc[:, 0]
            return conformed if selected is data else with_own_names(schema, conformed)
        data = selected
    if len(getattr(data, "shape", ())) > 1:  # a hook may return anything
        require_width(data, schema.width)
        require_numbers_only(schema)
    return data
