"""The unread samples of a structured request."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits


class PayloadFormat(str, Enum):
    """The input formats of ``/predict/``."""

    CSV = "csv"
    MTX = "mtx"
    JSON = "json"
    JSON_LINES = "jsonlines"
    ARROW = "arrow"
    PARQUET = "parquet"


ARROW_FORMATS = frozenset({PayloadFormat.ARROW, PayloadFormat.PARQUET})
"""The formats that PyArrow reads."""

TYPED_FORMATS = ARROW_FORMATS | {PayloadFormat.JSON, PayloadFormat.JSON_LINES}
"""The formats whose cells have types of their own."""


class BinaryFile(Protocol):
    """The file methods that readers use; ``BytesIO``, spooled temporary files and uploads have them."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class StructuredPayload:
    """The samples of one request.

    The caller closes ``file``; every reader rewinds it first. ``charset`` is as the client sent it. ``limits`` are
    those of the table.
    """

    file: BinaryFile
    format: PayloadFormat
    charset: str = "utf-8"
    limits: InputLimits = UNLIMITED
    media_type: str = ""
    """As the client sent it, in lower case without parameters; for error messages."""
    has_header: bool | None = None
    """True if the first line of a csv is a header, False if it is not; None if the client does not say."""

    def read_bytes(self) -> bytes:
        """Read the whole payload, for a hook that parses bytes."""
        self.file.seek(0)
        return self.file.read()
