"""OpenAI's embeddings: checks requests, encodes vectors as numbers or as base64 of 32-bit numbers."""

import base64
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import InvalidField, PredictionError
from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput, Embeddings
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall, read_params
from datarobot_drum.drum.serving.formats.openai_completions import texts_or_tokens
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits

FORMATS = ("float", "base64")


def embedding_input(request: ModelRequest, limits: InputLimits = UNLIMITED) -> EmbeddingInput:
    """Parse the body of "create embeddings".

    Raises:
        BadRequest: it is no JSON object, or a field has a wrong value.
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    params = read_params(request, limits)
    items: Any = texts_or_tokens(params, "input")
    dimensions = params.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise InvalidField("dimensions", "must be a whole number of at least 1.")
    if params.get("encoding_format") not in (None, *FORMATS):
        raise InvalidField("encoding_format", "must be float or base64.")
    is_text = isinstance(items[0], str)
    return EmbeddingInput(items if is_text else None, None if is_text else items, dimensions, params)


def embeddings_response(embeddings: Embeddings, request: EmbeddingInput, call: OpenAiCall) -> ModelResponse:
    """Encode vectors in the format of the request. Both formats hold the same numbers if those have 32 bits.

    Raises:
        InvalidField: the model has not as many dimensions as the request wants.
        PredictionError: a number is too large for 32 bits.
    """
    width = embeddings.vectors.shape[1]
    if request.dimensions not in (None, width):
        raise InvalidField("dimensions", f"is {request.dimensions}, but this model has {width} dimensions.")
    usage = embeddings.usage or _usage(request, call)
    document = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(_encoded(embeddings.vectors, request))
        ],
        "model": embeddings.model or call.model_name,
        "usage": usage,
    }
    call.note_response(document, usage)
    return ModelResponse(call.encode(document))


def _usage(request: EmbeddingInput, call: OpenAiCall) -> dict[str, int] | None:
    if request.texts is None:
        count: int | None = sum(map(len, request.tokens or ()))
    else:
        count = call.count(request.texts)
    return None if count is None else {"prompt_tokens": count, "total_tokens": count}


def _encoded(vectors: np.ndarray, request: EmbeddingInput) -> list[Any]:
    if request.params.get("encoding_format") != "base64":
        numbers: list[Any] = vectors.tolist()
        return numbers
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(vectors, dtype="<f4")
    if not np.isfinite(rows).all():
        raise PredictionError("The embed hook returned a number that is too large for base64 of 32-bit numbers.")
    return [base64.b64encode(row.tobytes()).decode("ascii") for row in rows]
