"""OpenAI's completions: checks requests, encodes texts as completions; makes them by chat for models without them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from datarobot_drum.drum.exceptions import InvalidField, PredictionError
from datarobot_drum.drum.iterators import closing_iterator
from datarobot_drum.drum.language_predictors.hook_results import describe
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall, as_list, read_params
from datarobot_drum.drum.serving.formats.openai_chat import new_association_id, new_document, to_chunks
from datarobot_drum.drum.serving.formats.openai_events import ASSOCIATION_ID, chunk_stream, chunk_texts
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits

KIND = "text_completion"
_PREFIX = "cmpl"

_NOT_BY_CHAT: Mapping[str, tuple[Any, ...]] = {
    "suffix": (None, ""),
    "echo": (None, False),
    "logprobs": (None,),
    "best_of": (None, 1),
}
"""Fields that a chat has no counterpart for, with their values of no effect."""


def completion_params(request: ModelRequest, limits: InputLimits = UNLIMITED) -> dict[str, Any]:
    """Parse the body of "create completion".

    Raises:
        BadRequest: it is no JSON object, or its prompt is none.
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    params = read_params(request, limits)
    prompts(params)
    count = params.get("n")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise InvalidField("n", "must be a whole number of at least 1.")
    return params


def prompts(params: Mapping[str, Any]) -> list[str] | list[list[int]]:
    """Return the prompts of a request: texts, or arrays of tokens.

    Raises:
        InvalidField: there is none, or it is something else.
    """
    return texts_or_tokens(params, "prompt")


def texts_or_tokens(params: Mapping[str, Any], name: str) -> list[str] | list[list[int]]:
    """Return a field that is a text, a list of texts, an array of tokens, or a list of these.

    Raises:
        InvalidField: it is missing or empty, or something else.
    """
    value = params.get(name)
    if value is None:
        raise InvalidField(name, "is missing.")
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise InvalidField(name, "must be text, or a list of texts.")
    if not value:
        raise InvalidField(name, "is an empty list.")
    if _is_tokens(value):
        return [value]
    if all(isinstance(item, str) for item in value) or all(_is_tokens(item) for item in value):
        return value
    raise InvalidField(name, "must be text, a list of texts, or a list of token numbers.")


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(type(item) is int and item >= 0 for item in value)


def _texts(params: Mapping[str, Any]) -> Iterator[str]:
    return (prompt for prompt in prompts(params) if isinstance(prompt, str))


def completion_response(result: Any, call: OpenAiCall) -> ModelResponse:
    """Encode the result of the model's ``complete`` as JSON, or as events if a stream is wanted.

    Raises:
        PredictionError: the result is no completion, or it has too few or too many texts.
    """
    association_id = new_association_id()
    if call.wants_stream:
        chunks = _iterated(result, call) if isinstance(result, Iterator) else _as_chunks(result, call)
        return chunk_stream(chunks, call, association_id, _texts(call.params))
    completion = _collected(_iterated(result, call), call) if isinstance(result, Iterator) else _whole(result, call)
    return _json_response(completion, call, association_id)


def _json_response(completion: dict[str, Any], call: OpenAiCall, association_id: str) -> ModelResponse:
    if completion.get("usage") is None:
        completion["usage"] = _usage(completion, call)
    completion[ASSOCIATION_ID] = association_id
    call.note_response(completion, completion["usage"])
    return ModelResponse(call.encode(completion))


def _usage(completion: Mapping[str, Any], call: OpenAiCall) -> dict[str, int] | None:
    has_tokens = not isinstance(prompts(call.params)[0], str)
    return None if has_tokens else call.usage(_texts(call.params), (text for _, text in chunk_texts(completion)))


def _expected(call: OpenAiCall) -> int:
    return len(prompts(call.params)) * (call.params.get("n") or 1)


def _whole(result: Any, call: OpenAiCall) -> dict[str, Any]:
    """Return a completion as a dict; a text, or a list of one text per prompt and choice, becomes its choices."""
    texts = [result] if isinstance(result, str) else as_list(result)
    if texts is None:
        return call.to_dict(result, "a completion")
    if not all(isinstance(text, str) for text in texts):
        raise PredictionError(f"The complete hook returned {describe(result)} where a list of texts was expected.")
    if len(texts) != _expected(call):
        raise PredictionError(
            f"The complete hook returned {len(texts)} texts where {_expected(call)} were expected: n for each prompt."
        )
    choices = [text_choice(index, text, "stop") for index, text in enumerate(texts)]
    return new_document(KIND, _PREFIX, call) | {"choices": choices}


