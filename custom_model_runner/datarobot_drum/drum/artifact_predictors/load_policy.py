"""Reject model files whose loading runs code, as ``DRUM_PICKLE_POLICY`` says. Nothing is loaded here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from datarobot_drum.drum.artifact_predictors.file_detection import is_pickle, is_torch_script
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.load_policy import PicklePolicy

PICKLE_ADVICE = "save the model as skops or ONNX, or in its library's own format (XGBoost, LightGBM, CatBoost)"
TORCH_ADVICE = "save TorchScript, or a state_dict with its class in custom.py"
_KERAS_ADVICE = "save the model as .keras without Lambda layers"
_SKOPS_ADVICE = "train the model with types of scikit-learn alone"

_SCAN = "datarobot_drum.drum.artifact_predictors.pickle_scan:"
_CODE_IN_KERAS = frozenset({"Lambda", "__lambda__", "TorchModuleWrapper"})
"""Classes whose configuration holds marshalled or pickled code."""

_MAX_CONFIG_BYTES = 1 << 28


def refused_code(path: Path, policy: PicklePolicy, reason: str, advice: str) -> ModelLoadError:
    """Return the error for a file that the policy rejects."""
    return ModelLoadError(
        f"{path.name} is not loaded, since {reason}, which DRUM_PICKLE_POLICY={policy.value} rejects: {advice}."
    )


def check_pickle(path: Path, policy: PicklePolicy) -> None:
    """Reject a file that is to be unpickled, compressed or not.

    Raises:
        ModelLoadError: the policy rejects it, or the package for the scan is missing.
    """
    if policy is PicklePolicy.REFUSE:
        raise refused_code(path, policy, "it is a pickle, which runs code while it is loaded", PICKLE_ADVICE)
    if policy is PicklePolicy.SCAN:
        import_from_string(f"{_SCAN}scan_pickle")(path)


def check_code_folder(folder: Path, policy: PicklePolicy, reason: str, advice: str) -> None:
    """Reject a model folder whose loading runs code in it; the scan covers the pickles of the folder.

    Raises:
        ModelLoadError: the policy rejects it, or the package for the scan is missing.
    """
    if policy is PicklePolicy.REFUSE:
        raise refused_code(folder, policy, reason, advice)
    if policy is PicklePolicy.SCAN:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and is_pickle(path):
                check_pickle(path, policy)


def check_untrusted_types(path: Path, policy: PicklePolicy, types: Iterable[str]) -> None:
    """Reject a skops file with types that skops does not trust, although ``custom.py`` may name them.

    Raises:
        ModelLoadError: the policy is ``refuse`` and there are such types.
    """
    names = ", ".join(sorted(types))
    if names and policy is PicklePolicy.REFUSE:
        raise refused_code(path, policy, f"it holds types that skops does not trust ({names})", _SKOPS_ADVICE)


def check_torch(path: Path, policy: PicklePolicy) -> None:
    """Scan the pickles in a PyTorch archive; what is not TorchScript is then read as weights only.

    Raises:
        ModelLoadError: the scan finds a dangerous import, or its package is missing.
    """
    if policy is PicklePolicy.SCAN and not is_torch_script(path) and zipfile.is_zipfile(path):
        import_from_string(f"{_SCAN}scan_archive")(path)


def check_keras(path: Path, policy: PicklePolicy) -> None:
    """Reject a Keras file with code inside, and all HDF5 files, where Keras's safe mode covers less.

    Raises:
        ModelLoadError: the policy is not ``allow`` and the file may run code.
    """
    if policy is PicklePolicy.ALLOW:
        return
    if path.suffix.lower() != ".keras" or not zipfile.is_zipfile(path):
        raise refused_code(path, policy, "its HDF5 format may hold code", _KERAS_ADVICE)
    found = sorted(_CODE_IN_KERAS.intersection(_class_names(_keras_config(path, policy))))
    if found:
        raise refused_code(path, policy, f"it holds code ({', '.join(found)})", _KERAS_ADVICE)


def _keras_config(path: Path, policy: PicklePolicy) -> Any:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
            return json.loads(file.read(_MAX_CONFIG_BYTES))
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise refused_code(path, policy, "its config.json is not readable", _KERAS_ADVICE) from error


def _class_names(config: Any) -> Iterator[str]:
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield str(value.get("class_name"))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
