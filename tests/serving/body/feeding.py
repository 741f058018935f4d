"""Feeds bodies to a ``BodyReader``, and builds them."""

import gc
import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.memory_budget import UNLIMITED as ANY_MEMORY
from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.body.reader import BodyReader, RequestBody
from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE, SpooledUploadFile
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.settings.limits import UNLIMITED

BOUNDARY = "simple-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
WANTED = frozenset({"X", "y"})

Fields = dict[str, str]


def body_limits(
    *, max_size: int = 0, spool_size: int = SPOOL_MAX_SIZE, budget: MemoryBudget = ANY_MEMORY, **input_limits: int
) -> BodyLimits:
    """Return limits of a body, some of them of its content."""
    return BodyLimits(max_size=max_size, spool_size=spool_size, budget=budget, input=replace(UNLIMITED, **input_limits))


@st.composite
def chunkings(draw: st.DrawFn, content: bytes) -> list[bytes]:
    """Draw a split of ``content`` into chunks, empty ones included."""
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    return [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]


def receive(
    chunks: Iterable[bytes],
    fields: Fields | None = None,
    limits: BodyLimits | None = None,
    wanted: frozenset[str] = frozenset(),
) -> RequestBody:
    """Read a body as an adapter does; on an error, close the reader."""
    reader = BodyReader(Headers((fields or {}).items()), limits or BodyLimits(), wanted)
    try:
        for chunk in chunks:
            reader.reserve_memory(len(chunk))
            reader.feed(chunk)
        return reader.finish()
    except BaseException:
        reader.close()
        raise


def receive_raw(chunks: Iterable[bytes], fields: Fields | None = None, limits: BodyLimits | None = None) -> bytes:
    body = receive(chunks, fields, limits)
    assert body.raw is not None and not body.parts
    with body.raw:
        content = body.raw.read()
        assert len(content) == body.raw.size
        return content


Part = tuple[str | None, str | None, str | None, bytes]


def receive_form(
    chunks: Iterable[bytes], content_type: str = FORM, limits: BodyLimits | None = None, wanted: frozenset[str] = WANTED
) -> list[Part]:
    body = receive(chunks, {"Content-Type": content_type}, limits, wanted)
    assert body.raw is None
    parts = [(part.name, part.filename, part.content_type, part.read()) for part in body.parts]
    body.close()
    return parts


def outcome(chunks: Iterable[bytes], fields: Fields, limits: BodyLimits, wanted: frozenset[str]) -> object:
    """Return the content, or the status of the error."""
    try:
        body = receive(chunks, fields, limits, wanted)
    except RequestError as error:
        return error.status
    uploads = [*body.parts] if body.raw is None else [body.raw]
    content = [(upload.name, upload.filename, upload.read()) for upload in uploads]
    body.close()
    return content


def form(*parts: tuple[str, bytes], boundary: str = BOUNDARY) -> bytes:
    """Encode a form from the headers and the content of each part."""
    body = b"".join(f"--{boundary}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n" for headers, content in parts)
    return body + f"--{boundary}--\r\n".encode()


def disposition(name: str, filename: str | None = None) -> str:
    text = f'Content-Disposition: form-data; name="{name}"'
    return text if filename is None else f'{text}; filename="{filename}"'


def zipped(*members: bytes) -> bytes:
    return b"".join(gzip.compress(member) for member in members)


def is_open(upload: SpooledUploadFile | None) -> bool:
    return upload is not None and not upload.closed


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Check that the block closes its descriptors without the garbage collector."""
    gc.collect()
    gc.disable()
    before = set(os.listdir("/proc/self/fd"))
    try:
        yield
        assert len(os.listdir("/proc/self/fd")) == len(before)
    finally:
        gc.enable()
