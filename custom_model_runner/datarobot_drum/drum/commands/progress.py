"""What a command is doing, on a line of the terminal that the next one replaces; nothing where there is none."""

import sys
from types import TracebackType

_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """The line, which is gone when the context ends."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        self._write(f"{_CLEAR_LINE}{text}")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        if self._is_shown:
            sys.stderr.write(text)
            sys.stderr.flush()
