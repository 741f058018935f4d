"""What every framework's module offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np

    from datarobot_drum.drum.settings.build import ModelSettings


@dataclass(frozen=True, eq=False)
class ArtifactOutput:
    """Predictions of a framework's model, not checked yet.

    ``values`` has one row a sample and one column a class in the order of ``classes``: the declared labels, so binary
    models have the negative one first. ``classes`` is empty for the one column of the other kinds.
    """

    values: np.ndarray
    classes: tuple[str, ...] = ()


class ArtifactModel(Protocol):
    """A loaded model with all that was decided about it at load."""

    @property
    def accepts_numeric_table(self) -> bool:
        """Whether ``predict`` also takes a ``NumericTable``, and gives the same as for the frame of it."""

    def predict(self, data: Any) -> ArtifactOutput:
        """Predict a table or sparse matrix; may raise whatever the framework raises."""


class ArtifactPredictor(ABC):
    """One framework, built in or plugged in by another package (entry point group of ``plugins``).

    ``extensions`` are in lower case, with the dot. ``thread_safe`` says whether a loaded model may be asked from
    several threads at once; if not, every server asks it one call at a time.
    """

    name: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]]
    thread_safe: ClassVar[bool] = True

    def can_load(self, path: Path) -> bool:
        """Whether the file is one of this framework's; asked of plug-ins. The extension is matched in any case."""
        return path.suffix.lower() in self.extensions

    @abstractmethod
    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        """The framework's own object, as hooks get it.

        Args:
            custom: the model's ``custom.py``, for files that need code from it.

        Raises:
            ModelLoadError: the file or the framework does not allow it.
        """

    @abstractmethod
    def accepts(self, model: Any) -> bool:
        """Whether a loaded object, by ``load`` or by a ``load_model`` hook, can be predicted with here."""

    @abstractmethod
    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        """Settle once how ``model`` predicts the target, above all which of its classes is which label.

        Raises:
            ModelLoadError: it cannot.
        """
