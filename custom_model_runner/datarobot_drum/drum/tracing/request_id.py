"""The id of the request that the current context belongs to."""

import os
import random
import re
from contextvars import ContextVar

REQUEST_ID_HEADER = "X-Request-ID"

# Not the system's randomness: that call gives the interpreter away, once a request. An id is no secret, it only has to
# be one of a kind, in forked workers too, and whatever seed a model sets for itself.
_ids = random.Random()
os.register_at_fork(after_in_child=_ids.seed)

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,128}")

request_id: ContextVar[str] = ContextVar("request_id", default="")


def accept_request_id(value: str | None) -> str:
    """The id that the client sent if it is at most 128 visible ASCII characters, else a new one (http-api.md H6)."""
    if not value:
        return _new_id()
    # Some servers leave the blanks around a header's value to the application (RFC 9110, 5.5).
    identifier = value.strip(" \t")
    return identifier if _VISIBLE_ASCII.fullmatch(identifier) else _new_id()


def _new_id() -> str:
    """A version 4 UUID (RFC 9562)."""
    digits = f"{_ids.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
