"""skops: scikit-learn compatible estimators in a file that runs no code.

Only types that skops trusts are loaded. Name others at the top level of ``custom.py``:
``SKOPS_TRUSTED = ["my_steps.Clipper"]``. MLflow stores such names beside the file. The
class of the object then selects the predictor.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import skops.io

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.estimator_kind import require_fitting_kind
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.load_policy import check_untrusted_types
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.mlflow_folder import trusted_types
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes
from datarobot_drum.drum.exceptions import ModelLoadError

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

TRUSTED_NAME = "SKOPS_TRUSTED"


class SkopsPredictor(ArtifactPredictor):
    name = "skops"
    extensions = (".skops",)

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        trusted = [*(str(name) for name in getattr(custom, TRUSTED_NAME, ())), *trusted_types(path)]
        with artifact_load_errors(path):
            untrusted = set(skops.io.get_untrusted_types(file=path))
            check_untrusted_types(path, self.policy, untrusted)
            unknown = sorted(untrusted - set(trusted))
            if unknown:
                raise ModelLoadError(
                    f"{path.name} holds types that skops does not trust ({', '.join(unknown)}): if you do, name them "
                    f"in {TRUSTED_NAME} in custom.py."
                )
            return skops.io.load(path, trusted=trusted)

    def accepts(self, model: Any) -> bool:
        return False

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        require_fitting_kind(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        return estimator_classes(model)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        return bind_estimator(model, settings)
