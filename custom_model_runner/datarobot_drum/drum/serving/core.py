"""What an adapter needs to serve a model: the handlers, admission, the body rule and the state of the worker."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.cancellation import Cancellation
from datarobot_drum.drum.exceptions import DeadlineExceeded
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.access.gate import AccessGate
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure, Submission
from datarobot_drum.drum.serving.handlers import Handler, Handlers
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.serving.openapi.docs_page import OpenApiHandlers
from datarobot_drum.drum.serving.request_log import RequestLog
from datarobot_drum.drum.serving.routes import METRICS_ROUTE, ROUTES, Execution, Route
from datarobot_drum.drum.serving.slow_calls.watcher import SlowCallWatcher
from datarobot_drum.drum.serving.v2.handlers import V2Handlers

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.batching.batcher import Batching


def no_extension(app: Any) -> bool:
    """Return False: there is no extension."""
    return False


def no_extension_errors(what_failed: str) -> AbstractContextManager[None]:
    """Return a context for a core without a model folder."""
    return nullcontext()


@dataclass(frozen=True)
class ServingCore:
    """The handlers, executor and state that ``PredictionServer`` passes to an adapter, which only translates."""

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
    all_routes: tuple[Route, ...] = ROUTES
    """The route table, with the paths that the hosting platform requests."""
    documentation: OpenApiHandlers | None = None
    """None where it is switched off."""
    v2: V2Handlers | None = None
    """The Open Inference Protocol; None for a core without a model."""
    batching: "Batching | None" = None
    """None where it is switched off."""
    access: AccessGate | None = None
    """None if every request is served."""
    slow_calls: SlowCallWatcher | None = None
    """None where slow predictions are not noted."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return the routes to mount."""
        return tuple(route for route in self.all_routes if self._is_mounted(route))

    def _is_mounted(self, route: Route) -> bool:
        if self.state.extension_failed:  # it may have been the authentication
            return (
                route is not METRICS_ROUTE
                and (route.is_probe or route.requires_model)
                and (self.v2 is not None or not route.for_v2)
            )
        if route.for_v2:
            return self.v2 is not None
        return self.documentation is not None or not route.is_documentation

    def submit(self, route: Route, call: ModelCall) -> Submission[ModelResponse]:
        """Hand a call to the executor, from an event loop: to run with others where that is wanted and possible."""
        return self.executor.submit(call) if self.batching is None else self.batching.submit(route, call)

    async def wait_for_model(self) -> None:
        """Return once the model is loaded.

        Raises:
            ModelNotReady: it still loads after the load timeout.
            ModelFailedToLoad: on an error server.
        """
        if not self.state.finished.done():
            await asyncio.wait([asyncio.wrap_future(self.state.finished)], timeout=self.load_timeout)
        self.state.require_ready()

    async def run(
        self, route: Route, call: ModelCall, start: float, disconnect: Callable[[], Coroutine[Any, Any, None]]
    ) -> ModelResponse | None:
        """Return the response of a call; None if the client disconnects, which only a queued call observes.

        Args:
            start: of the request, by the clock of the event loop; the request timeout counts from there.
            disconnect: returns once the client has disconnected.

        Raises:
            RequestError: the call was rejected, timed out, or failed; also every other error of the handler.
        """
        loop, timeout = asyncio.get_running_loop(), self.request_timeout
        if timeout and loop.time() >= start + timeout:  # the body alone took that long
            call.close_body()
            raise DeadlineExceeded(f"The request took longer than {timeout:g} s (DRUM_CLIENT_REQUEST_TIMEOUT).")
        listener = call.cancellation.has_disconnected = DisconnectListener(loop, disconnect, call.cancellation)
        submission = self.submit(route, call)
        timer = loop.call_at(start + timeout, submission.time_out, timeout) if timeout else None
        response = None
        try:
            if submission.is_queued:
                response = await _result_unless(submission, disconnect())
            else:
                response = await submission
            return response
        finally:
            listener.stop()
            call.cancellation.end()  # they refer to each other: without this, only the garbage collector frees them
            if response is None:
                call.cancellation.set()
            if timer:
                timer.cancel()
            if not submission.has_started:
                call.close_body()
            del submission  # it holds the error of the call, whose traceback holds this frame

    def find_handler(self, route: Route) -> Handler:
        """Return the handler of a route; one that calls the model is watched if slow predictions are noted."""
        handler = self._find_handler(route)
        return self.watched(route.paths[0], handler) if route.execution is Execution.EXECUTOR else handler

    def watched(self, route: str, handler: Handler) -> Handler:
        """Return a handler whose slow calls are noted under the name of a route."""
        return handler if self.slow_calls is None else self.slow_calls.wrap(route, handler)

    def _find_handler(self, route: Route) -> Handler:
        if route.is_documentation:
            handler: Handler = getattr(self.documentation, route.handler)
            return handler
        if route.for_v2:
            assert self.v2 is not None, "other cores have no such routes"
            return self.v2.find(route.handler)
        return self.handlers.find(route.handler)


class DisconnectListener:
    """Listens for the disconnect of a client from the first time that work asks for it, in any thread."""

    __slots__ = ("_cancellation", "_disconnect", "_has_ended", "_has_started", "_loop", "_task")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        disconnect: Callable[[], Coroutine[Any, Any, None]],
        cancellation: Cancellation,
    ) -> None:
        self._loop = loop
        self._disconnect = disconnect
        self._cancellation = cancellation
        self._has_started = self._has_ended = False
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> bool:
        """Start to listen; return False, since the listener itself sets the cancellation."""
        if not self._has_started:
            self._has_started = True
            with suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._listen)
        return False

    def stop(self) -> None:
        """Stop listening; called on the event loop."""
        self._has_started = self._has_ended = True
        if self._task is not None:
            self._task.cancel()

    def _listen(self) -> None:
        if not self._has_ended:
            self._task = self._loop.create_task(self._disconnect())
            self._task.add_done_callback(self._on_disconnect)

    def _on_disconnect(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is None:
            self._cancellation.set()


async def _result_unless(
    submission: Submission[ModelResponse], disconnect: Coroutine[Any, Any, None]
) -> ModelResponse | None:
    """Return the result of a queued call; cancel it and return None when ``disconnect`` is done first."""
    listener = asyncio.ensure_future(disconnect)
    listener.add_done_callback(partial(_cancel, submission))
    try:
        return await submission
    except asyncio.CancelledError:
        if listener.done() and not listener.cancelled() and listener.exception() is None:
            return None
        raise
    finally:
        listener.cancel()
        del submission  # as in ``run``


def _cancel(submission: Submission[ModelResponse], listener: object) -> None:
    submission.cancel()
