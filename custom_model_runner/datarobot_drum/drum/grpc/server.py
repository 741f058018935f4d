"""The gRPC server of a worker, on its event loop: the same admission, limits, logs and spans as over HTTP."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any
from urllib.parse import unquote

import grpc
import orjson
from grpc_health.v1 import health_pb2

from datarobot_drum.drum.exceptions import NotFound, RequestCancelled, RequestError, StartupError
from datarobot_drum.drum.grpc.credentials import server_credentials
from datarobot_drum.drum.grpc.messages import (
    parse,
    parse_infer_request,
    parse_model_version,
    to_infer_response,
    to_metadata_response,
    to_request,
)
from datarobot_drum.drum.grpc.schema import (
    ModelReadyResponse,
    ServerLiveResponse,
    ServerMetadataResponse,
    ServerReadyResponse,
)
from datarobot_drum.drum.serving.access.gate import RPC, AccessRequest
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.error_formats import ErrorFormat
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.execution.call import ModelCall
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.request_log import RequestLogEntry
from datarobot_drum.drum.serving.routes import ROUTES
from datarobot_drum.drum.serving.v2.grpc_paths import HEALTH_SERVICE, INFER, INFER_PATH, SERVICE
from datarobot_drum.drum.serving.v2.model import EXTENSIONS, SERVER_NAME, SERVER_VERSION
from datarobot_drum.drum.settings.access import TlsFiles

logger = logging.getLogger(__name__)

INFER_ROUTE = next(route for route in ROUTES if route.handler == "do_predict_v2")

HEALTH_POLL_SECONDS = 1.0
"""Seconds between two looks at the state that a client watches."""

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
    513: grpc.StatusCode.FAILED_PRECONDITION,
}

Respond = Callable[[bytes], Awaitable[bytes]]


class GrpcServer:
    """Serves the models of a core until ``stop``.

    Args:
        address: host and port; several workers share it.
        tls: files of TLS; None for plain connections.
    """

    def __init__(self, core: ServingCore, address: str, tls: TlsFiles | None = None) -> None:
        assert core.v2 is not None
        self._core = core
        self._v2 = core.v2
        self._address = address
        self._tls = tls
        self._status_pool = ThreadPoolExecutor(1, "drum-grpc-status")
        core.worker_ctx.defer_cleanup(partial(self._status_pool.shutdown, wait=False), desc="end the status thread")
        self.calls = 0
        """Number of inference calls so far."""
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: the address is taken, or not of this machine; or a certificate cannot be used.
        """
        options = [
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", self._core.limits.max_size or -1),
            ("grpc.max_send_message_length", -1),
        ]
        server = grpc.aio.server(options=options)  # it belongs to the event loop that runs now
        server.add_generic_rpc_handlers((self._inference_service(), self._health_service()))
        try:
            if self._tls is None:
                server.add_insecure_port(self._address)
            else:
                server.add_secure_port(self._address, server_credentials(self._tls))
        except RuntimeError as error:
            raise StartupError(f"Cannot listen on {self._address} for gRPC: {error}.") from error
        await server.start()
        self._server = server
        logger.info("gRPC listens on %s.", self._address)

    async def stop(self, grace: float) -> None:
        """Close the port, and wait ``grace`` seconds for calls in flight before they are cancelled."""
        if self._server is not None:
            await self._server.stop(grace)

    def _inference_service(self) -> grpc.GenericRpcHandler:
        methods: dict[str, Respond] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            INFER: self._infer,
        }
        handlers = {name: self._unary(f"/{SERVICE}/{name}", respond) for name, respond in methods.items()}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _health_service(self) -> grpc.GenericRpcHandler:
        handlers = {
            "Check": self._unary(f"/{HEALTH_SERVICE}/Check", self._check_health),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch_health),
        }
        return grpc.method_handlers_generic_handler(HEALTH_SERVICE, handlers)

    def _unary(self, path: str, respond: Respond) -> grpc.RpcMethodHandler:
        """Return the handler of a method; messages stay bytes, since a prediction thread parses them."""

        async def handle(content: bytes, context: Any) -> bytes:
            metadata = Headers((key, value) for key, value in context.invocation_metadata() or () if _is_text(value))
            request = AccessRequest(RPC, path, metadata.get, _address(context.peer()))
            try:
                with RequestLogEntry(self._core.request_log, "POST", path, metadata.get) as entry:
                    return await self._respond(partial(self._admit, request, respond), content, context, entry)
            finally:
                self._core.flusher.request_ended()

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _admit(self, request: AccessRequest, respond: Respond, content: bytes) -> bytes:
        if self._core.access is not None:
            self._core.access.admit(request)
        return await respond(content)

    async def _respond(self, respond: Respond, content: bytes, context: Any, entry: RequestLogEntry) -> bytes:
        context.set_trailing_metadata(_to_metadata(entry.headers))
        try:
            result = await respond(content)
        except Exception as error:
            trailer = _to_metadata(entry.headers)
            failure = error_response(error, ErrorFormat.V2)
            entry.status = failure.status
            assert isinstance(failure.content, bytes)
            code = _CODES.get(failure.status) or _other_code(failure.status)
            await context.abort(code, orjson.loads(failure.content)["error"], trailer + _to_metadata(failure.headers))
            raise AssertionError("abort raises") from error
        entry.status = 200
        context.set_trailing_metadata(_to_metadata(entry.headers))  # by now the model is known
        return result

    # Methods

    async def _server_live(self, content: bytes) -> bytes:
        return _encode(ServerLiveResponse(live=True))

    async def _server_ready(self, content: bytes) -> bytes:
        return _encode(ServerReadyResponse(ready=await self._is_ready(self._v2.require_ready)))

    async def _model_ready(self, content: bytes) -> bytes:
        model = self._v2.models.find(*parse_model_version(content, for_metadata=False))
        return _encode(ModelReadyResponse(ready=await self._is_ready(model.require_ready)))

    async def _server_metadata(self, content: bytes) -> bytes:
        return _encode(ServerMetadataResponse(name=SERVER_NAME, version=SERVER_VERSION, extensions=EXTENSIONS))

    async def _model_metadata(self, content: bytes) -> bytes:
        model = self._v2.models.find(*parse_model_version(content, for_metadata=True))
        return to_metadata_response(model.metadata())

    async def _infer(self, content: bytes) -> bytes:
        start = asyncio.get_running_loop().time()
        self.calls += 1
        if self._core.limits.on_received:
            self._core.limits.on_received(len(content))
        await self._core.wait_for_model()
        predict = self._core.watched(INFER_PATH, partial(self._predict, content))
        call = ModelCall(predict, ModelRequest(), RequestBody(), self._core.request_timeout)
        del content, predict  # the call has it until it has run
        response = await self._core.run(INFER_ROUTE, call, start, _never)
        if response is None or not isinstance(response.content, bytes):
            raise RequestCancelled("The client has disconnected.")
        return response.content

    def _predict(self, content: bytes, request: ModelRequest) -> ModelResponse:
        """Predict on a prediction thread."""
        message = parse_infer_request(content)
        model = self._v2.models.find(message.model_name, message.model_version)
        is_raw = len(message.raw_input_contents) > 0
        return ModelResponse(to_infer_response(model.infer(to_request(message)), raw=is_raw))

    async def _is_ready(self, check: Callable[[], object]) -> bool:
        """Ask for readiness; a probe of the model may block, so it runs on a thread."""
        try:
            if self._core.handlers.has_own_probes:
                await asyncio.get_running_loop().run_in_executor(self._status_pool, copy_context().run, check)
            else:
                check()
        except RequestError:
            return False
        return True

    # Health checks

    async def _check_health(self, content: bytes) -> bytes:
        return _encode(await self._health(content))

    async def _watch_health(self, content: bytes, context: Any) -> Any:
        last = None
        while True:
            try:
                health = await self._health(content)
            except NotFound:
                health = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
            if health != last:
                yield _encode(health)
            last = health
            if self._core.worker_ctx.is_draining:
                return
            await asyncio.sleep(HEALTH_POLL_SECONDS)

    async def _health(self, content: bytes) -> Any:
        service = parse(health_pb2.HealthCheckRequest, content).service
        is_model = service in self._v2.models.names
        if service not in ("", SERVICE) and not is_model:
            raise NotFound(f"There is no service {service[:100]!r}.")
        check = self._v2.models.find(service).require_ready if is_model else self._v2.require_ready
        states = health_pb2.HealthCheckResponse
        return states(status=states.SERVING if await self._is_ready(check) else states.NOT_SERVING)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _address(peer: str) -> str:
    """Return the address in gRPC's name of a client: ``ipv4:127.0.0.1:5000``, ``ipv6:[::1]:5000``, ``unix:...``."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")


def _encode(message: Any) -> bytes:
    content: bytes = message.SerializeToString()
    return content


def _to_metadata(headers: Any) -> tuple[tuple[str, str], ...]:
    """Return headers as metadata, whose values are printable ASCII."""
    return tuple((name.lower(), value) for name, value in headers.items() if value.isascii() and value.isprintable())


def _other_code(status: int) -> grpc.StatusCode:
    return grpc.StatusCode.INVALID_ARGUMENT if status < 500 else grpc.StatusCode.INTERNAL


async def _never() -> None:
    """Wait for ever: gRPC cancels the task of a client that has disconnected."""
    await asyncio.get_running_loop().create_future()
