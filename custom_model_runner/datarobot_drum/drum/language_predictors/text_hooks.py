"""The hooks of text generation models for OpenAI's interface: ``chat``, ``complete``, ``embed``, ``respond``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import InvalidField
from datarobot_drum.drum.language_predictors.embeddings import to_embeddings
from datarobot_drum.drum.language_predictors.hook_errors import prediction_errors, wrap_iterator_errors
from datarobot_drum.drum.language_predictors.token_counts import count_with_tokenizer, find_tokenizer

if TYPE_CHECKING:
    from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput, Embeddings
    from datarobot_drum.drum.language_predictors.hooks import Hook
    from datarobot_drum.drum.settings.target_types import TargetType


@dataclass(frozen=True)
class TextHooks:
    """The hooks of one model, which need its target type to generate text."""

    target_type: TargetType
    hooks: Mapping[str, Hook]
    model: Any

    def have_any(self, *names: str) -> bool:
        """Return True if the model generates text, and defines one of the hooks."""
        return self.target_type.may_chat and not self.hooks.keys().isdisjoint(names)

    def call(self, name: str, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        """Call ``chat``, ``complete`` or ``respond``.

        Raises:
            PredictionError, DrumHTTPError: the hook raised; an iterator that it returned may raise these, too.
        """
        hook = self.hooks[name]
        with prediction_errors(*hook.passthrough):
            result = hook(params, self.model, headers=headers)
        return wrap_iterator_errors(result, name)

    def embed(self, request: EmbeddingInput, headers: Mapping[str, str]) -> Embeddings:
        """Call ``embed``.

        Raises:
            InvalidField: the request has arrays of tokens, and the hook no parameter ``tokens``.
            PredictionError, DrumHTTPError: the hook raised, or its result is no list of vectors.
        """
        hook = self.hooks["embed"]
        if request.tokens is not None and "tokens" not in hook.named:
            raise InvalidField("input", "holds token numbers, which this model does not take: send texts.")
        keywords = {"dimensions": request.dimensions, "tokens": request.tokens, "params": request.params}
        with prediction_errors(*hook.passthrough):
            result = hook(request.texts, self.model, **keywords, headers=headers)
            return to_embeddings(wrap_iterator_errors(result, "embed"), request.count)

    def count_tokens(self, text: str) -> int | None:
        """Return the number of tokens by the hook ``count_tokens``, else by the model's tokenizer; None without both.

        Raises:
            PredictionError, DrumHTTPError: the hook raised.
        """
        if "count_tokens" in self.hooks:
            with prediction_errors():
                return int(self.hooks["count_tokens"](text, self.model))
        tokenizer = find_tokenizer(self.model)
        return None if tokenizer is None else count_with_tokenizer(tokenizer, text)
