"""The checks of a model that chats: the same requests, answered at once and as a stream."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.validation.results import CheckResult, Status, describe_error
from datarobot_drum.drum.exceptions import InvalidField, PredictionError, RequestError, UnprocessableInput
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall
from datarobot_drum.drum.serving.formats.openai_chat import check_messages, to_chunks, to_completion
from datarobot_drum.drum.serving.formats.openai_events import chunk_texts

REPLY, STREAM = "chat reply", "streamed chat reply"
MAX_REQUESTS = 5
"""The number of prompts of a table that are sent, the first ones."""

Params = dict[str, Any]
ToDocuments = Callable[[Any, OpenAiCall], Iterator[Params]]
"""Converts the result of the hook to what a client gets: a completion, or its chunks."""


def read_chat_request(source: InputFile) -> Params:
    """Return the chat request in the input.

    Raises:
        UnprocessableInput: it has none.
    """
    source.file.seek(0)
    try:
        params = orjson.loads(source.file.read())
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
    yield _check(REPLY, _to_reply, predictor, requests)
    yield _check(STREAM, to_chunks, predictor, [{**params, "stream": True} for params in requests])


def _check(name: str, to_documents: ToDocuments, predictor: BasePredictor, requests: Sequence[Params]) -> CheckResult:
    """Return the result of all requests; the first one that fails ends the check."""
    characters = number = 0
    try:
        for params in requests:
            number += 1
            call = OpenAiCall(params, count_tokens=predictor.count_tokens)
            result = predictor.chat(dict(params), {})
            characters += _length([orjson.loads(call.encode(document)) for document in to_documents(result, call)])
    except RequestError as error:
        return CheckResult(name, Status.FAILED, f"Request {number}: {describe_error(error)}")
    return CheckResult(name, Status.PASSED, f"{number} requests, {characters} characters")


def _to_reply(result: Any, call: OpenAiCall) -> Iterator[Params]:
    """Yield the completion.

    Raises:
        PredictionError: the result is none, or a stream.
    """
    if isinstance(result, Iterator):
        close_iterator(result)
        raise PredictionError("The hook chat streams a reply for which the request does not set stream.")
    yield to_completion(result, call)


def _length(documents: Sequence[Params]) -> int:
    """Return the characters of the text of a completion or its chunks; a call of a tool has no text.

    Raises:
        PredictionError: there is an error, or neither text nor such a call.
    """
    for document in documents:
        if document.get("error"):
            raise PredictionError(f"The reply has an error: {document['error']}")
    length = sum(len(text) for document in documents for _, text in chunk_texts(document))
    if not length and not any(map(_has_tool_calls, documents)):
        raise PredictionError("The reply has no text and no tool calls.")
    return length


def _has_tool_calls(document: Params) -> bool:
    choices = document.get("choices")
    messages = [
        choice.get("delta") or choice.get("message")
        for choice in (choices if isinstance(choices, list) else [])
        if isinstance(choice, dict)
    ]
    return any(isinstance(message, dict) and message.get("tool_calls") for message in messages)
