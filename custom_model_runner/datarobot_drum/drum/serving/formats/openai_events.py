"""Server-sent events of OpenAI's interface: streams of chunks, which end with their usage and ``[DONE]``."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from datarobot_drum.drum.iterators import closing_iterator
from datarobot_drum.drum.serving.errors import openai_error
from datarobot_drum.drum.serving.execution.streaming import PrefetchedIterator
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.tracing.spans import note_error

EVENT_STREAM = "text/event-stream; charset=utf-8"
STREAM_HEADERS = {
    "Cache-Control": "no-cache",
    # Otherwise nginx buffers the events.
    "X-Accel-Buffering": "no",
}
KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
ASSOCIATION_ID = "datarobot_association_id"

logger = logging.getLogger(__name__)


def event_stream(events: Iterator[bytes], error_event: Callable[[Exception], bytes]) -> ModelResponse:
    """Return a response of events. The first is made here, so an error in it becomes an error response."""
    return ModelResponse(_Events(events, error_event), EVENT_STREAM, headers=STREAM_HEADERS, keep_alive=KEEP_ALIVE)


def chunk_stream(
    chunks: Iterator[dict[str, Any]], call: OpenAiCall, association_id: str, inputs: Iterable[str]
) -> ModelResponse:
    """Return a response of chunks.

    Args:
        inputs: the texts of the request, for its usage.
    """

    def error_event(error: Exception) -> bytes:
        return as_event(call, {"error": openai_error(error)})

    return event_stream(_chunk_events(chunks, call, association_id, inputs), error_event)


def as_event(call: OpenAiCall, document: Mapping[str, Any], name: str = "") -> bytes:
    """Encode a document as an event."""
    data = b"data: " + call.encode(document) + b"\n\n"
    return b"event: " + name.encode() + b"\n" + data if name else data


def chunk_texts(chunk: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield index and text of the choices of a chunk, or of a completion."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, Mapping):
            message = choice.get("delta") or choice.get("message")
            text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
            if isinstance(text, str):
                yield choice.get("index") or 0, text


class _Events(PrefetchedIterator):
    """Events of which the last one reports an error, if there was one: the headers are sent, so only it can."""

    def __init__(self, events: Iterator[bytes], error_event: Callable[[Exception], bytes]) -> None:
        self._error_event = error_event
        super().__init__(events)

    def __next__(self) -> bytes:
        try:
            return super().__next__()
        except StopIteration:
            raise
        except Exception as error:  # model code
            logger.error("A stream failed after its first chunk.", exc_info=error)
            note_error(error)
            return self._error_event(error)


def _chunk_events(
    chunks: Iterator[dict[str, Any]], call: OpenAiCall, association_id: str, inputs: Iterable[str]
) -> Iterator[bytes]:
    last: dict[str, Any] = {}
    usage: Any = None
    texts: dict[int, str] = {}
    with closing_iterator(chunks):
        for last in call.timed(chunks):
            usage = last.get("usage") or usage
            last[ASSOCIATION_ID] = association_id
            if call.wants_stream_usage:
                last.setdefault("usage", None)
                for index, text in chunk_texts(last):
                    texts[index] = texts.get(index, "") + text
            yield as_event(call, last)
    if call.wants_stream_usage and last and not usage:
        usage = call.usage(inputs, texts.values())
        yield as_event(call, {**last, "choices": [], "usage": usage})
    call.note_response(last, usage)
    yield DONE
