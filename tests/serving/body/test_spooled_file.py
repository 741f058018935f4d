import csv
import io
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers as StarletteHeaders
from starlette.datastructures import UploadFile

from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE, SpooledUploadFile
from tests.cases import each_case
from tests.serving.body.feeding import no_descriptor_left

TABLE = b"name,size\nJos\xe9,1\nZo\xeb,2\n"


class Source:
    """Anything with an asynchronous ``read``, and nothing else. Read number ``fails_at`` fails."""

    def __init__(self, content: bytes, fails_at: int = 0) -> None:
        self._file = io.BytesIO(content)
        self._reads_to_failure = fails_at

    async def read(self, size: int = -1) -> bytes:
        self._reads_to_failure -= 1
        if self._reads_to_failure == 0:
            raise ConnectionError("gone")
        return self._file.read(size)


def framework_upload(content: bytes, max_size: int = 0) -> UploadFile:
    """As a form parser leaves it: spooled, at its end."""
    file = tempfile.SpooledTemporaryFile(max_size=max_size)
    file.write(content)
    return UploadFile(
        file,  # type: ignore[arg-type]
        filename="samples.csv",
        headers=StarletteHeaders({"content-type": "text/csv"}),
    )


# Sources


async def test_spooled_file_of_framework_is_wrapped_not_copied() -> None:
    source = framework_upload(TABLE)
    upload = SpooledUploadFile(source)
    assert await upload.read_to_spool() == len(TABLE)
    assert upload.file is source.file
    assert (upload.filename, upload.content_type, upload.size) == ("samples.csv", "text/csv", len(TABLE))
    assert upload.read() == TABLE
    upload.close()
    assert source.file.closed


@each_case("max_size", [1, 1000], ids=["disk", "memory"])
async def test_wrapped_upload_reports_whether_it_is_on_disk(max_size: int) -> None:
    with SpooledUploadFile(framework_upload(TABLE, max_size)) as upload:
        await upload.read_to_spool()
        assert upload.on_disk == (max_size == 1)
        assert upload.size == len(TABLE)


async def test_wrapped_bytesio_is_in_memory() -> None:
    with SpooledUploadFile(UploadFile(io.BytesIO(TABLE))) as upload:
        await upload.read_to_spool()
        assert (upload.on_disk, upload.size, upload.filename) == (False, len(TABLE), None)


@each_case("max_memory", [10, 1000], ids=["disk", "memory"])
async def test_source_with_async_read_is_copied(max_memory: int) -> None:
    with SpooledUploadFile(Source(TABLE), max_memory, filename="a.csv", content_type="text/csv") as upload:
        assert await upload.read_to_spool() == len(TABLE)
        assert (upload.read(), upload.size, upload.on_disk) == (TABLE, len(TABLE), max_memory == 10)
        assert (upload.filename, upload.content_type) == ("a.csv", "text/csv")


async def test_large_source_is_copied_to_disk() -> None:
    content = bytes(range(256)) * (SPOOL_MAX_SIZE // 256) + b"x"
    with SpooledUploadFile(Source(content)) as upload:
        assert await upload.read_to_spool() == len(content)
        assert upload.on_disk
        assert upload.read() == content


async def test_second_read_to_spool_only_rewinds() -> None:
    with SpooledUploadFile(Source(TABLE)) as upload:
        await upload.read_to_spool()
        upload.read()
        assert await upload.read_to_spool() == upload.size == len(TABLE)
        assert upload.read() == TABLE


async def test_read_to_spool_continues_after_failed_read() -> None:
    with SpooledUploadFile(Source(bytes(100_000), fails_at=2)) as upload:
        with pytest.raises(ConnectionError):
            await upload.read_to_spool()
        assert await upload.read_to_spool() == 100_000


async def test_arguments_override_attributes_of_upload_file() -> None:
    with SpooledUploadFile(framework_upload(b""), filename="b.mtx", content_type="text/mtx") as upload:
        await upload.read_to_spool()
        assert (upload.filename, upload.content_type) == ("b.mtx", "text/mtx")


def test_from_bytes_returns_rewound_upload() -> None:
    with SpooledUploadFile.from_bytes(TABLE, filename="a.csv", name="X") as upload:
        assert (upload.name, upload.filename, upload.size, upload.read()) == ("X", "a.csv", len(TABLE), TABLE)


# File interface


@pytest.fixture(params=[0, 1000], ids=["disk", "memory"])
def upload(request: pytest.FixtureRequest) -> Iterator[SpooledUploadFile]:
    with SpooledUploadFile.from_bytes(TABLE, max_memory=request.param) as upload:
        assert upload.on_disk == (request.param == 0)
        yield upload


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(-1, 70), st.integers(0, 60))
def test_upload_reads_like_bytesio(content: bytes, spool_size: int, size: int, position: int) -> None:
    plain = io.BytesIO(content)
    with SpooledUploadFile.from_bytes(content, max_memory=spool_size) as upload:
        for file in (plain, upload):
            assert file.seek(position) == position
        assert upload.read(size) == plain.read(size)
        assert upload.tell() == plain.tell()
        assert upload.readline() == plain.readline()
        assert upload.seek(0, io.SEEK_END) == plain.seek(0, io.SEEK_END)
        assert upload.seek(-len(content), io.SEEK_CUR) == plain.seek(0)
        buffers = bytearray(7), bytearray(7)
        assert upload.readinto(buffers[0]) == plain.readinto(buffers[1])
        assert buffers[0] == buffers[1]
        upload.seek(0)
        assert list(upload) == content.splitlines(keepends=True) or b"\r" in content


