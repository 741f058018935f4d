"""Standard output kept for what a command answers: what model code prints meanwhile goes to standard error."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

_STDOUT, _STDERR = 1, 2


@contextmanager
def reserve_stdout() -> Iterator[BinaryIO]:
    """The standard output of the process, which nobody else writes to within, not even code written in C."""
    sys.stdout.flush()
    own: BinaryIO = os.fdopen(os.dup(_STDOUT), "wb")
    os.dup2(_STDERR, _STDOUT)
    try:
        yield own
    finally:
        sys.stdout.flush()
        os.dup2(own.fileno(), _STDOUT)
        with suppress(BrokenPipeError):  # told already, by the write that met it first
            own.close()