def _as_chunks(result: Any, call: OpenAiCall) -> Iterator[dict[str, Any]]:
    """Yield a completion as one chunk, with its usage apart if that is wanted."""
    completion = _whole(result, call)
    if call.wants_stream_usage:
        usage = completion.pop("usage", None)
        yield completion
        if usage:
            yield {**completion, "choices": [], "usage": usage}
    else:
        yield completion


def _iterated(items: Iterator[Any], call: OpenAiCall) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a model's iterator; its text items become chunks of one completion."""
    document = new_document(KIND, _PREFIX, call)
    ends_in_text = False
    with closing_iterator(items):
        for item in items:
            ends_in_text = isinstance(item, str)
            if ends_in_text and _expected(call) != 1:
                raise PredictionError(
                    "The complete hook yielded a text, but the request wants several choices: yield chunks with index."
                )
            choices = [text_choice(0, item, None)]
            yield {**document, "choices": choices} if ends_in_text else call.to_dict(item, "a chunk")
    if ends_in_text:
        yield {**document, "choices": [text_choice(0, "", "stop")]}


def text_choice(index: int, text: str, finish_reason: str | None) -> dict[str, Any]:
    """Return a choice of a completion, or of a chunk."""
    return {"index": index, "text": text, "finish_reason": finish_reason, "logprobs": None}


def _collected(chunks: Iterator[dict[str, Any]], call: OpenAiCall) -> dict[str, Any]:
    """Return the completion whose chunks these are."""
    choices: dict[int, dict[str, Any]] = {}
    completion = new_document(KIND, _PREFIX, call)
    usage = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        completion |= {key: chunk[key] for key in ("id", "created", "model") if chunk.get(key) is not None}
        for item in chunk.get("choices") or []:
            choice = call.to_dict(item, "a choice")
            whole = choices.setdefault(choice.get("index") or 0, text_choice(choice.get("index") or 0, "", None))
            whole["text"] += choice.get("text") or ""
            whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]
    return completion | {"choices": [choices[index] for index in sorted(choices)], "usage": usage}


# By chat

Chat = Callable[[dict[str, Any]], Any]
"""Returns the result of the model's ``chat`` for parameters of a chat."""


def completion_by_chat(chat: Chat, call: OpenAiCall) -> ModelResponse:
    """Make a completion by one chat per prompt, whose only message is the prompt.

    Raises:
        InvalidField: the request has a field that a chat has no counterpart for, or a prompt of tokens.
        PredictionError: the result of the chat is no completion.
    """
    for name, neutral in _NOT_BY_CHAT.items():
        if call.params.get(name) not in neutral:
            raise InvalidField(name, "needs a model with a complete hook: this one only chats.")
    if not isinstance(prompts(call.params)[0], str):
        raise InvalidField("prompt", "holds token numbers, which this model does not take: send texts.")
    association_id = new_association_id()
    chunks = _chunks_by_chat(chat, call)
    if call.wants_stream:
        return chunk_stream(chunks, call, association_id, _texts(call.params))
    return _json_response(_collected(chunks, call), call, association_id)


def _chunks_by_chat(chat: Chat, call: OpenAiCall) -> Iterator[dict[str, Any]]:
    document = new_document(KIND, _PREFIX, call)
    shared = {key: value for key, value in call.params.items() if key not in (*_NOT_BY_CHAT, "prompt")}
    usages: list[Any] = []
    texts = list(_texts(call.params))
    for number, prompt in enumerate(texts):
        params = {**shared, "messages": [{"role": "user", "content": prompt}]}
        chunks = to_chunks(chat(params), OpenAiCall(params, call.model_name, call.count_tokens))
        usage = None
        with closing_iterator(chunks):
            for chunk in chunks:
                usage = chunk.get("usage") or usage
                offset = number * (call.params.get("n") or 1)
                choices = [
                    _to_text_choice(call.to_dict(item, "a choice"), offset) for item in chunk.get("choices") or []
                ]
                if choices:
                    yield {**document, "choices": choices}
        usages.append(usage)
    if all(isinstance(usage, Mapping) for usage in usages) and _reports_usage(call):
        yield {**document, "choices": [], "usage": _sum(usages)}


def _reports_usage(call: OpenAiCall) -> bool:
    return call.wants_stream_usage or not call.wants_stream


def _to_text_choice(choice: dict[str, Any], offset: int) -> dict[str, Any]:
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, Mapping) else None
    return text_choice(offset + (choice.get("index") or 0), text or "", choice.get("finish_reason"))


def _sum(usages: list[Mapping[str, Any]]) -> dict[str, int]:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: sum(usage.get(name) or 0 for usage in usages) for name in names}
