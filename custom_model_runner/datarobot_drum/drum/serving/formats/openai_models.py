"""OpenAI's list of models, and one model of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from datarobot_drum.drum.exceptions import LanguageModelNotFound, PredictionError
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall
from datarobot_drum.drum.serving.messages import ModelResponse, json_response

MODELS_CREATED = 1735689600
"""``created`` of a model that has none."""

_LISTING = OpenAiCall(hook="get_supported_llm_models")


def models_response(models: Any) -> ModelResponse:
    """Encode the result of ``get_supported_llm_models`` as OpenAI's list of models.

    Raises:
        PredictionError: it is no list.
    """
    return json_response({"object": "list", "data": _listed(models)})


def model_response(models: Any, name: str) -> ModelResponse:
    """Encode the model of this name.

    Raises:
        LanguageModelNotFound: the list has none.
        PredictionError: it is no list.
    """
    listed = _listed(models)
    found = next((model for model in listed if model.get("id") == name), None)
    if found is None:
        known = ", ".join(str(model.get("id")) for model in listed) or "none"
        raise LanguageModelNotFound(f"There is no model {name!r}; the list has: {known}.")
    return json_response(found)


def _listed(models: Any) -> list[dict[str, Any]]:
    listed = getattr(models, "data", models)
    if isinstance(listed, Mapping) and isinstance(listed.get("data"), list):
        listed = listed["data"]
    if isinstance(listed, str | bytes | Mapping) or not isinstance(listed, Iterable):
        raise PredictionError(f"get_supported_llm_models returned a {type(models).__name__}: it must return a list.")
    return [_as_model(item) for item in listed]


def _as_model(item: Any) -> dict[str, Any]:
    """Convert a name, an object or a dict to a model with all fields."""
    known = {"id": item} if isinstance(item, str) else _LISTING.to_dict(item, "a model")
    return {"object": "model", "created": MODELS_CREATED, "owned_by": "DataRobot", **known}
