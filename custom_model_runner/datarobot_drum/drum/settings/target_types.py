"""The target types, and the routes and rules of each."""

from enum import Enum


class TargetType(str, Enum):
    """The kind of prediction; the values are those of ``--target-type``."""

    BINARY = "binary"
    REGRESSION = "regression"
    ANOMALY = "anomaly"
    UNSTRUCTURED = "unstructured"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    TRANSFORM = "transform"
    TEXT_GENERATION = "textgeneration"
    GEO_POINT = "geopoint"
    VECTOR_DATABASE = "vectordatabase"
    AGENTIC_WORKFLOW = "agenticworkflow"

    @property
    def reads_tables(self) -> bool:
        """True if samples are tables."""
        return self is not TargetType.UNSTRUCTURED

    @property
    def is_structured(self) -> bool:
        """True if ``/predict/`` takes rows and returns one prediction per row."""
        return self not in (TargetType.UNSTRUCTURED, TargetType.TRANSFORM)

    @property
    def is_classification(self) -> bool:
        """True if the output is one probability per class label, and those of a row sum to one."""
        return self in (TargetType.BINARY, TargetType.MULTICLASS)

    @property
    def has_class_labels(self) -> bool:
        """True if the output columns are class labels."""
        return self.is_classification or self is TargetType.MULTILABEL

    @property
    def has_target_column(self) -> bool:
        """True if the output column is named after the target (``TARGET_NAME``)."""
        return self in (
            TargetType.TEXT_GENERATION,
            TargetType.GEO_POINT,
            TargetType.VECTOR_DATABASE,
            TargetType.AGENTIC_WORKFLOW,
        )

    @property
    def may_chat(self) -> bool:
        """True if the chat routes are available."""
        return self in (TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW)
