"""The table of frameworks: what can be known of each without importing anything of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.imports import import_from_string

_PACKAGE = "datarobot_drum.drum.artifact_predictors"


@dataclass(frozen=True)
class Framework:
    """One line of the table.

    Args:
        extensions: names that are enough to take a file for one of this framework's, in lower case, with the dot.
        predictor: import string of its ``ArtifactPredictor``.
        modules: top-level modules that the classes of its models come from.
        extra: what to install of ``datarobot-drum`` to have its library; empty for plug-ins.
        thread_safe: whether a loaded model may be asked from several threads at once.
    """

    name: str
    extensions: tuple[str, ...]
    predictor: str
    modules: tuple[str, ...] = ()
    extra: str = ""
    thread_safe: bool = True

    def create_predictor(self) -> ArtifactPredictor:
        """Import the framework.

        Raises:
            ModelLoadError: it is not installed; the message names the extra.
        """
        try:
            predictor: ArtifactPredictor = import_from_string(self.predictor)()
        except ModuleNotFoundError as error:
            raise ModelLoadError(
                f"A {self.name} model needs the module {error.name}: {install_hint(error.name or '')}."
            ) from error
        return predictor


FRAMEWORKS = (
    Framework("xgboost", (".ubj", ".bst"), f"{_PACKAGE}.xgboost_predictor:XGBoostPredictor", ("xgboost",), "xgboost"),
    Framework("lightgbm", (), f"{_PACKAGE}.lightgbm_predictor:LightGBMPredictor", ("lightgbm",), "lightgbm"),
    Framework("catboost", (".cbm",), f"{_PACKAGE}.catboost_predictor:CatBoostPredictor", ("catboost",), "catboost"),
    Framework("onnx", (".onnx",), f"{_PACKAGE}.onnx_predictor:OnnxPredictor", ("onnxruntime",), "onnx"),
    # Before PyTorch: on its backend, models of Keras are PyTorch's modules too.
    Framework(
        "keras", (".keras", ".h5"), f"{_PACKAGE}.keras_predictor:KerasPredictor", ("keras",), "keras", thread_safe=False
    ),
    Framework("pytorch", (".pth",), f"{_PACKAGE}.torch_predictor:TorchPredictor", ("torch",), "torch"),
    Framework("skops", (".skops",), f"{_PACKAGE}.skops_predictor:SkopsPredictor", ("skops",), "skops"),
    Framework(
        "scikit-learn",
        (".pkl", ".joblib"),
        f"{_PACKAGE}.sklearn_predictor:SklearnPredictor",
        ("sklearn", "joblib", "scipy"),
        "scikit-learn",
    ),
)
"""In the order in which they are asked; the last one also takes whatever else has ``predict``."""


def install_hint(module: str) -> str:
    """What to do about a missing module."""
    root = module.partition(".")[0]
    extra = next((framework.extra for framework in FRAMEWORKS if root in framework.modules), "")
    return f"install datarobot-drum[{extra}]" if extra else "it is not installed"


def module_roots(model: Any) -> tuple[str, ...]:
    """The top-level modules that the class of ``model`` and its bases come from, the nearest first."""
    return tuple(dict.fromkeys(cls.__module__.partition(".")[0] for cls in type(model).__mro__))
