"""Keys of model-metadata.yaml that nothing reads and that look like one that is read."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from datarobot_drum.drum.settings.model_metadata import FILE_NAME

READ_KEYS = (
    "name",
    "version",
    "targetType",
    "targetName",
    "targetNames",
    "positiveClassLabel",
    "negativeClassLabel",
    "classLabels",
    "promptColumn",
    "inputSchema",
    "typeSchema",
    "runtimeParameterDefinitions",
    "inferenceModel",
    "models",
)

_KEYS_OF_OTHERS = frozenset(
    {
        *("type", "description", "environmentID", "modelID", "majorVersion", "trainingModel", "validation"),
        *("hyperparameters", "trainOnProject", "userCredentialSpecifications", "predictionThreshold"),
    }
)
"""Keys that the platform reads."""

_LIKENESS = 0.7


def misspelt_keys(document: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a sentence for each unknown key that is nearly the name of a key that is read."""
    inner = (document or {}).get("inferenceModel")
    for section in (document or {}, inner if isinstance(inner, Mapping) else {}):
        for key in map(str, section):
            if nearest := _nearest(key):
                yield f"{key} in {FILE_NAME} has no effect: there is no such key (did you mean {nearest}?)."


def _nearest(key: str) -> str | None:
    if key in READ_KEYS or key in _KEYS_OF_OTHERS:
        return None
    known = {_folded(other): other for other in READ_KEYS}
    close = get_close_matches(_folded(key), known, 1, _LIKENESS)
    return known[close[0]] if close else None


def _folded(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")
