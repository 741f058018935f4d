"""The handlers of several models behind one server: each request goes to the handlers of one of them.

A request picks its model by the header ``X-Drum-Model``, on the routes of OpenAI's interface also by ``model`` of its
body. The Open Inference Protocol has the name in its paths.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from datarobot_drum.drum.exceptions import LanguageModelNotFound, NotFound, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.serving.formats.openai_call import requested_model
from datarobot_drum.drum.serving.handlers import Handler, Handlers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, json_response
from datarobot_drum.drum.serving.openai_handlers import CALLS as OPENAI_CALLS
from datarobot_drum.drum.serving.request_facts import note_model
from datarobot_drum.drum.serving.routes import SAMPLES, SAMPLES_AND_TARGET, Route
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.model_identity import requested_name
from datarobot_drum.drum.settings.routed_models import MODEL_HEADER, model_names
from datarobot_drum.drum.settings.target_types import TargetType

CALLS = OPENAI_CALLS | {
    "do_predict_structured",
    "do_predict_stream",
    "do_predict_unstructured",
    "do_transform",
    "do_invocations",
    "make_capabilities",
}
"""The handlers of which each model has its own."""


class RoutedHandlers(Handlers):
    """The handlers of a routed set: those of its models, and those about the whole server.

    The other arguments are those of ``Handlers``, for the whole set.
    """

    def __init__(
        self,
        models: Mapping[str, Handlers],
        predictor: BasePredictor | None,
        settings: ModelSettings,
        *arguments: Any,
        **options: Any,
    ) -> None:
        super().__init__(predictor, settings, *arguments, **options)
        self._models = models
        self._settings = {model.served_name: model for model in settings.models}
        self._default = settings.default_model

    def find(self, name: str) -> Handler:
        return partial(self._call_model, name) if name in CALLS else super().find(name)

    def _call_model(self, handler: str, request: ModelRequest) -> ModelResponse:
        self._ready_predictor()
        name = self._choose(handler, request)
        if handler == "do_invocations" and request.body is None and self._takes_raw_bodies(name):
            raise UnprocessableInput(f"The model {name!r} takes no form: use /predictUnstructured/.")
        note_model(self._models[name].identity)
        return self._models[name].find(handler)(request)

    def _takes_raw_bodies(self, name: str) -> bool:
        return self._settings[name].target_type is TargetType.UNSTRUCTURED

    def _choose(self, handler: str, request: ModelRequest) -> str:
        """Return the name of the model that a request is for.

        Raises:
            NotFound: there is no such model.
            UnprocessableInput: the request names none, and there is no default.
        """
        header = request.headers.get(MODEL_HEADER)
        name = None if header is None else requested_name(header, self._model.served_name)
        is_openai = handler in OPENAI_CALLS
        if name is None and is_openai:
            name = requested_model(request, self._model.limits)
        if name is None:
            name = self._default
        known = model_names(list(self._models))
        if name is None:
            where = f"the header {MODEL_HEADER}" + (" or the field model" if is_openai else "")
            raise UnprocessableInput(f"This server has several models: name one of {known} by {where}.")
        if name not in self._models:
            error = LanguageModelNotFound if is_openai else NotFound
            raise error(f"There is no model {name[:100]!r}: this server has {known}.")
        return name

    def form_fields(self, route: Route) -> frozenset[str]:
        fields = {model.form_fields(route) for model in self._models.values()}
        return frozenset().union(*fields) & (SAMPLES | SAMPLES_AND_TARGET)

    def do_info(self, request: ModelRequest) -> ModelResponse:
        """Describe the server, and each model."""
        return json_response({**self.information(), "models": [self._describe(name) for name in self._models]})

    def _describe(self, name: str) -> dict[str, Any]:
        return {
            **self._models[name].information(),
            "name": name,
            "version": self._settings[name].served_version,
            "isDefault": name == self._default,
        }

    def _language_models(self) -> Any:
        """Return the names of the text generation models."""
        self._ready_predictor()
        names = [name for name, settings in self._settings.items() if settings.target_type.may_chat]
        if not names:
            raise NotFound("Only text generation models list language models.")
        return names