def test_upload_is_readable_seekable_and_not_writable(upload: SpooledUploadFile) -> None:
    assert (upload.readable(), upload.seekable(), upload.writable(), upload.mode) == (True, True, False, "rb")
    assert not upload.closed
    upload.flush()


def test_upload_iterates_over_lines(upload: SpooledUploadFile) -> None:
    assert list(upload) == TABLE.splitlines(keepends=True)


def test_upload_works_below_text_io_wrapper(upload: SpooledUploadFile) -> None:
    text = io.TextIOWrapper(cast("IO[bytes]", upload), encoding="latin-1")
    assert list(csv.reader(text)) == [["name", "size"], ["José", "1"], ["Zoë", "2"]]
    text.detach()
    assert not upload.closed
    upload.seek(0)
    text = io.TextIOWrapper(cast("IO[bytes]", upload), encoding="latin-1")
    text.close()
    assert upload.closed


@pytest.mark.parametrize("engine", ["c", "python"])
def test_pandas_reads_upload_in_any_charset(upload: SpooledUploadFile, engine: str) -> None:
    frame = pd.read_csv(upload, encoding="latin-1", engine=engine)
    assert frame.to_dict("list") == {"name": ["José", "Zoë"], "size": [1, 2]}
    assert not upload.closed
    upload.seek(0)
    assert len(pd.read_csv(upload, encoding="latin-1", chunksize=1).read()) == 2


def test_pandas_reads_binary_format_from_upload() -> None:
    frame, content = pd.DataFrame({"a": [1, 2]}), io.BytesIO()
    frame.to_pickle(content)
    with SpooledUploadFile.from_bytes(content.getvalue(), max_memory=1) as upload:
        pd.testing.assert_frame_equal(pd.read_pickle(upload), frame)


def test_with_block_closes_upload_and_second_close_does_nothing() -> None:
    with no_descriptor_left():
        with SpooledUploadFile.from_bytes(TABLE, max_memory=1) as upload:
            assert upload.on_disk
        upload.close()
        assert upload.closed
        with pytest.raises(ValueError, match="closed"):
            upload.read()


def test_temporary_file_is_unnamed_and_in_the_given_directory(tmp_path: Path) -> None:
    with SpooledUploadFile.from_bytes(TABLE, max_memory=1, directory=str(tmp_path)) as upload:
        assert list(tmp_path.iterdir()) == []
        descriptor = upload.file.fileno()
        assert Path(f"/proc/self/fd/{descriptor}").readlink().parent == tmp_path
        assert upload.read() == TABLE


# Memory


def test_upload_beyond_budget_goes_to_disk() -> None:
    budget = MemoryBudget(100)
    first = SpooledUploadFile.from_bytes(bytes(60), budget=budget)
    second = SpooledUploadFile.from_bytes(bytes(41), budget=budget)
    third = SpooledUploadFile.from_bytes(bytes(40), budget=budget)
    assert [upload.on_disk for upload in (first, second, third)] == [False, True, False]
    assert budget.used == 100
    for upload in (first, second, third, first):
        upload.close()
    assert budget.used == 0


@pytest.mark.parametrize("max_memory", [1, 100], ids=["disk", "memory"])
def test_a_file_that_is_no_archive_is_recognized_as_such(max_memory: int) -> None:
    with SpooledUploadFile(max_memory=max_memory) as upload:
        upload.write(b"a,b\n1,2\n")
        assert not zipfile.is_zipfile(upload)


def test_rollover_releases_memory() -> None:
    budget = MemoryBudget(100)
    with SpooledUploadFile(max_memory=50, budget=budget) as upload:
        upload.write(bytes(50))
        assert (budget.used, upload.on_disk) == (50, False)
        upload.write(b"x")
        assert budget.used == 0
    assert budget.used == 0


