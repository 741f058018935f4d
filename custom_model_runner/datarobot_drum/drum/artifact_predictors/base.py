"""The interface of a framework's predictor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.settings.load_policy import PicklePolicy

if TYPE_CHECKING:
    import numpy as np

    from datarobot_drum.drum.settings.build import ModelSettings


@dataclass(frozen=True, eq=False)
class ArtifactOutput:
    """Unchecked predictions of a framework's model.

    ``values`` has one row per sample and one column per class, in the order of ``classes``: the labels, the negative
    one first. For target types without classes these are the names of the targets, or empty if unnamed.
    """

    values: np.ndarray
    classes: tuple[str, ...] = ()


class ArtifactModel(Protocol):
    """A loaded model bound to the settings of its target."""

    @property
    def accepts_numeric_table(self) -> bool:
        """True if ``predict`` accepts a ``NumericTable`` and predicts the same as for its frame."""

    def predict(self, data: Any) -> ArtifactOutput:
        """Predict a table or sparse matrix; may raise any error of the framework."""


class ArtifactPredictor(ABC):
    """A framework, built in or provided by another package (entry point group of ``plugins``).

    ``extensions`` are in lower case, with the dot. If ``thread_safe`` is False, every server runs one call at a time.
    """

    name: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]]
    thread_safe: ClassVar[bool] = True
    policy = PicklePolicy.ALLOW

    def __init__(self, policy: PicklePolicy = PicklePolicy.ALLOW) -> None:
        self.policy = policy

    def can_load(self, path: Path) -> bool:
        """Return True for a file of this framework, by its extension in any case; called for plug-ins only."""
        return path.suffix.lower() in self.extensions

    @abstractmethod
    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        """Load and return the framework's own object, which hooks receive as ``model``.

        Args:
            custom: the module ``custom.py``, for files that need code from it.

        Raises:
            ModelLoadError: the file cannot be loaded.
        """

    @abstractmethod
    def accepts(self, model: Any) -> bool:
        """Return True if this framework predicts with the object, which ``load`` or a ``load_model`` hook returned."""

    def input_schema(self, model: Any) -> InputSchema:
        """Return the columns that the model takes, as far as it knows them."""
        return InputSchema()

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:  # noqa: B027  # many show no kind
        """Require a model of the target's kind; called before the labels are known.

        Raises:
            ModelLoadError: another target type fits; the message names it.
        """

    def class_names(self, model: Any) -> Sequence[Any] | None:
        """Return the model's own classes, which are the labels where none are given; None if it does not name them."""
        return None

    def functions(self, model: Any, settings: ModelSettings) -> Mapping[str, Callable[..., Any]]:
        """Return what the model does beside ``predict``, as functions with the names and arguments of the hooks.

        Each stands for the hook of its name if ``custom.py`` has none: ``chat``, ``score_unstructured``, ``embed``.
        They raise ``UnprocessableInput`` and ``BadRequest`` for input that the model does not take.

        Raises:
            ModelLoadError: the model cannot serve the target type.
        """
        return {}

    def transformer(self, model: Any) -> Any | None:
        """Return an object whose ``transform`` takes the samples; None if the model transforms nothing."""
        return None

    @abstractmethod
    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel | None:
        """Bind ``model`` to its target: choose the method to call and map its classes to the declared labels.

        Return None if it predicts no rows, and ``functions`` alone serve the target.

        Raises:
            ModelLoadError: the model cannot predict the target.
        """
