"""The checks of a model that chats: the same requests, answered at once and as a stream."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.validation.results import CheckResult, Status, describe_error
from datarobot_drum.drum.exceptions import InvalidField, PredictionError, RequestError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall
from datarobot_drum.drum.serving.formats.openai_chat import chat_response, check_messages
from datarobot_drum.drum.serving.messages import ModelResponse

REPLY, STREAM = "chat reply", "streamed chat reply"
MAX_REQUESTS = 5
"""The number of prompts of a table that are sent, the first ones."""

_DATA = b"data: "
_DONE = b"[DONE]"

Params = dict[str, Any]


def is_chat_request(source: InputFile) -> bool:
    """Return whether the input is a file with one chat request, as ``drum perf-test`` takes it."""
    return source.path.suffix.lower() == ".json"


def read_chat_request(source: InputFile) -> Params:
    """Return the chat request in the input.

    Raises:
        UnprocessableInput: it has none.
    """
    source.file.seek(0)
    try:
        params = json.loads(source.file.read())
        if not isinstance(params, dict):
            raise ValueError("it is no JSON object")
        check_messages(params)
    except (ValueError, InvalidField) as error:
        raise UnprocessableInput(f"{source.path.name} has no chat request: {error}") from error
    return params


def chat_requests(texts: Iterable[str]) -> list[Params]:
    """Return a chat request for each text."""
    return [{"messages": [{"role": "user", "content": text}]} for text in texts]


def check_chat(predictor: BasePredictor, requests: Sequence[Params], no_requests: str = "") -> Iterator[CheckResult]:
    """Send the requests without a stream, then as streams. ``no_requests`` says why there are none."""
    if not requests:
        yield from (CheckResult(name, Status.SKIPPED, no_requests) for name in (REPLY, STREAM))
        return
    yield _check(REPLY, _read_reply, predictor, requests)
    yield _check(STREAM, _read_stream, predictor, [{**params, "stream": True} for params in requests])


def _check(
    name: str, read: Callable[[ModelResponse], int], predictor: BasePredictor, requests: Sequence[Params]
) -> CheckResult:
    """Return the result of all requests; the first one that fails ends the check."""
    lengths: list[int] = []
    try:
        lengths.extend(read(_chat(predictor, params)) for params in requests)
    except RequestError as error:
        return CheckResult(name, Status.FAILED, f"Request {len(lengths) + 1}: {describe_error(error)}")
    return CheckResult(name, Status.PASSED, f"{len(requests)} requests, {sum(lengths)} characters")


def _chat(predictor: BasePredictor, params: Params) -> ModelResponse:
    call = OpenAiCall(params, count_tokens=predictor.count_tokens)
    return chat_response(predictor.chat(dict(params), {}), call)


def _read_reply(response: ModelResponse) -> int:
    """Return the length of the reply in characters.

    Raises:
        PredictionError: it has none, or is a stream.
    """
    if not isinstance(response.content, bytes):
        list(response.content)  # the stream of a hook must end
        raise PredictionError("The hook chat streams a reply for which the request does not set stream.")
    return _length([orjson.loads(response.content)])


def _read_stream(response: ModelResponse) -> int:
    """Return the length of the reply in characters.

    Raises:
        PredictionError: the stream has an error, or no reply.
    """
    assert not isinstance(response.content, bytes)
    lines = b"".join(response.content).splitlines()
    events = [line.removeprefix(_DATA) for line in lines if line.startswith(_DATA)]
    chunks = [orjson.loads(event) for event in events if event != _DONE]
    for chunk in chunks:
        if chunk.get("error"):
            raise PredictionError(f"The stream ends with an error: {chunk['error'].get('message')}")
    return _length(chunks)


def _length(documents: Sequence[Mapping[str, Any]]) -> int:
    """Return the characters of the text of a completion or its chunks; a call of a tool has no text.

    Raises:
        PredictionError: there is neither text nor such a call.
    """
    messages = [
        choice.get("delta") or choice.get("message") or {}
        for document in documents
        for choice in document.get("choices") or []
    ]
    texts = [message["content"] for message in messages if message.get("content")]
    if not texts and not any(message.get("tool_calls") for message in messages):
        raise PredictionError("The reply has no text and no tool calls.")
    return sum(map(len, texts))
