"""A bound model that receives the columns and types that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactOutput
from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.input_schema.conform import conform, reject_unusable_numbers, select, with_own_names
from datarobot_drum.drum.input_schema.selection import require_width
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.numeric_table import NumericTable


@dataclass(frozen=True, eq=False)
class SchemaModel:
    """A model whose samples are selected and converted by its input schema before it predicts."""

    model: ArtifactModel
    schema: InputSchema

    @cached_property
    def accepts_numeric_table(self) -> bool:
        return self.model.accepts_numeric_table and self.schema.is_numeric

    def predict(self, data: Any) -> ArtifactOutput:
        """Predict a table or a sparse matrix.

        Raises:
            UnprocessableInput: the samples do not have the columns and types of the model.
            Exception: any other error of the framework.
        """
        if isinstance(data, pd.DataFrame):
            data = self._conform(data)
        elif self.schema.names is None or not isinstance(data, NumericTable):
            require_width(data, self.schema.width)
        try:
            return self.model.predict(data)
        except ValueError:
            if isinstance(data, pd.DataFrame):
                reject_unusable_numbers(self.schema, data)
            raise

    def _conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        selected = select(self.schema, frame)
        conformed = selected if is_sparse(selected) else conform(self.schema, selected)
        return conformed if selected is frame else with_own_names(self.schema, conformed)
