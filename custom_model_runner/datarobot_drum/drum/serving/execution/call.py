"""A handler call on a prediction thread, up to the last byte of its response."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace

from datarobot_drum.drum.cancellation import Cancellation, enter_request
from datarobot_drum.drum.exceptions import RequestCancelled
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.process.forks import exit_fork
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.execution.streaming import ChunkStream, IncrementalResult, Pause
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.tracing.spans import note_error

Handle = Callable[[ModelRequest], ModelResponse]

logger = logging.getLogger(__name__)


class StreamedResponse(ModelResponse, IncrementalResult):
    """A response whose content is a ``ChunkStream``; the thread that made it produces the chunks."""

    def produce(self, pause: Pause = nullcontext) -> BaseException | None:
        stream = self.content
        assert isinstance(stream, ChunkStream)
        return stream.produce(pause)

    def cancel(self) -> None:
        stream = self.content
        assert isinstance(stream, ChunkStream)
        stream.cancel()


class ModelCall:
    """A handler and its request, as work for a prediction thread.

    It closes the body once nothing reads it, since the work may outlive the request.
    """

    def __init__(self, handle: Handle, request: ModelRequest, body: RequestBody, chunk_timeout: float = 0.0) -> None:
        self._handle = handle
        self.request = request
        self._body = body
        self._chunk_timeout = chunk_timeout
        self.cancellation = Cancellation()

    def __call__(self) -> ModelResponse:
        """Run the handler; the ``produce`` of a streamed response makes its chunks."""
        response = self.respond()
        if isinstance(response.content, bytes):
            return response
        stream = ChunkStream(response.content, self._chunk_timeout, response.keep_alive)
        stream.add_done_callback(self._body.close)
        stream.on_cancel = self.cancellation.set
        return StreamedResponse(stream, response.media_type, response.status, response.headers)

    def respond(self) -> ModelResponse:
        """Run the handler; a streamed response is produced, from the body, while the caller iterates.

        From here on, ``cancelled`` asks for this request, in the context of the caller.
        """
        enter_request(self.cancellation)
        try:
            response = self._handle(self.request)
        except BaseException as error:
            exit_fork(error)
            if isinstance(error, RequestCancelled):
                logger.info("Stopped the work of a request: its client has disconnected, or got a timeout.")
            self._body.close()
            raise
        exit_fork()
        if isinstance(response.content, bytes):
            self._body.close()
            return response
        return replace(response, content=_TracedContent(response.content))

    def close_body(self) -> None:
        """Close the body of a call that will never run."""
        self._body.close()


class _TracedContent(Iterator[bytes]):
    """Streamed content that records an error in the span of the request: the status is sent already."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)

    def __next__(self) -> bytes:
        try:
            chunk = next(self._content)
        except StopIteration:
            exit_fork()
            raise
        except BaseException as error:
            exit_fork(error)
            note_error(error)
            raise
        exit_fork()
        return chunk

    def close(self) -> None:
        close_iterator(self._content)
