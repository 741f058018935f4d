"""Masking of credentials in everything that is printed during training, including by libraries and child processes."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from datarobot_drum.runtime_parameters import mask_secrets

_STDOUT, _STDERR = 1, 2
_CHUNK = 65536
_JOIN_SECONDS = 2.0
_ENDS = (b"\n", b"\r")


@contextmanager
def masked_output() -> Iterator[None]:
    """Pass standard output and standard error through a pipe that masks credentials line by line."""
    with _masked(_STDOUT), _masked(_STDERR):
        yield


@contextmanager
def _masked(descriptor: int) -> Iterator[None]:
    _flush()
    original = os.dup(descriptor)
    read_end, write_end = os.pipe()
    os.dup2(write_end, descriptor)
    os.close(write_end)
    pump = threading.Thread(target=_pump, args=(read_end, original), daemon=True)
    pump.start()
    try:
        yield
    finally:
        _flush()
        os.dup2(original, descriptor)
        pump.join(_JOIN_SECONDS)  # A child process may keep the pipe open and stays masked.


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed by the model or by the reader
            stream.flush()


def _pump(read_end: int, original: int) -> None:
    """Copy whole lines from ``read_end`` to ``original`` until all writers have closed the pipe; close both."""
    rest = b""
    try:
        while chunk := os.read(read_end, _CHUNK):
            rest += chunk
            end = max(rest.rfind(mark) for mark in _ENDS) + 1
            _write(original, rest[:end])
            rest = rest[end:]
        _write(original, rest)
    finally:
        os.close(read_end)
        os.close(original)


def _write(descriptor: int, data: bytes) -> None:
    text = mask_secrets(data.decode("utf-8", "surrogateescape"))
    left = text.encode("utf-8", "surrogateescape")
    with suppress(OSError):  # the reader has closed it; training continues
        while left:
            left = left[os.write(descriptor, left) :]
