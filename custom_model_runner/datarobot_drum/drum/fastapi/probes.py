"""What probes are answered now, whole, for a process that answers them in the place of a worker."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from datarobot_drum.drum.fastapi.messages import header_fields, response_start
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.headers import standard_headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routes import Execution, Route, path_variants

LIVENESS_PATIENCE = 60.0
"""Seconds of silence of the event loop for which a probe that says nothing of the model may still be answered.

Wide, as a failed one restarts the process: as long as an idle worker may be silent before its supervisor calls it hung
(``DRUM_FASTAPI_WORKER_TIMEOUT``)."""

READINESS_PATIENCE = 10.0
"""The same for probes that ask whether requests should come here. Tight, as a failed one only sends them elsewhere:
nobody can say of a worker that has been silent for longer that it is ready."""

MARK = "00000000-0000-4000-8000-000000000000"

ProbeAnswer = tuple[float, bytes, bytes, bytes, bytes]
"""Patience; what stands before the date, between it and the request id, between that and the empty line; the body."""


def probe_answers(core: ServingCore) -> Mapping[bytes, ProbeAnswer]:
    """By path, the answers of all probes that touch memory only; those of the model's own take their time.

    Takes no locks: signal handlers call it.
    """
    found: dict[bytes, ProbeAnswer] = {}
    for route in core.routes:
        if route.is_probe and (route.execution is Execution.INLINE or not core.handlers.has_own_probes):
            answer = _answer(route, core)
            paths = (path for path in path_variants(route, core.url_prefix) if quote(path) == path)
            found.update((path.encode(), answer) for path in paths)
    return found


def _answer(route: Route, core: ServingCore) -> ProbeAnswer:
    try:
        response = core.find_handler(route)(ModelRequest())
    except Exception as error:  # a request's edge, as it were
        response = error_response(error)
    patience = LIVENESS_PATIENCE if route.execution is Execution.INLINE else READINESS_PATIENCE
    before_id, _, after_id = _head(response).partition(MARK.encode())
    status = HTTPStatus(response.status) if response.status in _KNOWN else None
    first = f"HTTP/1.1 {response.status} {status.phrase if status else ''}\r\ndate: "
    body = response.content if isinstance(response.content, bytes) else b""
    return patience, first.encode(), b"\r\n" + before_id, after_id, body


_KNOWN = frozenset(int(status) for status in HTTPStatus)


def _head(response: ModelResponse) -> bytes:
    fields = (*response_start(response)["headers"], *header_fields(standard_headers(MARK)))
    return b"".join(b"%s: %s\r\n" % field for field in fields)
