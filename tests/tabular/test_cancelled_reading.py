"""Reading of large tables ends at the next block once no client waits for the result."""

from collections.abc import Iterator
from contextvars import copy_context
from io import BytesIO
from typing import Any

import pytest

import datarobot_drum
from datarobot_drum.drum.cancellation import Cancellation, enter_request
from datarobot_drum.drum.exceptions import RequestCancelled
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_blocks, read_table
from tests.cases import each_case

NUMBERS = b"a,b\n" + b"1,2.5\n" * 2_000_000
TEXT = b"a,b\n" + b"1,x\n" * 1_000_000


class LeavingClient(BytesIO):
    """A body whose client disconnects when ``bytes_read`` passes ``leaves_after``."""

    def __init__(self, content: bytes, leaves_after: int, cancellation: Cancellation) -> None:
        super().__init__(content)
        self.bytes_read = 0
        self._leaves_after = leaves_after
        self._cancellation = cancellation

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        if self.bytes_read > self._leaves_after:
            self._cancellation.set()
        return data


def in_request(cancellation: Cancellation, work: Any, *arguments: Any) -> Any:
    context = copy_context()
    context.run(enter_request, cancellation)
    return context.run(work, *arguments)


@each_case(
    ("content", "limit"),
    [(NUMBERS, 1_000_000), (NUMBERS, len(NUMBERS) + 3_000_000), (TEXT, 1_000_000)],
    ids=["count of rows", "numbers", "text"],
)
def test_table_is_not_read_to_its_end_once_the_client_has_left(content: bytes, limit: int) -> None:
    cancellation = Cancellation()
    file = LeavingClient(content, limit, cancellation)
    with pytest.raises(RequestCancelled):
        in_request(cancellation, read_table, StructuredPayload(file, PayloadFormat.CSV))
    assert file.bytes_read < limit + 3_000_000


def test_blocks_end_after_the_one_during_which_the_client_left() -> None:
    cancellation = Cancellation()
    blocks: Iterator[Any] = read_blocks(StructuredPayload(BytesIO(TEXT), PayloadFormat.CSV), 1000)
    assert len(in_request(cancellation, next, blocks)) == 1000
    cancellation.set()
    with pytest.raises(RequestCancelled):
        in_request(cancellation, next, blocks)


def test_client_is_asked_in_every_context_of_its_request_only() -> None:
    cancellation = Cancellation()
    cancellation.has_disconnected = lambda: True
    assert in_request(cancellation, datarobot_drum.cancelled) is True
    assert datarobot_drum.cancelled() is False
    assert len(read_table(StructuredPayload(BytesIO(b"a\n1\n"), PayloadFormat.CSV))) == 1
