"""A progress bar on standard error, if that is a terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from datarobot_drum.drum.imports import import_from_string

OnProgress = Callable[[str, float], None]

_DEFAULT_SIZE = (80, 24)
"""For a terminal of unknown size, as in a container: tqdm would show nothing."""

_BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


class _Bar:
    """One bar per step: a new name closes the previous bar."""

    def __init__(self) -> None:
        self._tqdm: Any = import_from_string("tqdm:tqdm")
        self._bar: Any = None
        size = os.get_terminal_size(sys.stderr.fileno())
        usual = zip(("ncols", "nrows"), size, _DEFAULT_SIZE, strict=True)
        self._size = {name: length or default for name, length, default in usual}

    def __call__(self, step: str, fraction: float) -> None:
        if self._bar is None or self._bar.desc != step:
            self.close()
            self._bar = self._tqdm(
                desc=step, total=1.0, bar_format=_BAR_FORMAT, file=sys.stderr, leave=False, **self._size
            )
        self._bar.update(fraction - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """Yield a callback that takes the name of a step and its fraction done; no effect without a terminal."""
    if not sys.stderr.isatty():
        yield lambda step, fraction: None
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.close()
