"""The fast path of a server of ours: a small request whose answer is bytes, without a task and without ASGI messages.

A request that came whole needs no coroutine: it is handed to the prediction threads at once, and its answer is written
when it is there. Everything else (bodies that are large, slow, compressed or forms, streams, traces, apps of others)
goes the way of ASGI. Both ways call the same handlers through the same executor and answer the same bytes;
the API suite and ``tests/api/test_fast_path.py`` hold them against each other.
"""

import asyncio
import re
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from datarobot_drum.drum.fastapi.front_door import FrontDoor
from datarobot_drum.drum.fastapi.messages import send_response
from datarobot_drum.drum.fastapi.middleware import call_app, shutdown_error
from datarobot_drum.drum.fastapi.routes import Endpoint
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.execution.alarms import Alarms
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.execution.executor import Submission
from datarobot_drum.drum.serving.execution.futures import drop
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.model_state import Phase
from datarobot_drum.drum.serving.request_log import RequestLogEntry
from datarobot_drum.drum.serving.routes import Execution
from datarobot_drum.drum.tracing.spans import spans_are_made
from datarobot_drum.drum.uvicorn.heads import LONGEST_HEAD, Head, Heads

_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""The name of a header (RFC 9110, 5.6.2)."""

_METHOD = "POST"
_BEGIN, _END = b"POST ", b"\r\n\r\n"


class Connection(Protocol):
    """What a request needs of its connection (``protocol.py``)."""

    in_flight: set[Any]

    @property
    def can_write(self) -> bool: ...
    @property
    def wants_to_part(self) -> bool: ...
    @property
    def own_headers(self) -> list[tuple[bytes, bytes]]: ...
    def write(self, answer: bytes, *, keep: bool) -> None: ...
    def run_asgi(self, request: bytes, app: Any) -> None: ...


class FastPath:
    """Which requests take it.

    Args:
        door: of the app that is served.
    """

    def __init__(self, door: FrontDoor) -> None:
        self.core = door.core
        self.core.executor.collects_calls = True
        self.flusher = door.core.flusher
        endpoints = {
            path: mounted.endpoint
            for path, mounted in door.served.items()
            if isinstance(mounted.endpoint, Endpoint) and mounted.endpoint.route.execution is Execution.EXECUTOR
        }
        self._heads = Heads(endpoints, door.core.limits)
        timeout = door.core.request_timeout
        self.alarms = Alarms(timeout, FastExchange.time_out) if timeout else None
        """For requests that take too long; None where they may."""

    def head_of(self, data: bytes) -> Head | None:
        """The head that ``data`` begins with; None if the request has to go the other way."""
        end = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        if end < len(_END) or not data.startswith(_BEGIN):
            return None
        if spans_are_made() or self.core.state.phase is not Phase.READY:
            return None
        return self._heads.read(data[:end])

    def begin(self, connection: Connection, head: Head, data: bytes) -> "FastExchange | None":
        """Take over the request that ``data`` is; None if it has to go the other way."""
        body = RequestBody(SpooledUploadFile.from_bytes(data[len(head.raw) :]))
        return FastExchange(self, head, body, connection, data)


class FastExchange:
    """One request on the fast path."""

    __slots__ = (
        "_call",
        "_connection",
        "_context",
        "_data",
        "_exchange",
        "_head",
        "_left",
        "_path",
        "_submission",
        "keep_alive",
    )

    def __init__(self, path: FastPath, head: Head, body: RequestBody, connection: Connection, data: bytes) -> None:
        self._path = path
        self._head = head
        self._connection = connection
        self._data = data
        self._context = copy_context()
        core = path.core
        self._exchange = RequestLogEntry(core.request_log, _METHOD, head.path, head.headers.get)
        request = ModelRequest(_METHOD, head.headers, head.query, body.raw)
        self._call = ModelCall(head.endpoint.handle, request, body, core.request_timeout)
        self._submission: Submission[ModelResponse] | None = None
        self._left = False
        self.keep_alive = head.keep_alive and not connection.wants_to_part
        """Whether the connection stays open after the answer."""

    def run(self) -> None:
        """Hand the request in."""
        self._context.run(self._submit)

    def _submit(self) -> None:
        core = self._path.core
        self._exchange.__enter__()
        self._submission = submission = core.submit(self._head.endpoint.route, self._call)
        future = submission.future
        future.add_done_callback(self._on_done, context=self._context)
        self._connection.in_flight.add(future)  # a stop waits for it, and cancels it after the graceful timeout
        if self._path.alarms:
            self._path.alarms.set(self)

    def time_out(self) -> None:
        if self._submission is not None:
            self._submission.time_out(self._path.core.request_timeout)

    def client_left(self) -> None:
        """A call that waits will never run; one that runs ends unheard."""
        self._left = True
        if self._submission is not None:
            self._submission.leave()

    def _on_done(self, future: "asyncio.Future[ModelResponse]") -> None:
        self._connection.in_flight.discard(future)
        if self._path.alarms:
            self._path.alarms.forget(self)
        submission, self._submission = self._submission, None
        if submission is not None and not submission.started:
            submission.leave()
            self._call.discard()
        del self._call, submission  # an error's traceback holds frames, which hold these
        response = self._response(future)
        if self._left:
            drop(response)
            self._end()
        elif response is None:
            self._end()
        elif (answer := self._whole(response)) is not None:
            self._exchange.status = response.status
            self._connection.write(answer, keep=self.keep_alive)
            self._end()
        else:
            self._connection.run_asgi(self._data, partial(self._answer_by_asgi, response))

    def _response(self, future: "asyncio.Future[ModelResponse]") -> ModelResponse | None:
        """The answer; None if nobody is there any more to take one."""
        if future.cancelled():
            left = self._left or not self._path.core.worker_ctx.is_draining
            return None if left else error_response(shutdown_error())
        error = future.exception()
        if error is None:
            return future.result()
        return error_response(error, for_openai=self._head.endpoint.route.for_openai)

    def _whole(self, response: ModelResponse) -> bytes | None:
        """The answer as it is sent; None if it takes ASGI: a stream, a client that does not take what was sent, headers
        that are not plain, which ASGI refuses or encodes."""
        content = response.content
        status = STATUS_LINE.get(response.status)
        if status is None or not isinstance(content, bytes) or not self._connection.can_write:
            return None
        if not (_is_plain(response.media_type) and all(_is_field(*field) for field in response.headers.items())):
            return None
        fields = [
            ("content-type", response.media_type),
            ("content-length", str(len(content))),
            *response.headers.items(),
            *self._exchange.headers.items(),
        ]
        if self._path.core.worker_ctx.is_draining:
            self.keep_alive = False
        if not self.keep_alive:
            fields.append(("connection", "close"))
        lines = "".join([f"{name.lower()}: {value}\r\n" for name, value in fields])
        own = [b"%s: %s\r\n" % field for field in self._connection.own_headers]
        return b"".join((status, *own, lines.encode("ascii"), b"\r\n", content))

    async def _answer_by_asgi(self, response: ModelResponse, scope: Any, receive: Any, send: Any) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await send_response(response, receive, send)

        try:
            await call_app(self._exchange, self._path.core.worker_ctx, answer, scope, receive, send)
        finally:
            self._context.run(self._end)

    def _end(self) -> None:
        self._exchange.__exit__(None, None, None)
        self._path.flusher.request_ended()


def _is_field(name: str, value: str) -> bool:
    return _TOKEN.fullmatch(name) is not None and _is_plain(value)


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable()
