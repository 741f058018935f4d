"""The short way for what most bodies are: small, plain, and there in one piece with their headers.

What it takes, ``BodyReader`` would take as well, with the same result; for everything else it steps aside.
"""

from collections.abc import Mapping

from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.body.reader import BodyLimits, RequestBody
from datarobot_drum.drum.serving.body.spooled_file import CHUNK_SIZE, SpooledUploadFile
from datarobot_drum.drum.serving.messages import MediaType

_DIGITS = len(str(CHUNK_SIZE))


def small_body_length(headers: Mapping[str, str], limits: BodyLimits, form_fields: frozenset[str]) -> int:
    """What Content-Length says of a body that may go the short way; 0 for every other request."""
    text = headers.get("Content-Length", "")
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        return 0
    if "Transfer-Encoding" in headers or "Content-Encoding" in headers:
        return 0
    if form_fields and MediaType.parse(headers.get("Content-Type")).essence == "multipart/form-data":
        return 0
    length = int(text)
    return length if length <= min(CHUNK_SIZE, limits.spool_size, limits.max_size or CHUNK_SIZE) else 0


def small_body(content: bytes, media_type: MediaType, budget: MemoryBudget) -> RequestBody | None:
    """The body that came as ``content``; None if there is no memory left for it."""
    if not budget.reserve(len(content)):
        return None
    return RequestBody(SpooledUploadFile.holding(content, media_type.essence or None, budget))
