"""OpenAI's chat interface: what a request must be, and completions as JSON or as server-sent events."""

import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from datarobot_drum.drum.exceptions import BadRequest, PredictionError, RequestError
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, json_response
from datarobot_drum.runtime_parameters import mask_secrets

EVENT_STREAM = "text/event-stream; charset=utf-8"
STREAM_HEADERS = {
    "Cache-Control": "no-cache",
    # nginx would gather the events, and send them in one lump.
    "X-Accel-Buffering": "no",
}
KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
ASSOCIATION_ID = "datarobot_association_id"
MODELS_CREATED = 1735689600
"""When the model of ``LLM_ID`` says it was made (http-api.md section 9)."""

logger = logging.getLogger(__name__)


def completion_params(request: ModelRequest) -> dict[str, Any]:
    """The body of "create chat completion".

    Raises:
        BadRequest: no JSON object, or no list of messages.
    """
    body = request.body.read() if request.body is not None else b""
    try:
        params = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(params, dict):
        raise BadRequest("The body must be a JSON object.")
    if not isinstance(params.get("messages"), list):
        raise BadRequest("The field messages is missing, or not a list.")
    return params


def chat_response(answer: Any, *, wants_stream: bool) -> ModelResponse:
    """What the model's ``chat`` returned, as JSON, or as events when it is an iterator or a stream was asked for.

    The first chunk is drawn here, so that an error before it is an error answer.

    Raises:
        PredictionError: the model returned something else.
    """
    association_id = str(uuid.uuid4())
    if isinstance(answer, Iterator):
        return _event_stream(_Events(answer, association_id))
    completion = _as_dict(answer, "a completion")
    completion[ASSOCIATION_ID] = association_id
    if wants_stream:
        return _event_stream(_Events(iter([_as_chunk(completion)]), association_id))
    return json_response(completion)


def _event_stream(events: Iterator[bytes]) -> ModelResponse:
    return ModelResponse(events, EVENT_STREAM, headers=STREAM_HEADERS, keep_alive=KEEP_ALIVE)


class _Events(Iterator[bytes]):
    """Chunks as server-sent events with ``[DONE]`` at the end; an error on the way is the last event, without it."""

    def __init__(self, chunks: Iterator[Any], association_id: str) -> None:
        self._chunks = chunks
        self._association_id = association_id
        self._ended = False
        self._first: bytes | None = self._event()

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._ended:
            raise StopIteration
        try:
            return self._event()
        except Exception as error:  # model code; the headers are out, so the stream has to tell
            logger.error("A chat stream failed after its first chunk.", exc_info=error)
            self._ended = True
            return b"data: " + orjson.dumps({"error": openai_error(error)}) + b"\n\n"

    def _event(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._ended = True
            return DONE
        document = _as_dict(chunk, "a chunk")
        document[ASSOCIATION_ID] = self._association_id
        return b"data: " + orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS) + b"\n\n"

    def close(self) -> None:
        """Run the ``finally`` blocks of the model."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def _as_dict(answer: Any, what: str) -> dict[str, Any]:
    """A completion or chunk, an object of the OpenAI library or a mapping, as a dict of plain values."""
    dump = getattr(answer, "model_dump", None)
    found = dump(mode="json") if callable(dump) else answer
    if not isinstance(found, Mapping):
        kind = "None" if answer is None else f"a {type(answer).__name__}"
        raise PredictionError(f"The chat hook returned {kind} where {what} was expected.")
    return dict(found)


def _as_chunk(completion: dict[str, Any]) -> dict[str, Any]:
    """A whole completion as the one chunk of a stream."""
    choices = [
        {
            "index": choice.get("index", index),
            "delta": choice.get("message") or {},
            "finish_reason": choice.get("finish_reason"),
            "logprobs": choice.get("logprobs"),
        }
        for index, choice in enumerate(completion.get("choices") or [])
    ]
    return {**completion, "object": "chat.completion.chunk", "choices": choices}


def openai_error(error: BaseException) -> dict[str, Any]:
    """The ``error`` object that OpenAI clients read."""
    status = error.status if isinstance(error, RequestError) else 500
    message = error.message if isinstance(error, RequestError) else f"{type(error).__name__}: {error}"
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": mask_secrets(message), "type": kind, "param": None, "code": None}


def models_response(models: Any) -> ModelResponse:
    """OpenAI's list of models, from whatever ``get_supported_llm_models`` returned (http-api.md H63, H64).

    Raises:
        PredictionError: it returned no list.
    """
    listed = getattr(models, "data", models)
    if isinstance(listed, Mapping) and isinstance(listed.get("data"), list):
        listed = listed["data"]
    if isinstance(listed, str | bytes | Mapping) or not isinstance(listed, Iterable):
        raise PredictionError(f"get_supported_llm_models returned a {type(models).__name__}: it must return a list.")
    return json_response({"object": "list", "data": [_as_model(item) for item in listed]})


def _as_model(item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"id": item, "object": "model", "created": MODELS_CREATED, "owned_by": "DataRobot"}
    return {"object": "model", "created": int(time.time()), "owned_by": "DataRobot", **_as_dict(item, "a model")}
