"""The handlers of the routes below ``/v2``: HTTP in, HTTP out."""

from collections.abc import Callable

from datarobot_drum.drum.exceptions import BadRequest
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, json_response
from datarobot_drum.drum.serving.v2.json_messages import HEADER_LENGTH, infer_response, parse_request, to_document
from datarobot_drum.drum.serving.v2.messages import InferenceRequest
from datarobot_drum.drum.serving.v2.model import (
    EXTENSIONS,
    SERVER_NAME,
    SERVER_VERSION,
    V2Model,
    V2Models,
    require_ready,
)
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits


class V2Handlers:
    """The handlers over the models of a server.

    Args:
        readiness: the handler of ``/readyz``.
        limits: of JSON documents.
    """

    def __init__(
        self,
        models: V2Models,
        readiness: Callable[[ModelRequest], ModelResponse],
        limits: InputLimits = UNLIMITED,
    ) -> None:
        self.models = models
        self._readiness = readiness
        self._limits = limits

    def find(self, name: str) -> Callable[[ModelRequest], ModelResponse]:
        """Return the handler by the name that a route has for it."""
        handler: Callable[[ModelRequest], ModelResponse] = getattr(self, name)
        return handler

    def do_v2_server(self, request: ModelRequest) -> ModelResponse:
        """Describe the server."""
        return json_response({"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": list(EXTENSIONS)})

    def do_v2_live(self, request: ModelRequest) -> ModelResponse:
        """Report that the process responds, as ``/livez`` does."""
        return json_response({"live": True})

    def do_v2_ready(self, request: ModelRequest) -> ModelResponse:
        """Report whether the server takes predictions, as ``/readyz`` does."""
        self.require_ready()
        return json_response({"ready": True})

    def require_ready(self) -> None:
        """Require that the server takes predictions.

        Raises:
            ModelNotReady: it does not.
        """
        require_ready(self._readiness)

    def do_v2_model(self, request: ModelRequest) -> ModelResponse:
        """Describe the model: its inputs and outputs."""
        return json_response(to_document(self.find_model(request).metadata()))

    def do_v2_model_ready(self, request: ModelRequest) -> ModelResponse:
        """Report whether the model takes predictions."""
        model = self.find_model(request)
        model.require_ready()
        return json_response({"name": model.name, "ready": True})

    def do_predict_v2(self, request: ModelRequest) -> ModelResponse:
        """Predict or transform the rows of the input tensors."""
        model = self.find_model(request)
        inference = self.read_inference(request)
        return infer_response(model.infer(inference), inference)

    def read_inference(self, request: ModelRequest) -> InferenceRequest:
        """Read the body of an inference request.

        Raises:
            BadRequest, UnprocessableInput: the body is no such request, or over a limit.
        """
        body = request.body
        if body is None or not body.size:
            raise BadRequest("The request has no body: send a JSON object with inputs.")
        body.seek(0)
        return parse_request(body.read(), request.headers.get(HEADER_LENGTH), self._limits)

    def find_model(self, request: ModelRequest) -> V2Model:
        """Return the model that the path of a request names.

        Raises:
            NotFound: there is none.
        """
        return self.models.find(request.path_values["name"], request.path_values.get("version", ""))
