"""The table of frameworks, readable without importing any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.load_policy import PicklePolicy

_PACKAGE = "datarobot_drum.drum.artifact_predictors"


@dataclass(frozen=True)
class Framework:
    """A row of the table.

    Args:
        extensions: file extensions that identify the framework, in lower case, with the dot.
        predictor: import string of its ``ArtifactPredictor``.
        modules: top-level modules that define the classes of its models.
        extra: the extra of ``datarobot-drum`` that installs its library.
        thread_safe: whether a loaded model may predict in several threads at once.
    """

    name: str
    extensions: tuple[str, ...]
    predictor: str
    modules: tuple[str, ...] = ()
    extra: str = ""
    thread_safe: bool = True

    def create_predictor(self, policy: PicklePolicy = PicklePolicy.ALLOW) -> ArtifactPredictor:
        """Import the framework and create its predictor, which loads files by the policy.

        Raises:
            ModelLoadError: the framework is not installed; the message names the extra.
        """
        try:
            predictor: ArtifactPredictor = import_from_string(self.predictor)(policy)
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
    # Before PyTorch: on that backend, Keras models are PyTorch modules, too.
    Framework(
        "keras", (".keras", ".h5"), f"{_PACKAGE}.keras_predictor:KerasPredictor", ("keras",), "keras", thread_safe=False
    ),
    # Before PyTorch: these are PyTorch modules, too.
    Framework(
        "sentence-transformers",
        (),
        f"{_PACKAGE}.sentence_transformers_predictor:SentenceTransformersPredictor",
        ("sentence_transformers",),
        "sentence-transformers",
        thread_safe=False,
    ),
    Framework(
        "transformers",
        (),
        f"{_PACKAGE}.huggingface_predictor:TransformersPredictor",
        ("transformers", "tokenizers", "safetensors"),
        "transformers",
        thread_safe=False,
    ),
    Framework("pytorch", (".pth",), f"{_PACKAGE}.torch_predictor:TorchPredictor", ("torch",), "torch"),
    Framework("spacy", (), f"{_PACKAGE}.spacy_predictor:SpacyPredictor", ("spacy",), "spacy", thread_safe=False),
    Framework(
        "statsmodels", (), f"{_PACKAGE}.statsmodels_predictor:StatsmodelsPredictor", ("statsmodels",), "statsmodels"
    ),
    Framework(
        "tensorflow",
        (),
        f"{_PACKAGE}.tensorflow_predictor:TensorFlowPredictor",
        ("tensorflow",),
        "tensorflow",
        thread_safe=False,
    ),
    Framework("mlflow", (), f"{_PACKAGE}.mlflow_predictor:MLflowPredictor", ("mlflow",), "mlflow", thread_safe=False),
    Framework("skops", (".skops",), f"{_PACKAGE}.skops_predictor:SkopsPredictor", ("skops",), "skops"),
    Framework(
        "scikit-learn",
        (".pkl", ".joblib"),
        f"{_PACKAGE}.sklearn_predictor:SklearnPredictor",
        ("sklearn", "joblib", "scipy"),
        "scikit-learn",
    ),
)
"""In search order; the last one also accepts any other object with ``predict``."""


def install_hint(module: str) -> str:
    """Return the text that says how to install a missing module."""
    root = module.partition(".")[0]
    extra = next((framework.extra for framework in FRAMEWORKS if root in framework.modules), "")
    return f"install datarobot-drum[{extra}]" if extra else "it is not installed"


def module_roots(model: Any) -> tuple[str, ...]:
    """Return the top-level modules of the class of ``model`` and its bases, in method resolution order."""
    return tuple(dict.fromkeys(cls.__module__.partition(".")[0] for cls in type(model).__mro__))
