"""scikit-learn transformers and compatible objects: anything with ``transform``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.artifact_predictors.features import to_csr
from datarobot_drum.drum.artifact_predictors.schema_model import to_training_types
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.input_schema.failures import explain_failure
from datarobot_drum.drum.tabular.lazy_pandas import pd

NAME = "scikit-learn"


def is_transformer(model: Any) -> bool:
    return callable(getattr(model, "transform", None))


@dataclass(frozen=True, eq=False)
class SchemaTransformer:
    """A transformer whose samples are selected and converted by its input schema."""

    transformer: Any
    schema: InputSchema

    def transform(self, data: Any) -> tuple[Any, Sequence[Any] | None]:
        """Transform the samples; return them with the column names, None if the transformer has none.

        Raises:
            UnprocessableInput: the samples do not have the columns and types of the transformer.
            Exception: any error of the transformer.
        """
        samples = to_csr(to_training_types(self.schema, data))
        try:
            transformed = self.transformer.transform(samples)
        except ValueError as error:
            explain_failure(self.schema, samples, error)
            raise
        return transformed, _output_names(self.transformer, samples)


def _output_names(model: Any, data: Any) -> Sequence[Any] | None:
    """Return the output names for the training columns, or without those for the columns of the samples."""
    find_names = getattr(model, "get_feature_names_out", None)
    if find_names is None:
        return None
    knows_names = getattr(model, "feature_names_in_", None) is not None
    given = None if knows_names or not isinstance(data, pd.DataFrame) else [str(name) for name in data.columns]
    return _call_get_names(find_names, given) or _call_get_names(find_names, None)


def _call_get_names(find_names: Callable[[list[str] | None], Any], given: list[str] | None) -> Sequence[Any] | None:
    try:
        return list(find_names(given))
    except (AttributeError, TypeError, ValueError):  # a pipeline step has no names, or rejects these
        return None
