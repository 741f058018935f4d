"""The id of the request of the current context."""

import os
import random
import re
from contextvars import ContextVar

REQUEST_ID_HEADER = "X-Request-ID"

# Not os.urandom: that call releases the GIL once per request. An id is not a secret; it must only be unique, also in
# forked workers and whatever seed a model sets.
_ids = random.Random()
os.register_at_fork(after_in_child=_ids.seed)

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,128}")

request_id: ContextVar[str] = ContextVar("request_id", default="")


def accept_request_id(value: str | None) -> str:
    """Return the client's id if it is 1 to 128 visible ASCII characters, else a new one."""
    if not value:
        return _new_id()
    # Some servers do not strip the blanks around a header value (RFC 9110, 5.5).
    identifier = value.strip(" \t")
    return identifier if _VISIBLE_ASCII.fullmatch(identifier) else _new_id()


def _new_id() -> str:
    """Return a version 4 UUID (RFC 9562)."""
    digits = f"{_ids.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
