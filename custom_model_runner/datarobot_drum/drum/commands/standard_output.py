"""Standard output reserved for the result of a command; output of model code goes to standard error."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

_STDOUT, _STDERR = 1, 2


@contextmanager
def reserve_stdout() -> Iterator[BinaryIO]:
    """Yield the standard output; anything else written to it meanwhile, even by C code, goes to standard error."""
    sys.stdout.flush()
    own: BinaryIO = os.fdopen(os.dup(_STDOUT), "wb")
    os.dup2(_STDERR, _STDOUT)
    try:
        yield own
    finally:
        sys.stdout.flush()
        os.dup2(own.fileno(), _STDOUT)
        with suppress(BrokenPipeError):  # raised already by the first failing write
            own.close()
