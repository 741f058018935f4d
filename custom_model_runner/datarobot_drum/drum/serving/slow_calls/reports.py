"""Reports of slow predictions in memory that all processes of a server share.

Each worker has slots of its own and overwrites the oldest one. A report stays when its worker is killed, so it shows
what the worker did then. A checksum tells a reader that a slot is being written.
"""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias
from zlib import crc32

SHOWN = 20
"""The reports that a reader gets, and those that each worker keeps."""

SLOT_BYTES = 8192
BYTES = SHOWN * SLOT_BYTES
"""The memory of one worker."""

RUNNING, FINISHED, FAILED, WORKER_ENDED = "running", "finished", "failed", "worker ended"

_HEADER = struct.Struct("=dII")
"""Time of the report, length and checksum of its text."""
_CONTENT_BYTES = SLOT_BYTES - _HEADER.size

Memory: TypeAlias = "memoryview[int]"


def new_memory() -> Memory:
    """Return memory that no other process sees."""
    return memoryview(bytearray(BYTES))


_of_process: Memory | None = None


def share_reports(memory: Memory) -> None:
    """Let the servers that this process creates from now on report into memory that other processes read."""
    global _of_process
    _of_process = memory


def reports_of_process() -> Memory:
    """Return the shared memory of this process; without any, new memory."""
    return new_memory() if _of_process is None else _of_process


class ReportWriter:
    """Writes the reports of one worker. Several threads may use it."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._owners: dict[int, object] = {}

    def write(self, owner: object, document: dict[str, Any]) -> None:
        """Write a report in place of the owner's former one, or of the oldest one."""
        content = _encode(document)
        with self._lock:
            slot = next((slot for slot, other in self._owners.items() if other is owner), None)
            if slot is None:
                slot = min(range(SHOWN), key=lambda number: _time(self._memory, number))
                self._owners[slot] = owner
            begin = slot * SLOT_BYTES
            header = _HEADER.pack(time.time(), len(content), crc32(content))
            self._memory[begin : begin + _HEADER.size] = bytes(_HEADER.size)
            self._memory[begin + _HEADER.size : begin + _HEADER.size + len(content)] = content
            self._memory[begin : begin + _HEADER.size] = header

    def release(self, owner: object) -> None:
        """Forget an owner that writes no more; its report stays."""
        with self._lock:
            self._owners = {slot: other for slot, other in self._owners.items() if other is not owner}


def read_reports(workers: Iterable[tuple[Memory, int | None]]) -> list[dict[str, Any]]:
    """Return the last reports of a server, the newest first.

    Args:
        workers: the memory of each worker, and its process id; None if the worker has ended.
    """
    found = sorted(
        ((time_of_report, pid, content) for memory, pid in workers for time_of_report, content in _contents(memory)),
        key=lambda report: report[0],
        reverse=True,
    )
    return [_to_report(content, pid) for _, pid, content in found[:SHOWN]]


def _contents(memory: Memory) -> Iterator[tuple[float, bytes]]:
    for slot in range(SHOWN):
        begin = slot * SLOT_BYTES
        time_of_report, length, checksum = _HEADER.unpack_from(memory, begin)
        content = bytes(memory[begin + _HEADER.size : begin + _HEADER.size + min(length, _CONTENT_BYTES)])
        if content and crc32(content) == checksum:
            yield time_of_report, content


def _to_report(content: bytes, pid: int | None) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(content)
    if report["state"] == RUNNING and report["pid"] != pid:
        report["state"] = WORKER_ENDED
    return report


def _time(memory: Memory, slot: int) -> float:
    written: float = _HEADER.unpack_from(memory, slot * SLOT_BYTES)[0]
    return written


def _encode(document: dict[str, Any]) -> bytes:
    """Return the text of a report; where it is too long, without the outer frames of its stacks."""
    while True:
        content = json.dumps(document, separators=(",", ":")).encode()
        longest: list[Any] = max((sample["stack"] for sample in document["samples"]), key=len, default=[])
        if len(content) <= _CONTENT_BYTES or not longest:
            return content[:_CONTENT_BYTES]
        del longest[: len(longest) // 2 + 1]
