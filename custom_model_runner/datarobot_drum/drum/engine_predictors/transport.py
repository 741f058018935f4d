"""Transports that never reuse a connection on which an engine sent more than its response.

The parser keeps such bytes, and would take them for the response to the next request, which is another client's.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx


class EngineTransport(httpx.HTTPTransport):
    """A transport for use in threads."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.stream = _ResponseStream(response.stream)
        return response


class AsyncEngineTransport(httpx.AsyncHTTPTransport):
    """A transport for one event loop."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.stream = _AsyncResponseStream(response.stream)
        return response


class _ResponseStream(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        _forbid_reuse_after_excess(self._stream)
        self._stream.close()


class _AsyncResponseStream(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        iterator: AsyncIterator[bytes] = aiter(self._stream)
        return iterator

    async def aclose(self) -> None:
        _forbid_reuse_after_excess(self._stream)
        await self._stream.aclose()


def _forbid_reuse_after_excess(stream: Any) -> None:
    """Have the connection of a response closed if bytes follow the response.

    Raises:
        AttributeError: another version of httpcore; reusing its connections would not be safe.
    """
    parser = stream._httpcore_stream._stream._connection._h11_state
    if parser.trailing_data[0]:
        parser.send_failed()
