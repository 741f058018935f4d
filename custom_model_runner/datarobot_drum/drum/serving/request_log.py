"""The access log, the summary at exit, and the count of requests that a drain waits for."""

import logging
import threading
import time
from contextlib import suppress
from contextvars import Token
from types import TracebackType
from typing import Any

from datarobot_drum.drum.error_text import shortened
from datarobot_drum.drum.serving.headers import standard_headers
from datarobot_drum.drum.serving.metrics.families import REJECTED
from datarobot_drum.drum.serving.metrics.recorder import OFF, Recorder
from datarobot_drum.drum.serving.request_facts import RequestFacts, current_facts, span_attributes
from datarobot_drum.drum.serving.route_labels import RouteLabels
from datarobot_drum.drum.settings.model_identity import ModelIdentity
from datarobot_drum.drum.tracing.request_id import REQUEST_ID_HEADER, accept_request_id, request_id
from datarobot_drum.drum.tracing.spans import ReadHeader, RequestSpan, Tracing
from datarobot_drum.runtime_parameters.masking import mask_secrets

access_logger = logging.getLogger("drum.access")

CLIENT_CLOSED_REQUEST = 499
"""Status of a request whose client disconnected before its response; for the log, as nginx has it, never sent."""

MAX_LOGGED_PATH = 1000


class RequestLog:
    """Counts the requests of one process and their outcomes, for its last log line and for the metrics.

    Args:
        model: the folder that is served.
        shows_model: whether responses have a header that names the model.

    Probes come every second and must not delay a drain. So they are logged at debug level and not counted.
    """

    def __init__(
        self,
        probe_paths: frozenset[str] = frozenset(),
        tracing: Tracing | None = None,
        recorder: Recorder = OFF,
        labels: RouteLabels | None = None,
        model: ModelIdentity | None = None,
        *,
        shows_model: bool = True,
    ) -> None:
        self.model = model
        self.shows_model = shows_model
        self.probe_paths = probe_paths
        self.tracing = tracing or Tracing()
        self._recorder = recorder
        self._labels = labels or RouteLabels()
        self._lock = threading.Lock()
        self._empty = threading.Condition(self._lock)
        self._in_flight = 0
        self._served = 0
        self._rejected = 0
        self._abandoned = 0
        self._longest = 0.0

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def wait_empty(self, timeout: float) -> bool:
        """Block until no request is in flight, for at most ``timeout`` seconds; return False on timeout."""
        with self._lock:
            return self._empty.wait_for(lambda: self._in_flight == 0, timeout)

    def summary(self) -> str:
        """Return one line: served, refused (503), abandoned (504, or the client disconnected), longest."""
        with self._lock:
            line = (
                f"served {self._served}, refused {self._rejected}, abandoned {self._abandoned}, "
                f"longest {self._longest:.2f} s"
            )
            return f"{line}, cut off {self._in_flight}" if self._in_flight else line

    def _request_started(self) -> None:
        with self._lock:
            self._in_flight += 1

    def _request_ended(self, path: str, status: int, seconds: float, rejected: str = "") -> None:
        if self._recorder.is_on:
            if rejected:
                self._recorder.add(REJECTED, label=rejected)
            self._recorder.request_ended(self._labels.find(path), status or CLIENT_CLOSED_REQUEST, seconds)
        with self._lock:
            self._in_flight -= 1
            if seconds > self._longest:
                self._longest = seconds
            if status in (0, CLIENT_CLOSED_REQUEST, 504):
                self._abandoned += 1
            elif status == 503:
                self._rejected += 1
            else:
                self._served += 1
            if not self._in_flight:
                self._empty.notify_all()


class RequestLogEntry:
    """One request and its response, from the outermost layer of an adapter; a context manager.

    Args:
        header: returns a header of the request by its lower-case name.
    """

    def __init__(self, request_log: RequestLog, method: str, path: str, header: ReadHeader) -> None:
        self._request_log = request_log
        self._method = method
        self._path = path
        self._header = header
        self._is_probe = path in request_log.probe_paths
        self._request_id = accept_request_id(header(REQUEST_ID_HEADER.lower()))
        self.facts = RequestFacts(request_log.model)
        self.status = 0
        """Status of the response; 0 until its start, so also if the client disconnected before."""
        self._tokens: tuple[Token[str], Token[RequestFacts | None]]
        self._span: RequestSpan | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response, errors included; the one of the model is right once the response starts."""
        model = self.facts.model if self._request_log.shows_model else None
        return standard_headers(self._request_id, "" if model is None else model.header)

    def __enter__(self) -> "RequestLogEntry":
        self._tokens = request_id.set(self._request_id), current_facts.set(self.facts)
        self._started = time.perf_counter()
        if not self._is_probe:
            self._request_log._request_started()
            self._span = self._request_log.tracing.begin(
                self._method, self._path, self._header, self._request_id, span_attributes(self.facts.model)
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._started
        if not self._is_probe:
            self._request_log._request_ended(self._path, self.status, seconds, self.facts.rejected)
        level = logging.DEBUG if self._is_probe and self.status < 400 else logging.INFO
        if access_logger.isEnabledFor(level):
            outcome = str(self.status) if self.status else "no response: the client disconnected"
            fields = (self._method, self._path, outcome, seconds * 1000)
            access_logger.log(level, "%s %s %s %.1f ms", *fields, extra=self._log_fields(seconds))
        if self._span is not None:
            self._span.end(self.status)
        with suppress(ValueError):  # the garbage collector may close a response in another context
            request_id.reset(self._tokens[0])
            current_facts.reset(self._tokens[1])

    def _log_fields(self, seconds: float) -> dict[str, Any]:
        """Return the fields of the log line, for a format that has fields; None values are left out."""
        facts = self.facts
        waited = facts.queue_seconds
        fields = {
            "method": self._method,
            "path": mask_secrets(shortened(self._path, MAX_LOGGED_PATH)),
            "status": self.status or CLIENT_CLOSED_REQUEST,
            "duration_ms": round(seconds * 1000, 3),
            "rows": facts.rows,
            "queue_ms": None if waited is None else round(waited * 1000, 3),
            "model": facts.model and f"{facts.model.name}@{facts.model.version}",
            "model_digest": facts.model and facts.model.short_digest,
        }
        return {name: value for name, value in fields.items() if value is not None}
