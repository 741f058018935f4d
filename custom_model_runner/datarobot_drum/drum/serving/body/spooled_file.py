"""A body or a part of one: in memory while it is small, in a temporary file when it is not."""

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
"""Bytes that one upload may hold in memory."""

CHUNK_SIZE = 64 * 1024
"""Bytes read at a time."""

_STEP = 4
"""A body of unknown size reserves up to so many times what it has. So of many that grow side by side some stay in
memory, and the others leave it early."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SpooledUploadFile:
    """A readable, seekable binary file that received one body or one form part.

    Up to ``max_size`` bytes stay in memory, fewer when ``budget`` is used up by others; beyond that the content rolls
    over to a temporary file that has no name and goes away with its descriptor.

    Args:
        source: an upload of a web framework (anything with ``read``); when it carries a ``file`` that is already
            spooled, that file is wrapped, not copied.
        filename: the file name that the client sent, if any.
        content_type: the media type that the client sent, if any.
        expected: bytes that are to come, if that is known. There is room for all of them or it goes to disk at once:
            many that grow side by side would all fill the memory that is there, and then all have to leave it.
    """

    mode = "rb"
    """Tells pandas that this is no text, so it decodes what it reads."""

    def __init__(
        self,
        source: Any = None,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        name: str | None = None,
        max_size: int = SPOOL_MAX_SIZE,
        directory: str | None = None,
        budget: MemoryBudget = UNLIMITED,
        expected: int = 0,
    ) -> None:
        self.filename = filename if filename is not None else getattr(source, "filename", None)
        self.content_type = content_type if content_type is not None else getattr(source, "content_type", None)
        self.name = name
        self._source = source
        self._max_size = max_size
        self._budget = budget
        self._reserved = 0
        self._expected = expected
        self._spooled = source is None
        self._directory = directory
        # Not a SpooledTemporaryFile: that rolls over by its own count, and the budget has a say, too.
        self._file: IO[bytes] = io.BytesIO()
        self.size = 0

    @classmethod
    def from_bytes(cls, content: bytes, **kwargs: Any) -> "SpooledUploadFile":
        """An upload that holds ``content``, rewound."""
        upload = cls(expected=len(content), **kwargs)
        upload.write(content)
        upload.seek(0)
        return upload

    @classmethod
    def holding(cls, content: bytes, content_type: str | None, budget: MemoryBudget) -> "SpooledUploadFile":
        """An upload that is ``content``, not a copy of it, for which ``budget`` has been asked already."""
        upload = cls(content_type=content_type, budget=budget)
        upload._file = io.BytesIO(content)
        upload.size = upload._reserved = len(content)
        return upload

    async def read_to_spool(self) -> "SpooledUploadFile":
        """Take over the content of ``source``; afterwards the upload is rewound. Disk is written off the event loop.

        Raises:
            InsufficientStorage: the temporary directory is full.
        """
        if not self._spooled:
            inner = getattr(self._source, "file", None)
            if inner is not None and hasattr(inner, "seek"):
                await anyio.to_thread.run_sync(self._adopt, inner)
            else:
                await self._copy_source()
            self._spooled = True
        self.seek(0)
        return self

    def _adopt(self, inner: IO[bytes]) -> None:
        self.close()
        self._file = inner
        self.size = self.seek(0, io.SEEK_END)

    async def _copy_source(self) -> None:
        while chunk := await self._source.read(CHUNK_SIZE):
            if self.try_reserve_memory(len(chunk)):
                await anyio.to_thread.run_sync(self.write, chunk)
            else:
                self.write(chunk)

    @property
    def on_disk(self) -> bool:
        """Whether the content has left memory."""
        return not isinstance(self._file, io.BytesIO) and bool(getattr(self._file, "_rolled", True))  # an adopted one

    def try_reserve_memory(self, more: int) -> bool:
        """Whether writing ``more`` bytes reaches the disk, so must not happen on an event loop.

        If not, memory for them is reserved, so the answer holds until they are written.
        """
        if self.on_disk:
            return True
        needed = max(self.size + more, self._expected)
        if needed > self._max_size:
            return True
        if needed > self._reserved:
            wanted = needed if self._expected else min(_ahead_of(needed), self._max_size)
            if not self._budget.reserve(wanted - self._reserved):
                return True
            self._reserved = wanted
        return False

    def write(self, chunk: bytes) -> int:
        """Append ``chunk``.

        Raises:
            InsufficientStorage: the temporary directory is full.
        """
        if self.try_reserve_memory(len(chunk)):
            with _storage_errors():
                self._rollover()
                self._file.write(chunk)
            self._budget.passed += len(chunk)
        else:
            self._file.write(chunk)
        self.size += len(chunk)
        return len(chunk)

    def _rollover(self) -> None:
        """Move what is in memory to a temporary file."""
        if isinstance(self._file, io.BytesIO):
            held, self._file = self._file, cast("IO[bytes]", TemporaryFile(dir=self._directory))
            self._file.write(held.getbuffer())
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
        if isinstance(self._file, io.BytesIO):
            return self._file.seek(offset, whence)
        with _storage_errors():  # a seek writes out what is buffered
            self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def flush(self) -> None:
        self._file.flush()

    @property
    def file(self) -> IO[bytes]:
        """The file itself, for a library that wants a plain one."""
        return self._file

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        """Give back memory, descriptor and disk; closing twice is allowed."""
        try:
            self._file.close()
        except OSError:  # a full disk fails again over what is still buffered, but closes
            pass
        self._release_memory()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def __enter__(self) -> "SpooledUploadFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _ahead_of(size: int) -> int:
    ahead = CHUNK_SIZE
    while ahead < size:
        ahead *= _STEP
    return ahead if size > CHUNK_SIZE else size


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise InsufficientStorage("No room left to store the request body. Please retry later.") from error
        # The folder is gone or read-only, or there are no more descriptors: no fault of this request either.
        raise InsufficientStorage(f"The request body could not be stored: {error.strerror or error}.") from error
