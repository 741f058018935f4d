"""The kinds of model, and which routes and rules each kind follows."""

from enum import Enum


class TargetType(str, Enum):
    """What a model predicts; the values are those of ``--target-type``."""

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
        """Whether samples are tables."""
        return self is not TargetType.UNSTRUCTURED

    @property
    def is_structured(self) -> bool:
        """Rows in, one prediction a row out, through ``/predict/``."""
        return self not in (TargetType.UNSTRUCTURED, TargetType.TRANSFORM)

    @property
    def is_classification(self) -> bool:
        """One probability a class label; the probabilities of a row sum to one."""
        return self in (TargetType.BINARY, TargetType.MULTICLASS)

    @property
    def has_class_labels(self) -> bool:
        """The output columns are class labels."""
        return self.is_classification or self is TargetType.MULTILABEL

    @property
    def has_target_column(self) -> bool:
        """The output column carries the name of the target (``TARGET_NAME``)."""
        return self in (
            TargetType.TEXT_GENERATION,
            TargetType.GEO_POINT,
            TargetType.VECTOR_DATABASE,
            TargetType.AGENTIC_WORKFLOW,
        )

    @property
    def may_chat(self) -> bool:
        """The chat routes are for it (http-api.md H59)."""
        return self in (TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW)
