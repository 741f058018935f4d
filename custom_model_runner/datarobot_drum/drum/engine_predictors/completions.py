"""An engine's OpenAI interface as a model's: completions, whole or as chunks, and the list of models."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import httpx
import orjson

from datarobot_drum.drum.engine_predictors.client import engine_errors, open_client
from datarobot_drum.drum.exceptions import BadGateway, EngineResponseError
from datarobot_drum.drum.settings.engine import EngineSettings

PLACEHOLDER_MODEL = "datarobot-deployed-llm"
"""The name that stands for whatever model is deployed."""

_DONE = b"[DONE]"
_FORWARDED_HEADERS = ("retry-after",)


class Completions:
    """Asks one engine, from any thread. It holds connections: close it."""

    def __init__(self, engine: EngineSettings) -> None:
        self._engine = engine
        self._client = open_client(engine)

    def create(self, params: Mapping[str, Any]) -> dict[str, Any] | Iterator[dict[str, Any]]:
        """A completion, or with ``stream`` the chunks of one, which must be closed.

        Raises:
            EngineAnsweredError: the engine refused; so may drawing a chunk.
            BadGateway, DeadlineExceeded, ServerOverloaded: it cannot be asked; so may drawing a chunk.
        """
        model = params.get("model")
        model_name = model if model and model != PLACEHOLDER_MODEL else self._engine.model_name
        response = self._send("POST", "/v1/chat/completions", {**params, "model": model_name})
        return _CompletionChunks(response, self._engine) if params.get("stream") is True else self._read(response)

    def list_models(self) -> Any:
        """The engine's own list.

        Raises:
            EngineAnsweredError, BadGateway, DeadlineExceeded, ServerOverloaded: as ``create``.
        """
        return self._read(self._send("GET", "/v1/models"))

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> httpx.Response:
        """The engine's answer, its body unread."""
        content = None if document is None else orjson.dumps(document)
        # Compressed events would arrive in lumps.
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
    """The data of a stream of server-sent events; only ``[DONE]`` ends it well."""

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
        """Hang up on the engine, which stops its work."""
        self._response.close()


def _events(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The data of each event (HTML standard, 9.2.6); the other fields say nothing here."""
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
    """The engine's refusal as an error of ours.

    OpenAI's form is ``{"error": {...}}``; older engines send the inner object alone, and what stands in front of an
    engine may send anything.
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
    """What the assistant says in the first choice of a completion.

    Raises:
        BadGateway: there is no such thing.
    """
    try:
        text: str | None = completion["choices"][0]["message"].get("content")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadGateway("The engine's answer holds no message.") from error
    return text
