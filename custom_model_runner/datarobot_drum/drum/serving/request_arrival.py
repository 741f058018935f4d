"""How much of a request has to arrive before it is worth a thread or a process that handles nothing else meanwhile."""

import re

from datarobot_drum.drum.serving.request_head import MAX_HEAD_BYTES, MAX_LENGTH_DIGITS, may_start_request

MAX_BODY_AHEAD = 64 * 1024
"""Bytes of a body that are waited for; the rest of a larger one is read while the request is handled."""

MAX_CHUNK_SIZE = 2**64 - 1
"""Larger sizes are malformed: no parser counts further."""

_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"(\r\n)?[!$-'*+.^_`|~0-9A-Z-]+ [!-~]+ HTTP/1\.[01]\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r]*)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[^\r\n]*\r\n")


def has_arrived(data: bytes | bytearray, max_body: float = float("inf")) -> bool:
    """Return whether the beginning of a connection is a request to handle: whole, long, or to be rejected.

    Args:
        max_body: length of the longest body that is not rejected.
    """
    head_end = data.find(_END)
    if head_end < 0:
        return len(data) > MAX_HEAD_BYTES or _is_invalid_start(data)
    head, body_start = bytes(data[: head_end + 2]), head_end + len(_END)
    body_size = len(data) - body_start
    if body_size >= MAX_BODY_AHEAD:
        return True
    if _CHUNKED.search(head):
        return _has_last_chunk(data, body_start)
    length = _content_length(head)
    return length is None or body_size >= length or length > max_body


def has_head(data: bytes | bytearray) -> bool:
    """Return whether request line and headers have arrived."""
    return _END in data


def expects_continue(data: bytes | bytearray, max_body: float) -> bool:
    """Return whether a client waits for ``100 Continue`` before it sends a body, of at most ``max_body`` bytes."""
    head = bytes(data[: data.find(_END) + 2])
    return _EXPECT.search(head) is not None and (_content_length(head) or 0) <= max_body


def _is_invalid_start(data: bytes | bytearray) -> bool:
    if data and not may_start_request(bytes(data[:1])):
        return True
    if data.count(b"\n") != data.count(b"\r\n"):
        return True
    return data.find(b"\r\n", 2) > 0 and not _REQUEST_LINE.match(data)


def _content_length(head: bytes) -> int | None:
    """Return the length of the body; None without a valid length, which the handler of the request rejects."""
    found = _CONTENT_LENGTH.search(head)
    text = found[1].strip() if found else b""
    return int(text) if text.isdigit() and len(text) <= MAX_LENGTH_DIGITS else None


def _has_last_chunk(data: bytes | bytearray, position: int) -> bool:
    """Return whether the last chunk is there, or the chunks are malformed."""
    while True:
        size = _CHUNK_SIZE.match(data, position)
        if size is None or int(size[1], 16) > MAX_CHUNK_SIZE:
            return b"\r\n" in data[position:]
        if not int(size[1], 16):
            return data.startswith(b"\r\n", size.end()) or data.find(_END, size.end()) >= 0
        position = size.end() + int(size[1], 16) + 2
        if position > len(data):
            return False