def test_upload_of_known_size_is_in_memory_completely_or_not_at_all() -> None:
    budget = MemoryBudget(100)
    with (
        SpooledUploadFile(budget=budget, expected_size=60) as first,
        SpooledUploadFile(budget=budget, expected_size=60) as second,
        SpooledUploadFile(budget=budget, max_memory=30, expected_size=31) as third,
    ):
        for upload in (first, second, third):
            upload.write(b"x")
        assert [upload.on_disk for upload in (first, second, third)] == [False, True, True]
        assert budget.used == 60
        first.write(bytes(100))  # more than expected
        assert (first.on_disk, first.size) == (True, 101)
        assert budget.used == 0


def test_most_of_many_growing_uploads_go_to_disk_early() -> None:
    budget = MemoryBudget(4 * 2**20)
    uploads = [SpooledUploadFile(budget=budget) for _ in range(40)]
    for _ in range(8):
        for upload in uploads:
            upload.write(bytes(64 * 1024))
    assert 0 < sum(not upload.on_disk for upload in uploads) <= 4
    for upload in uploads:
        upload.close()
    assert budget.used == 0


def test_repeated_reservation_reserves_once() -> None:
    budget = MemoryBudget(100)
    with SpooledUploadFile(budget=budget) as upload:
        assert all(upload.reserve_memory(size) for size in (30, 30, 20))
        upload.write(bytes(30))
        assert budget.used == 30
    assert budget.used == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=20), st.integers(0, 100))
def test_memory_in_use_stays_within_budget_and_is_released(steps: list[tuple[int, int]], limit: int) -> None:
    budget = MemoryBudget(limit)
    uploads = [SpooledUploadFile(max_memory=50, budget=budget) for _ in range(4)]
    for number, size in steps:
        uploads[number].write(bytes(size))
        in_memory = sum(upload.size for upload in uploads if not upload.on_disk)
        assert in_memory == budget.used
        assert not limit or in_memory <= limit
    for upload in uploads:
        upload.close()
    assert budget.used == 0


# A full disk


FULL_DISK = """
    import asyncio, os, resource, signal, sys
    from datarobot_drum.drum.exceptions import InsufficientStorage
    from datarobot_drum.drum.serving.body.limits import BodyLimits
    from datarobot_drum.drum.serving.body.reader import BodyReader
    from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
    from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile

    # Limit the size of every file: writing beyond it fails as on a full disk (EFBIG in place of ENOSPC).
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    budget = MemoryBudget(1_000_000)
    before = len(os.listdir("/proc/self/fd"))

    def by_writing():
        upload = SpooledUploadFile(max_memory=200_000, budget=budget)
        try:
            for _ in range(100):
                upload.write(bytes(10_000))
        finally:
            upload.close()

    def by_rewinding():
        upload = SpooledUploadFile(max_memory=0, budget=budget)
        try:
            upload.write(bytes(99_000))
            upload.write(bytes(1_001))
            upload.seek(0)
        finally:
            upload.close()

    def by_copying():
        class Source:
            async def read(self, size):
                return bytes(size)

        upload = SpooledUploadFile(Source(), max_memory=1000, budget=budget)
        try:
            asyncio.run(upload.read_to_spool())
        finally:
            upload.close()

    def by_receiving():
        reader = BodyReader({}, BodyLimits(spool_size=0, budget=budget))
        try:
            for _ in range(100):
                reader.feed(bytes(1_001))
            reader.finish()
        finally:
            reader.close()

    def by_receiving_a_form():
        fields = {"Content-Type": "multipart/form-data; boundary=b"}
        reader = BodyReader(fields, BodyLimits(spool_size=50, budget=budget), frozenset({"X"}))
        part = b'--b\\r\\nContent-Disposition: form-data; name="X"\\r\\n\\r\\n'
        try:
            reader.feed(part + bytes(99_000) + b"\\r\\n" + part + bytes(99_000) + bytes(1_001) + b"\\r\\n--b--")
            reader.finish()
        finally:
            reader.close()

    try:
        globals()[sys.argv[1]]()
    except InsufficientStorage as error:
        print(error.status, budget.used, len(os.listdir("/proc/self/fd")) - before)
"""


@pytest.mark.process
@each_case("how", ["by_writing", "by_rewinding", "by_copying", "by_receiving", "by_receiving_a_form"])
def test_full_disk_raises_insufficient_storage_and_releases_all(how: str) -> None:
    script = textwrap.dedent(FULL_DISK)
    done = subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.split(), done.stderr) == (["507", "0", "0"], "")
