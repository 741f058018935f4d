"""The handlers of OpenAI's interface: chat, completions, embeddings, responses and the list of models."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from datarobot_drum.drum.exceptions import NotFound
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.serving.formats.openai_call import DEFAULT_MODEL_NAME, OpenAiCall, annotate_request
from datarobot_drum.drum.serving.formats.openai_chat import chat_params, chat_response
from datarobot_drum.drum.serving.formats.openai_completions import (
    completion_by_chat,
    completion_params,
    completion_response,
)
from datarobot_drum.drum.serving.formats.openai_embeddings import embedding_input, embeddings_response
from datarobot_drum.drum.serving.formats.openai_models import model_response, models_response
from datarobot_drum.drum.serving.formats.openai_response_input import to_chat_params
from datarobot_drum.drum.serving.formats.openai_responses import respond_response, response_params
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.metrics.recorder import Recorder
from datarobot_drum.drum.settings.build import ModelSettings

CALLS = frozenset({"do_chat", "do_completions", "do_embeddings", "do_responses"})
"""The handlers that call a model."""


class OpenAiHandlers(ABC):
    """The handlers of OpenAI's interface over one predictor.

    A model without ``complete`` or ``respond`` serves these routes by its ``chat``.
    """

    _model: ModelSettings
    _llm_id: str
    _recorder: Recorder
    measure_prediction: Callable[[], AbstractContextManager[None]]

    @abstractmethod
    def _ready_predictor(self) -> BasePredictor:
        """Return the predictor of a loaded model.

        Raises:
            RequestError: it is not loaded, or there is none.
        """

    def do_chat(self, request: ModelRequest) -> ModelResponse:
        """Return a chat completion, as JSON or as server-sent events."""
        predictor = self._ready_predictor()
        if not predictor.can_chat:
            raise NotFound("This model does not chat: that takes a text generation model with a chat or score hook.")
        params = chat_params(request, self._model.limits)
        annotate_request("chat", params)
        with self.measure_prediction():
            completion = predictor.chat(params, request.headers.copy())
        return chat_response(completion, self._call(request, predictor, params, "chat"))

    def do_completions(self, request: ModelRequest) -> ModelResponse:
        """Return a completion of a prompt, as JSON or as server-sent events."""
        predictor = self._ready_predictor()
        if not (predictor.can_complete or predictor.can_chat):
            raise NotFound(
                "This model has no completions: they take a text generation model with a complete, chat or score hook."
            )
        params = completion_params(request, self._model.limits)
        annotate_request("text_completion", params)
        headers = request.headers.copy()
        with self.measure_prediction():
            if predictor.can_complete:
                completion = predictor.complete(params, headers)
                return completion_response(completion, self._call(request, predictor, params, "complete"))
            return completion_by_chat(
                lambda chat: predictor.chat(chat, headers), self._call(request, predictor, params, "chat")
            )

    def do_embeddings(self, request: ModelRequest) -> ModelResponse:
        """Return one vector per text."""
        predictor = self._ready_predictor()
        if not predictor.can_embed:
            raise NotFound("This model has no embeddings: they take a text generation model with an embed hook.")
        texts = embedding_input(request, self._model.limits)
        encoding = texts.params.get("encoding_format") or "float"
        annotate_request("embeddings", texts.params, **{"request.encoding_formats": [encoding]})
        with self.measure_prediction():
            embeddings = predictor.embed(texts, request.headers.copy())
        return embeddings_response(embeddings, texts, self._call(request, predictor, dict(texts.params), "embed"))

    def do_responses(self, request: ModelRequest) -> ModelResponse:
        """Return a response as of OpenAI's Responses API, as JSON or as server-sent events."""
        predictor = self._ready_predictor()
        if not (predictor.can_respond or predictor.can_chat):
            raise NotFound(
                "This model has no responses: they take a text generation model with a respond, chat or score hook."
            )
        params = response_params(request, self._model.limits)
        annotate_request("chat", {**params, "max_tokens": params.get("max_output_tokens")})
        headers = request.headers.copy()
        with self.measure_prediction():
            if predictor.can_respond:
                return respond_response(
                    predictor.respond(params, headers), self._call(request, predictor, params, "respond")
                )
            result = predictor.chat(to_chat_params(params), headers)
            return respond_response(result, self._call(request, predictor, params, "chat"))

    def get_supported_llm_models(self, request: ModelRequest) -> ModelResponse:
        """List the language models behind this model."""
        return models_response(self._language_models())

    def get_llm_model(self, request: ModelRequest) -> ModelResponse:
        """Return one of the language models behind this model."""
        return model_response(self._language_models(), request.subpath.removesuffix("/"))

    def _language_models(self) -> Any:
        predictor = self._ready_predictor()
        if not self._model.target_type.may_chat:
            raise NotFound("Only text generation models list language models.")
        models = predictor.list_models()
        if models is None:
            return [self._llm_id] if self._llm_id else []
        return models

    def _call(self, request: ModelRequest, predictor: BasePredictor, params: dict[str, Any], hook: str) -> OpenAiCall:
        model_name = str(params.get("model") or self._llm_id or DEFAULT_MODEL_NAME)
        return OpenAiCall(params, model_name, predictor.count_tokens, hook, self._recorder, request.arrived)


def openai_methods(predictor: BasePredictor | None) -> dict[str, bool]:
    """Return whether a model serves each route of OpenAI's interface."""
    if predictor is None:
        return dict.fromkeys(("chat", "completions", "embeddings", "responses"), False)
    chats = predictor.can_chat
    return {
        "chat": chats,
        "completions": chats or predictor.can_complete,
        "embeddings": predictor.can_embed,
        "responses": chats or predictor.can_respond,
    }
