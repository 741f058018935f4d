"""PyTorch on the CPU: TorchScript, weights of a class in ``custom.py``, and pickled modules.

A file is loaded in the safest way that it allows. TorchScript contains its code. Weights are read with
``weights_only``. A pickled module runs code while it is loaded, so it is tried last and logs a warning.

Weights need their class: one in ``custom.py``, defined or imported, that takes no arguments and has parameters of the
same names. A checkpoint may contain the weights as ``state_dict`` or ``model_state_dict``.

The model receives one tensor with a row per sample, of the floating type of its parameters. It must return values or
probabilities: end it with a sigmoid or softmax. Column k is the k-th declared label; a lone column is the positive
label's.

Thread safety: a call does not change a module in evaluation mode; a module with state must set ``THREAD_SAFE = False``.
"""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers
from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.artifact_predictors.file_detection import is_torch_script
from datarobot_drum.drum.artifact_predictors.load_policy import TORCH_ADVICE, check_torch, refused_code
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError
from datarobot_drum.drum.input_schema.columns import NUMBER, InputSchema
from datarobot_drum.drum.settings.load_policy import PicklePolicy

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

logger = logging.getLogger(__name__)

_WEIGHTS_KEYS = ("state_dict", "model_state_dict")


class TorchPredictor(ArtifactPredictor):
    name = "pytorch"
    extensions = (".pth",)

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        check_torch(path, self.policy)
        with artifact_load_errors(path):
            if is_torch_script(path):
                return torch.jit.load(str(path), map_location="cpu").eval()
            content = _load_content(path, self.policy)
            module = (
                content
                if isinstance(content, torch.nn.Module)
                else _load_weights(_find_weights(content, path), custom, path)
            )
            return module.eval()

    def accepts(self, model: Any) -> bool:
        return isinstance(model, torch.nn.Module)

    def input_schema(self, model: Any) -> InputSchema:
        return InputSchema(rest=NUMBER, accepts_missing=True)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        model.eval()
        floating = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
        dtype = next(floating, torch.float32)

        def predict(data: Any) -> Any:
            values = to_matrix(data, np.float64 if dtype is torch.float64 else np.float32)
            rows = torch.from_numpy(np.require(values, requirements="W"))  # the memory of a table may be read-only
            with torch.inference_mode():
                return _to_array(model(rows.to(dtype)))

        return bind_numbers(predict, settings)


def _load_content(path: Path, policy: PicklePolicy) -> Any:
    """Return the content of a file, with the code inside only if the policy allows it.

    Raises:
        ModelLoadError: the file holds more than weights, and the policy rejects that.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if policy is not PicklePolicy.ALLOW:
            raise refused_code(path, policy, "it holds more than weights", TORCH_ADVICE) from error
        logger.warning(
            "%s holds more than weights: loading it runs the code inside, which DRUM_PICKLE_POLICY=allow permits. Save "
            "TorchScript or a state_dict instead.",
            path.name,
        )
        return torch.load(path, map_location="cpu", weights_only=False)


def _find_weights(content: Any, path: Path) -> dict[str, Any]:
    if isinstance(content, dict):
        nested = next((content[key] for key in _WEIGHTS_KEYS if isinstance(content.get(key), dict)), content)
        if nested and all(isinstance(value, torch.Tensor) for value in nested.values()):
            return nested
    raise ModelLoadError(f"{path.name} holds a {type(content).__name__}, neither a module nor the weights of one.")


def _load_weights(weights: dict[str, Any], custom: ModuleType | None, path: Path) -> Any:
    """Create the module that the weights fit, and load them into it."""
    instances = [module for cls in _module_classes(custom) if (module := _instantiate(cls)) is not None]
    matching = [module for module in instances if module.state_dict().keys() == weights.keys()]
    if len({type(module) for module in matching}) != 1:
        found = ", ".join(type(module).__name__ for module in matching or instances) or "none"
        raise ModelLoadError(
            f"{path.name} holds weights only: custom.py must have one class of torch.nn.Module that they fit and that "
            f"can be made without arguments (found: {found})."
        )
    matching[0].load_state_dict(weights)
    return matching[0]


def _module_classes(custom: ModuleType | None) -> list[type]:
    """Return the module classes that ``custom.py`` defines or imports, without those of PyTorch."""
    values = list(vars(custom).values()) if custom else []
    classes = [value for value in values if isinstance(value, type) and issubclass(value, torch.nn.Module)]
    return [cls for cls in dict.fromkeys(classes) if cls.__module__.partition(".")[0] != "torch"]


def _instantiate(cls: type) -> Any | None:
    try:
        return cls()
    except TypeError:  # the class takes arguments
        return None


def _to_array(output: Any) -> np.ndarray:
    if not isinstance(output, torch.Tensor):
        raise PredictionError(f"The module returned a {type(output).__name__}: it must return one tensor.")
    output = output.detach().cpu()
    values: np.ndarray = (output.float() if output.dtype in (torch.bfloat16, torch.float16) else output).numpy()
    return values
