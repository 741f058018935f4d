"""The fast path of a server of ours: a small request whose answer is bytes, without a task and without ASGI messages.

A request that came whole needs no coroutine: it is handed to the prediction threads at once, and its answer is written
when it is there. Everything else (bodies that are large, slow, compressed or forms, streams, traces, apps of others)
goes the way of ASGI. Both ways call the same handlers through the same executor and answer the same bytes;
the API suite and ``tests/api/test_fast_path.py`` hold them against each other.
"""

import asyncio
import re
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from datarobot_drum.drum.fastapi.front_door import FrontDoor
from datarobot_drum.drum.fastapi.messages import header_fields, send_response, start_of, to_request
from datarobot_drum.drum.fastapi.middleware import answer_in, cut_off
from datarobot_drum.drum.fastapi.routes import Endpoint
from datarobot_drum.drum.serving.alarms import Alarms
from datarobot_drum.drum.serving.calls import ModelCall
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.executor import Submission
from datarobot_drum.drum.serving.ledger import Exchange
from datarobot_drum.drum.serving.messages import Headers, ModelResponse
from datarobot_drum.drum.serving.model_state import Phase
from datarobot_drum.drum.serving.routes import Runs
from datarobot_drum.drum.serving.small_bodies import small_body, small_body_length
from datarobot_drum.drum.tracing.spans import spans_are_made

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""In the value of a header, which must not be able to end it."""


class Connection(Protocol):
    """What a request needs of its connection (``protocol.py``)."""

    in_flight: set[Any]

    @property
    def can_write(self) -> bool: ...
    def run_asgi(self, cycle: RequestResponseCycle, app: Any) -> None: ...


class FastPath:
    """Which requests take it.

    Args:
        door: of the app that is served.
    """

    def __init__(self, door: FrontDoor) -> None:
        self.core = door.core
        self.flusher = door.core.flusher
        self._endpoints = {
            path: mounted.endpoint
            for path, mounted in door.served.items()
            if isinstance(mounted.endpoint, Endpoint) and mounted.endpoint.route.runs is Runs.MODEL
        }
        self._alarms: Alarms[FastExchange] | None = None

    def begin(self, connection: Connection, cycle: RequestResponseCycle) -> "FastExchange | None":
        """Take a request over once its headers are there; None if it has to go the other way."""
        scope = cycle.scope
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None or scope["method"] != "POST" or scope["http_version"] != "1.1":
            return None
        if cycle.waiting_for_100_continue or spans_are_made() or self.core.state.phase is not Phase.READY:
            return None
        headers = Headers.from_raw(scope["headers"])
        length = small_body_length(headers, self.core.limits, endpoint.form_fields)
        return FastExchange(self, endpoint, headers, length, connection, cycle) if length else None

    def watch(self, exchange: "FastExchange", timeout: float) -> Callable[[], object]:
        """Have ``time_out`` of ``exchange`` called in ``timeout`` seconds; returns what takes that back."""
        if self._alarms is None:
            self._alarms = Alarms(asyncio.get_running_loop(), FastExchange.time_out)
        return self._alarms.set(exchange, timeout)


class FastExchange:
    """One request on the fast path."""

    __slots__ = (
        "_call",
        "_connection",
        "_context",
        "_cycle",
        "_endpoint",
        "_exchange",
        "_forget_alarm",
        "_headers",
        "_length",
        "_path",
        "_submission",
    )

    def __init__(
        self,
        path: FastPath,
        endpoint: Endpoint,
        headers: Headers,
        length: int,
        connection: Connection,
        cycle: RequestResponseCycle,
    ) -> None:
        self._path = path
        self._endpoint = endpoint
        self._headers = headers
        self._length = length
        self._connection = connection
        self._cycle = cycle
        self._context = copy_context()
        self._forget_alarm: Callable[[], object] | None = None
        self._call: ModelCall
        self._exchange: Exchange
        self._submission: Submission[ModelResponse] | None = None

    def run(self) -> bool:
        """Hand the request in, now that its body is complete. False if it has to go the other way after all."""
        core, cycle = self._path.core, self._cycle
        content = bytes(cycle.body)
        body = small_body(content, self._headers, core.limits) if len(content) == self._length else None
        if body is None:
            return False
        scope: Any = cycle.scope
        self._exchange = Exchange(core.ledger, scope["method"], scope["path"], self._headers.get)
        self._call = ModelCall(
            self._endpoint.handle, to_request(scope, self._headers, body), body, core.request_timeout
        )
        self._context.run(self._submit)
        return True

    def _submit(self) -> None:
        core = self._path.core
        self._exchange.__enter__()
        self._submission = submission = core.submit(self._endpoint.route, self._call)
        future = submission.future
        future.add_done_callback(self._on_done, context=self._context)
        self._connection.in_flight.add(future)  # a stop waits for it, and cancels it after the graceful timeout
        if core.request_timeout:
            self._forget_alarm = self._path.watch(self, core.request_timeout)

    def time_out(self) -> None:
        if self._submission is not None:
            self._submission.time_out(self._path.core.request_timeout)

    def client_left(self) -> None:
        """A call that waits will never run; one that runs ends unheard. Whoever streams notices by himself."""
        if self._submission is not None:
            self._submission.leave()

    def _on_done(self, future: "asyncio.Future[ModelResponse]") -> None:
        self._connection.in_flight.discard(future)
        if self._forget_alarm:
            self._forget_alarm()
        submission, self._submission = self._submission, None
        if submission is not None:
            submission.leave()
            if not submission.started:
                self._call.discard()
        del self._call, submission  # an error's traceback holds frames, which hold these
        response = self._response(future)
        if response is None:
            self._end()
        elif (answer := self._whole(response)) is not None:
            self._write(response.status, answer)
            self._end()
        else:
            self._connection.run_asgi(self._cycle, partial(self._answer_by_asgi, response))

    def _response(self, future: "asyncio.Future[ModelResponse]") -> ModelResponse | None:
        """The answer; None if nobody is there any more to take one."""
        if future.cancelled():
            left = self._cycle.disconnected or not self._path.core.worker_ctx.is_draining
            return None if left else error_response(cut_off())
        error = future.exception()
        if error is None:
            return future.result()
        return error_response(error, for_openai=self._endpoint.route.for_openai)

    def _whole(self, response: ModelResponse) -> bytes | None:
        """The answer as it is sent; None if it takes ASGI: a stream, a client that does not take what was sent, headers
        that cannot be sent."""
        content = response.content
        status = STATUS_LINE.get(response.status)
        if status is None or not isinstance(content, bytes) or not self._connection.can_write:
            return None
        try:
            fields = [*start_of(response)["headers"], *header_fields(self._exchange.headers)]
        except UnicodeEncodeError:
            return None
        if any(_FORBIDDEN.search(value) for _, value in fields):
            return None
        if self._path.core.worker_ctx.is_draining:
            self._cycle.keep_alive = False
        if not self._cycle.keep_alive:
            fields.append((b"connection", b"close"))
        lines = [b"%s: %s\r\n" % field for field in (*self._cycle.default_headers, *fields)]
        return b"".join((status, *lines, b"\r\n", content))

    def _write(self, status: int, answer: bytes) -> None:
        """What uvicorn does with an answer, at once."""
        cycle = self._cycle
        self._exchange.status = status
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(answer)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    async def _answer_by_asgi(self, response: ModelResponse, scope: Any, receive: Any, send: Any) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await send_response(response, receive, send)

        try:
            await answer_in(self._exchange, self._path.core.worker_ctx, answer, scope, receive, send)
        finally:
            self._context.run(self._end)

    def _end(self) -> None:
        self._exchange.__exit__(None, None, None)
        self._path.flusher.request_ended()
