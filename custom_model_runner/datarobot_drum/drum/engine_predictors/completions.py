"""A client of an engine's OpenAI interface: completions, complete or streamed, and the list of models."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import httpx
import orjson

from datarobot_drum.drum.engine_predictors.client import engine_errors, open_client
from datarobot_drum.drum.exceptions import BadGateway, EngineResponseError
from datarobot_drum.drum.settings.engine import EngineSettings

PLACEHOLDER_MODEL = "datarobot-deployed-llm"
"""The model name that stands for the deployed model."""

CHAT_PATH, COMPLETIONS_PATH, EMBEDDINGS_PATH = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"

_DONE = b"[DONE]"
_FORWARDED_HEADERS = ("retry-after",)


class Completions:
    """A client of one engine for any thread; close it to release its connections."""

    def __init__(self, engine: EngineSettings) -> None:
        self._engine = engine
        self._client = open_client(engine)

    def create(self, params: Mapping[str, Any], path: str = CHAT_PATH) -> dict[str, Any] | Iterator[dict[str, Any]]:
        """Create what ``path`` creates, or with ``stream`` an iterator of its chunks, which the caller must close.

        Raises:
            EngineResponseError: the engine responded with an error; the iterator may raise it, too.
            BadGateway, DeadlineExceeded, ServerOverloaded: the call failed; the iterator may raise these, too.
        """
        model = params.get("model")
        model_name = model if model and model != PLACEHOLDER_MODEL else self._engine.model_name
        response = self._send("POST", path, {**params, "model": model_name})
        return _CompletionChunks(response, self._engine) if params.get("stream") is True else self._read(response)

    def list_models(self) -> Any:
        """Return the engine's list of models.

        Raises:
            EngineResponseError, BadGateway, DeadlineExceeded, ServerOverloaded: as ``create``.
        """
        return self._read(self._send("GET", "/v1/models"))

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> httpx.Response:
        """Send a request; return the response with its body unread."""
        content = None if document is None else orjson.dumps(document)
        # Compression would buffer events.
        headers = {"Accept-Encoding": "identity", **({"Content-Type": "application/json"} if content else {})}
        request = self._client.build_request(method, path, content=content, headers=headers)
        with engine_errors(self._engine):
            response = self._client.send(request, stream=True)
        if response.status_code != 200:
            raise self._response_error(response)
        return response

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        with closing(response), engine_errors(self._engine):
            body = response.read()
        return _document(body)

    def _response_error(self, response: httpx.Response) -> Exception:
        with closing(response), engine_errors(self._engine):
            body = response.read()
        headers = {name: response.headers[name] for name in _FORWARDED_HEADERS if name in response.headers}
        return _to_error(body, response.status_code, headers)


class _CompletionChunks(Iterator[dict[str, Any]]):
    """The documents of a stream of server-sent events, which must end with ``[DONE]``."""

    def __init__(self, response: httpx.Response, engine: EngineSettings) -> None:
        self._response = response
        self._engine = engine
        self._events = _events(response.iter_bytes())

    def __next__(self) -> dict[str, Any]:
        with engine_errors(self._engine):
            event = next(self._events, None)
        if event is None:
            raise BadGateway("The engine ended its stream without [DONE].")
        if event == _DONE:
            self.close()
            raise StopIteration
        document = _document(event)
        if "choices" not in document and document.get("error"):
            raise _to_error(event, 500, {})
        return document

    def close(self) -> None:
        """Close the connection, which stops the engine's work."""
        self._response.close()


def _events(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the data of each event (HTML standard, 9.2.6); other fields are ignored."""
    data: list[bytes] = []
    for line in _lines(chunks):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in lines)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadGateway("The engine's answer is not JSON.") from error
    if not isinstance(document, dict):
        raise BadGateway("The engine's answer is not a JSON object.")
    return document


def _to_error(body: bytes, status: int, headers: Mapping[str, str]) -> Exception:
    """Convert an error response of the engine.

    OpenAI's format is ``{"error": {...}}``; older engines send the inner object alone. A proxy before an engine may
    send anything.
    """
    if status < 400:
        return BadGateway(f"The engine answered with status {status}, which is no answer to a chat request.")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    details = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(details, dict):
        text = str(details) if details else body[:1000].decode("utf-8", "replace")
        details = {"message": text or f"The engine answered {status}.", "type": "server_error", "param": None}
    code = details.get("code")
    if isinstance(code, int) and 400 <= code <= 599 and status == 500:
        status = code
    message = details.get("message")
    return EngineResponseError(str(message or f"The engine answered {status}."), status, details, headers=headers)


def message_text(completion: Mapping[str, Any]) -> str | None:
    """Return the assistant's text in the first choice of a completion.

    Raises:
        BadGateway: the completion has no message.
    """
    try:
        text: str | None = completion["choices"][0]["message"].get("content")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadGateway("The engine's answer holds no message.") from error
    return text
