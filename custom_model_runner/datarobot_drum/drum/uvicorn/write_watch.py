"""The limit of the time that a client of uvicorn may go without reading."""

import asyncio

from datarobot_drum.drum.process.client_writes import WriteProgress, kernel_queue, log_stall, reset_on_close


class WriteWatch:
    """Aborts a connection whose client does not read: its stream ends, and its slot becomes free.

    Args:
        timeout: seconds without progress.
    """

    def __init__(self, transport: asyncio.Transport, timeout: float, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._progress = WriteProgress(timeout, loop.time)
        self._check()

    def stop(self) -> None:
        """Stop watching: the client has read enough, or the connection is closed."""
        self._timer.cancel()

    def _check(self) -> None:
        unread = self._transport.get_write_buffer_size()
        connection = self._transport.get_extra_info("socket")
        if self._progress.is_stalled(unread + kernel_queue(connection)):
            log_stall(self._progress.timeout)
            reset_on_close(connection)
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(self._progress.interval, self._check)
