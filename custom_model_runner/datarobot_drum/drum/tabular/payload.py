"""What a structured request carries, before anyone has read it."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class PayloadFormat(str, Enum):
    """The formats of ``/predict/`` (model-contract.md section 3)."""

    CSV = "csv"
    MTX = "mtx"


class BinaryFile(Protocol):
    """What a reader needs of a file: ``BytesIO``, a spooled temporary file and an upload all fit."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class StructuredPayload:
    """The samples of one request.

    ``file`` belongs to the caller, who closes it; every reader rewinds it first. ``charset`` is as the client sent it.
    """

    file: BinaryFile
    format: PayloadFormat
    charset: str = "utf-8"

    def read_bytes(self) -> bytes:
        """All of the payload, for a hook that reads bytes."""
        self.file.seek(0)
        return self.file.read()
