"""What an adapter needs to serve a model: the handlers, admission, the body rule and the state of the worker."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure, Submission
from datarobot_drum.drum.serving.handlers import Handler, Handlers
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.serving.openapi.docs_page import OpenApiHandlers
from datarobot_drum.drum.serving.request_log import RequestLog
from datarobot_drum.drum.serving.routes import ROUTES, Route

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.batching.batcher import Batching


def no_extension(app: Any) -> bool:
    """For a core without a model folder."""
    return False


def no_extension_errors(what_failed: str) -> AbstractContextManager[None]:
    """Return a context for a core without a model folder."""
    return nullcontext()


@dataclass(frozen=True)
class ServingCore:
    """Handed to an adapter by ``PredictionServer``; the adapter decides nothing beyond translation."""

    handlers: Handlers
    executor: ExecutorWithBackpressure
    state: ModelState
    worker_ctx: WorkerCtx
    request_log: RequestLog
    limits: BodyLimits = field(default_factory=BodyLimits)
    flusher: StdoutFlusher = field(default_factory=StdoutFlusher)
    url_prefix: str = ""
    load_timeout: float = 30.0
    """Seconds that a prediction waits for a model that is still loading."""
    request_timeout: float = 0.0
    """Seconds after which the client of a request gets a 504; 0 for no limit."""
    load_extension: Callable[[Any], bool] = no_extension
    """Applies the model folder's extension to the app; returns False if there is none. A failure sets
    ``state.extension_failed``."""
    extension_errors: Callable[[str], AbstractContextManager[None]] = no_extension_errors
    """Makes an error of the extension's code, raised within, a failure of the model's load. Takes what failed."""
    documentation: OpenApiHandlers | None = None
    """None where it is switched off."""
    batching: "Batching | None" = None
    """None where it is switched off."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """The part of the route table to mount."""
        return tuple(route for route in ROUTES if self._is_mounted(route))

    def _is_mounted(self, route: Route) -> bool:
        if self.state.extension_failed:  # perhaps the authentication: only what says no more than that is served
            return route.is_probe or route.requires_model
        return self.documentation is not None or not route.is_documentation

    def submit(self, route: Route, call: ModelCall) -> Submission[ModelResponse]:
        """Hand a call to the executor, from an event loop: to run with others where that is wanted and possible."""
        return self.executor.submit(call) if self.batching is None else self.batching.submit(route, call)

    def find_handler(self, route: Route) -> Handler:
        """The handler that a route of ``routes`` names."""
        if route.is_documentation:
            handler: Handler = getattr(self.documentation, route.handler)
            return handler
        return self.handlers.find(route.handler)
