"""Unstructured predictions: call ``score_unstructured`` with a body of any media type, and encode its result."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.exceptions import PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.hook_errors import HookIterator, prediction_errors, wrap_iterator_errors
from datarobot_drum.drum.language_predictors.hook_results import describe
from datarobot_drum.drum.language_predictors.json_values import encode as encode_json

if TYPE_CHECKING:
    from datarobot_drum.drum.language_predictors.hooks import Hook
    from datarobot_drum.drum.tabular.payload import BinaryFile

DEFAULT_CHARSET = "utf-8"
TEXT = "text/plain"
BINARY = "application/octet-stream"
JSON = "application/json"

_HEADER_TEXT = re.compile(r"[\x21-\x7e][\x20-\x7e]*")


@dataclass(slots=True)
class UnstructuredInput:
    """A request body. ``mimetype`` is empty and ``charset`` None if the client sent none; readers rewind the file."""

    file: BinaryFile
    mimetype: str = ""
    charset: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class UnstructuredOutput:
    """The bytes of the response, complete or as an iterator."""

    content: bytes | Iterator[bytes]
    mimetype: str
    charset: str


def call_unstructured(hook: Hook, model: Any, request: UnstructuredInput) -> UnstructuredOutput:
    """Call ``score_unstructured``. A dict, a list or a number that it returns is JSON.

    ``data`` is text for ``text/*``, ``application/json`` and without a media type; else bytes. A hook with a parameter
    ``file`` receives the body as a binary file, uncopied, and None as ``data``.

    Raises:
        UnprocessableInput: the charset cannot decode the text.
        PredictionError: the hook raised, or its result has a wrong type.
    """
    request.file.seek(0)
    keywords: dict[str, Any] = {"query": dict(request.query), "headers": request.headers, "mlops": None}
    keywords["mimetype"] = request.mimetype or TEXT
    is_text = _is_text(request.mimetype)
    charset = request.charset or (DEFAULT_CHARSET if is_text else None)
    if charset is not None:
        keywords["charset"] = charset
    if "file" in hook.named:
        data: Any = None
        keywords["file"] = request.file
    else:
        data = _decode(request.file.read(), charset or DEFAULT_CHARSET) if is_text else request.file.read()
    with prediction_errors(*hook.passthrough):
        result = hook(model, data, **keywords)
    return _to_output(result)


def _is_json(content: Any) -> bool:
    """Return True for values whose JSON form is plain; a table, say, has several."""
    is_plain = isinstance(content, dict | list | int | float | np.ndarray | np.generic)
    return is_plain or callable(getattr(content, "model_dump", None))


def _given(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value}


def _is_text(mimetype: str) -> bool:
    return not mimetype or mimetype.startswith("text/") or mimetype == "application/json"


def _decode(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except LookupError as error:
        raise UnprocessableInput(f"The charset {charset[:40]!r} is not known.") from error
    except (UnicodeError, ValueError) as error:
        raise UnprocessableInput(f"The body is not {charset[:40]} text.") from error


def _to_output(result: Any) -> UnstructuredOutput:
    content, details = result if isinstance(result, tuple) and len(result) == 2 else (result, {})
    if not isinstance(details, (dict, Mapping)):  # dict first: the check of an abstract class is slower
        raise PredictionError(
            "The second value that score_unstructured returns must be a dict of mimetype and charset."
        )
    charset = str(details.get("charset") or DEFAULT_CHARSET)
    if not isinstance(content, str | bytes):
        if _is_json(content):
            content, details = encode_json(content).decode(), {"mimetype": JSON, **_given(details)}
        content = wrap_iterator_errors(content, "score_unstructured")
    if type(content) is HookIterator:  # faster than isinstance with an abstract class
        content = _EncodedChunks(content, _incremental_encoder(charset))
        kind = TEXT if content.is_text else BINARY
    else:
        kind = TEXT if isinstance(content, str) else BINARY
        content = _string_encoder(charset)(content)
    mimetype = str(details.get("mimetype") or kind)
    _require_header_text(mimetype, charset)
    return UnstructuredOutput(content, mimetype, charset)


@lru_cache(maxsize=16)
def _require_header_text(*words: str) -> None:
    """Reject text that could end a header, such as line breaks."""
    for word in words:
        if not _HEADER_TEXT.fullmatch(word):
            raise PredictionError(f"score_unstructured returned {word[:40]!r}, which no header can carry.")


class _Encoder:
    """A function that encodes output of the hook."""

    def __init__(self, charset: str, encode: Callable[[str], bytes]) -> None:
        self._charset = charset
        self._encode = encode

    def __call__(self, content: Any) -> bytes:
        if isinstance(content, str):
            try:
                return self._encode(content)
            except UnicodeError as error:
                raise PredictionError(
                    f"score_unstructured returned text that is not {self._charset}: {error}."
                ) from error
        if isinstance(content, bytes | bytearray | memoryview):
            return bytes(content)
        raise PredictionError(
            f"score_unstructured returned {describe(content)}: it must return str, bytes, an iterator of them, or a "
            "dict, list or number for JSON."
        )


@lru_cache(maxsize=16)
def _string_encoder(charset: str) -> _Encoder:
    with _charset_errors(charset):
        "".encode(charset)  # rejects codecs that do not encode text
    return _Encoder(charset, partial(str.encode, encoding=charset))


def _incremental_encoder(charset: str) -> _Encoder:
    """Return an encoder for chunks, which writes a byte order mark only once."""
    _string_encoder(charset)
    with _charset_errors(charset):
        return _Encoder(charset, codecs.getincrementalencoder(charset)().encode)


@contextmanager
def _charset_errors(charset: str) -> Iterator[None]:
    try:
        yield
    except (LookupError, ValueError) as error:
        raise PredictionError(
            f"score_unstructured returned the charset {charset[:40]!r}, which is not known."
        ) from error


class _EncodedChunks(Iterator[bytes]):
    """The encoded chunks of a hook's iterator. The first is drawn at once, so its error can still set the status."""

    def __init__(self, chunks: HookIterator, encode: _Encoder) -> None:
        self._chunks = chunks
        self._encode = encode
        first = next(chunks, b"")
        self.is_text = isinstance(first, str)
        try:
            self._first: bytes | None = encode(first)
        except PredictionError:
            self.close()
            raise

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return self._encode(next(self._chunks))

    def close(self) -> None:
        """Run the ``finally`` blocks of the hook."""
        self._chunks.close()
