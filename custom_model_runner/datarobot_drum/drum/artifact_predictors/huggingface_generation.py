"""Text generation and chat with a pipeline of transformers.

A model with a chat template gets a prompt as the message of a user; any other gets the prompt itself, and of a chat
the last message of the user. Without parameters of the request, ``generation_config.json`` holds, and 256 new tokens
at most. Nothing is sampled unless the file or the request says so.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from datarobot_drum.drum.artifact_predictors.huggingface_chat import ChatRequest, read_messages, read_options
from datarobot_drum.drum.artifact_predictors.huggingface_inputs import token_limit
from datarobot_drum.drum.artifact_predictors.huggingface_stream import (
    GenerationThread,
    StopAtText,
    StopWhen,
    cut_at_stop,
)
from datarobot_drum.drum.cancellation import cancelled, stop_if_cancelled
from datarobot_drum.drum.exceptions import BadRequest, UnprocessableInput

_DEFAULT_NEW_TOKENS = 256
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p")


@dataclass(frozen=True)
class _Prompt:
    """Tokens of a prompt, and how to continue them."""

    tokens: Any
    config: Any
    stop: tuple[str, ...]
    seed: int | None

    @property
    def size(self) -> int:
        return int(self.tokens["input_ids"].shape[1])


class TextGenerator:
    """Generates text with the model and tokenizer of a pipeline."""

    def __init__(self, pipeline: Any) -> None:
        self._model = pipeline.model
        self._tokenizer = pipeline.tokenizer
        self._limit = token_limit(pipeline)

    def generate_text(self, prompt: str, options: Mapping[str, Any] | None = None) -> str:
        """Return the continuation of a prompt.

        Raises:
            UnprocessableInput: the prompt is empty or too long.
            RequestCancelled: the client has disconnected.
        """
        tokens = self._tokens([{"role": "user", "content": prompt}])
        text, _ = self._generate(self._prepare(tokens, dict(options or {})))
        return text

    def chat(self, params: Mapping[str, Any], model: Any = None) -> Any:
        """Return a completion, or an iterator of its chunks; stands for the hook ``chat``.

        Raises:
            BadRequest: the messages or a parameter are not those that the model takes.
        """
        request = ChatRequest(str(params.get("model") or "model"), params)
        try:
            prompt = self._prepare(self._tokens(read_messages(params["messages"])), read_options(params))
        except UnprocessableInput as error:
            raise BadRequest(error.message) from error
        if request.wants_stream:
            return self._stream(prompt, request)
        text, count = self._generate(prompt)
        return request.completion(text, self._finish_reason(prompt, count), (prompt.size, count))

    def _tokens(self, messages: Sequence[Mapping[str, str]]) -> Any:
        if self._tokenizer.chat_template is None:
            texts = [message["content"] for message in messages if message["role"] == "user"]
            if not texts:
                raise UnprocessableInput("The field messages holds no message with the role user and a text.")
            tokens = self._tokenizer(texts[-1], return_tensors="pt", verbose=False)
        else:
            tokens = self._apply_template(messages)
        if not tokens["input_ids"].shape[1]:
            raise UnprocessableInput("The prompt is empty.")
        return tokens

    def _apply_template(self, messages: Sequence[Mapping[str, str]]) -> Any:
        from jinja2 import TemplateError

        try:
            return self._tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=True, return_dict=True, return_tensors="pt"
            )
        except TemplateError as error:
            raise UnprocessableInput(f"The chat template of the model rejects the messages: {error}") from error

    def _prepare(self, tokens: Any, options: dict[str, Any]) -> _Prompt:
        """Return the prompt with the settings of the model and the request."""
        config = copy.deepcopy(self._model.generation_config)
        size = int(tokens["input_ids"].shape[1])
        config.max_new_tokens = self._new_tokens(size, config.max_new_tokens, options.get("max_new_tokens"))
        if (temperature := options.get("temperature")) is not None or "top_p" in options:
            config.do_sample = temperature != 0
            config.temperature = temperature or 1.0
            config.top_p = options.get("top_p", config.top_p)
        if not config.do_sample:
            for name in _SAMPLING:  # they have no effect then, and transformers warns
                setattr(config, name, None)
        if config.pad_token_id is None:
            config.pad_token_id = self._tokenizer.pad_token_id or self._tokenizer.eos_token_id
        stop = options.get("stop", ())
        return _Prompt(tokens, config, (stop,) if isinstance(stop, str) else tuple(stop), options.get("seed"))

    def _new_tokens(self, size: int, configured: int | None, asked: int | None) -> int:
        """Return the maximum of new tokens.

        Raises:
            UnprocessableInput: prompt and new tokens exceed what the model takes.
        """
        room = None if self._limit is None else self._limit - size
        if room is not None and room < (asked or 1):
            wanted = f" and {asked} new ones" if asked else ""
            raise UnprocessableInput(
                f"The prompt has {size} tokens{wanted}, and the model takes {self._limit}: shorten it, or ask for "
                "fewer."
            )
        wanted_tokens = asked or configured or _DEFAULT_NEW_TOKENS
        return wanted_tokens if room is None else min(room, wanted_tokens)

    def _generate(self, prompt: _Prompt) -> tuple[str, int]:
        """Return the new text and the number of its tokens."""
        new = self._run(prompt, StopWhen(cancelled))
        stop_if_cancelled()
        text = self._tokenizer.decode(new, skip_special_tokens=True)
        return cut_at_stop(text, prompt.stop), len(new)

    def _run(self, prompt: _Prompt, stop_when: StopWhen, streamer: Any = None) -> Any:
        tokens = {
            name: value.to(self._model.device) for name, value in prompt.tokens.items() if name != "token_type_ids"
        }
        criteria = [stop_when, *([StopAtText(self._tokenizer, prompt.stop, prompt.size)] if prompt.stop else [])]
        with _seeded(prompt.seed):
            output = self._model.generate(
                **tokens, generation_config=prompt.config, stopping_criteria=criteria, streamer=streamer
            )
        return output[0, prompt.size :]

    def _finish_reason(self, prompt: _Prompt, count: int) -> str:
        return "length" if count >= prompt.config.max_new_tokens else "stop"

    def _stream(self, prompt: _Prompt, request: ChatRequest) -> Iterator[dict[str, Any]]:
        with GenerationThread(self._tokenizer, prompt.stop, lambda *stop: len(self._run(prompt, *stop))) as generation:
            yield request.chunk({"role": "assistant", "content": ""})
            for text in generation:
                yield request.chunk({"content": text})
            count = generation.count
            yield request.chunk({}, self._finish_reason(prompt, count))
            if request.wants_usage:
                yield request.usage_chunk((prompt.size, count))


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed the random numbers of a call, and restore their state afterwards."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
