"""A body or form part as a file: in memory while it is small, else in a temporary file."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, cast

import anyio.to_thread

from datarobot_drum.drum.exceptions import InsufficientStorage
from datarobot_drum.drum.serving.body.memory_budget import UNLIMITED, MemoryBudget

SPOOL_MAX_SIZE = 10 * 1024 * 1024
"""Bytes of one upload in memory."""

CHUNK_SIZE = 64 * 1024
"""Bytes read at a time."""

RESERVE_FACTOR = 4
"""An upload of unknown size reserves up to this factor ahead. So of many that grow at once some stay in memory, and
the others go to disk while they are small."""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

NO_ROOM = "No room left to store the request body. Please retry later."


class SpooledUploadFile:
    """A readable, seekable binary file that holds one request body or one form part.

    Content beyond ``max_memory`` bytes, or beyond the memory budget, rolls over to an unnamed temporary file.

    Args:
        upload_file: an upload of a web framework, anything with an async ``read``. If it has a spooled ``file``, that
            file is wrapped, not copied.
        max_memory: bytes of this upload in memory.
        filename: as sent by the client; by default that of ``upload_file``.
        content_type: as sent by the client; by default that of ``upload_file``.
        name: name of the form part.
        directory: for the temporary file.
        budget: bytes of all uploads in memory.
        expected_size: bytes to come, if known. If the budget lacks room for all of them, the content goes to disk
            from the first byte.
    """

    mode = "rb"
    """pandas decodes a file with a binary mode."""

    def __init__(
        self,
        upload_file: Any = None,
        max_memory: int = SPOOL_MAX_SIZE,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        name: str | None = None,
        directory: str | None = None,
        budget: MemoryBudget = UNLIMITED,
        expected_size: int = 0,
    ) -> None:
        self.filename = filename if filename is not None else getattr(upload_file, "filename", None)
        self.content_type = content_type if content_type is not None else getattr(upload_file, "content_type", None)
        self.name = name
        self.size = 0
        self._source = upload_file
        self._max_memory = max_memory
        self._directory = directory
        self._budget = budget
        self._expected_size = expected_size
        self._reserved = 0
        # A SpooledTemporaryFile decides by its own size alone; here the budget decides, too.
        self._file: IO[bytes] = io.BytesIO()

    @classmethod
    def from_bytes(cls, content: bytes, **kwargs: Any) -> "SpooledUploadFile":
        """Return an upload that holds ``content``, rewound."""
        upload = cls(expected_size=len(content), **kwargs)
        upload.write(content)
        upload.seek(0)
        return upload

    async def read_to_spool(self) -> int:
        """Take over the content of ``upload_file``, rewind, and return the size in bytes.

        Writes to disk run on a thread. A second call only rewinds.

        Raises:
            InsufficientStorage: the temporary directory is full.
        """
        if self._source is not None:
            spooled = getattr(self._source, "file", None)
            if spooled is not None and hasattr(spooled, "seek"):
                await anyio.to_thread.run_sync(self._wrap, spooled)
            else:
                await self._copy_source()
            self._source = None
        self.seek(0)
        return self.size

    def _wrap(self, spooled: IO[bytes]) -> None:
        self.close()
        self._file = spooled
        self.size = self.seek(0, io.SEEK_END)

    async def _copy_source(self) -> None:
        while chunk := await self._source.read(CHUNK_SIZE):
            if self.reserve_memory(len(chunk)):
                self.write(chunk)
            else:
                await anyio.to_thread.run_sync(self.write, chunk)

    @property
    def on_disk(self) -> bool:
        """Whether the content is in a temporary file."""
        # A wrapped SpooledTemporaryFile says so itself.
        return not isinstance(self._file, io.BytesIO) and bool(getattr(self._file, "_rolled", True))

    def reserve_memory(self, size: int) -> bool:
        """Reserve memory for the next ``size`` bytes; return False if writing them reaches the disk."""
        if self.on_disk:
            return False
        needed = max(self.size + size, self._expected_size)
        if needed > self._max_memory:
            return False
        if needed > self._reserved:
            wanted = needed if self._expected_size else min(_reservation_for(needed), self._max_memory)
            if not self._budget.reserve(wanted - self._reserved):
                return False
            self._reserved = wanted
        return True

    def write(self, chunk: bytes) -> int:
        """Append ``chunk`` and return its size.

        Raises:
            InsufficientStorage: the temporary directory is full.
        """
        if self.reserve_memory(len(chunk)):
            self._file.write(chunk)
        else:
            with _storage_errors():
                self._rollover()
                self._file.write(chunk)
        self.size += len(chunk)
        return len(chunk)

    def _rollover(self) -> None:
        """Move the content from memory to a temporary file."""
        if isinstance(self._file, io.BytesIO):
            in_memory, self._file = self._file, cast("IO[bytes]", TemporaryFile(dir=self._directory))
            self._file.write(in_memory.getbuffer())
            self._release_memory()

    def _release_memory(self) -> None:
        self._budget.release(self._reserved)
        self._reserved = 0

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readline(self, size: int = -1) -> bytes:
        return self._file.readline(size)

    def readinto(self, buffer: Any) -> int:
        # SpooledTemporaryFile has no readinto before Python 3.11.
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it.

        Raises:
            InsufficientStorage: a seek writes out buffered bytes, and the temporary directory is full.
            OSError: there is no such position.
        """
        if isinstance(self._file, io.BytesIO):
            return self._file.seek(offset, whence)
        try:
            self._file.seek(offset, whence)
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise InsufficientStorage(NO_ROOM) from error
            raise
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        """Return False, which is for readers such as pandas: only the receiver of the body appends."""
        return False

    def seekable(self) -> bool:
        return True

    def flush(self) -> None:
        self._file.flush()

    @property
    def file(self) -> IO[bytes]:
        """The underlying file, for a library that needs a plain one."""
        return self._file

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        """Release memory, file descriptor and disk space; a second call does nothing."""
        try:
            self._file.close()
        except OSError:  # a full disk fails again on buffered bytes, but closes
            pass
        self._release_memory()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def __enter__(self) -> "SpooledUploadFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _reservation_for(size: int) -> int:
    if size <= CHUNK_SIZE:
        return size
    reservation = CHUNK_SIZE
    while reservation < size:
        reservation *= RESERVE_FACTOR
    return reservation


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise InsufficientStorage(NO_ROOM) from error
        # The folder is missing or read-only, or there are no descriptors left: no fault of this request either.
        raise InsufficientStorage(f"The request body could not be stored: {error.strerror or error}.") from error
