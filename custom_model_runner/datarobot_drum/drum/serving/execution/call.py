"""One call of a handler, from the moment it gets a prediction thread to the last byte of its answer."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.execution.streaming import ChunkStream
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.tracing.spans import note_error

Handle = Callable[[ModelRequest], ModelResponse]


class StreamedResponse(ModelResponse):
    """An answer whose content is a ``ChunkStream``; the thread that made it goes on with ``carry_on``."""

    def carry_on(self) -> BaseException | None:
        stream = self.content
        assert isinstance(stream, ChunkStream)
        return stream.carry_on()

    def abandon(self) -> None:
        """Nobody will take the answer."""
        stream = self.content
        assert isinstance(stream, ChunkStream)
        stream.abandon()


class ModelCall:
    """A handler and its request, as work for a prediction thread.

    It owns the body, which it closes when nothing needs it any more: the call may outlive its request.
    """

    def __init__(self, handle: Handle, request: ModelRequest, body: RequestBody, chunk_timeout: float = 0.0) -> None:
        self._handle = handle
        self.request = request
        self._body = body
        self._chunk_timeout = chunk_timeout

    def __call__(self) -> ModelResponse:
        """Run the handler; a streamed answer is made by what its ``carry_on`` does afterwards."""
        response = self.answer()
        if isinstance(response.content, bytes):
            return response
        stream = ChunkStream(response.content, self._chunk_timeout, response.keep_alive)
        stream.when_ended(self._body.close)
        return StreamedResponse(stream, response.media_type, response.status, response.headers)

    def answer(self) -> ModelResponse:
        """Run the handler; a streamed answer is made as the caller draws its chunks, from the body."""
        try:
            response = self._handle(self.request)
        except BaseException:
            self._body.close()
            raise
        if isinstance(response.content, bytes):
            self._body.close()
            return response
        return replace(response, content=_TracedContent(response.content))

    def discard(self) -> None:
        """The handler will never run."""
        self._body.close()


class _TracedContent(Iterator[bytes]):
    """A streamed answer; an error on the way, which its status cannot tell any more, marks the span of the request."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)

    def __next__(self) -> bytes:
        try:
            return next(self._content)
        except StopIteration:
            raise
        except BaseException as error:
            note_error(error)
            raise

    def close(self) -> None:
        close_iterator(self._content)
