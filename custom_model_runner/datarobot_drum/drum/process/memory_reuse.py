"""What becomes of the memory that a request has used."""

import ctypes
import sys

from datarobot_drum.drum.settings.build import has_malloc_settings

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
"""Parameters of glibc's ``mallopt``, as ``malloc.h`` numbers them."""

MAPPED_BYTES = 4 * 1024 * 1024
KEPT_BYTES = 4 * MAPPED_BYTES


def keep_freed_memory() -> None:
    """Let a thread keep up to ``KEPT_BYTES`` for its next request; what is larger than ``MAPPED_BYTES`` is given back.

    Otherwise glibc gives back a few MB between any two steps of a request, only to get them again from the kernel,
    which has to clear them: a quarter of the processor time of 10,000 rows of csv. Another malloc, or one that the
    operator has set up by its environment variables, is left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None and not has_malloc_settings():
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
