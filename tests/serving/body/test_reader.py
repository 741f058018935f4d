import os
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import BadRequest, PayloadTooLarge, RequestTimeout, UnsupportedContentEncoding
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.body.reader import BodyReader
from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.settings.limits import FREE_DECODED_BYTES
from tests.cases import each_case
from tests.serving.body.feeding import (
    FORM,
    WANTED,
    body_limits,
    chunkings,
    disposition,
    form,
    is_open,
    no_descriptor_left,
    outcome,
    receive,
    receive_raw,
    zipped,
)

GZIP = {"Content-Encoding": "gzip"}


# Content and encoding


@given(st.data(), st.binary(max_size=300), st.integers(0, 100))
def test_raw_body_is_the_same_for_every_chunking(data: st.DataObject, content: bytes, spool_size: int) -> None:
    chunks = data.draw(chunkings(content))
    assert receive_raw(chunks, limits=BodyLimits(spool_size=spool_size)) == content


@given(st.data(), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_gzip_members_are_decoded_for_every_chunking(data: st.DataObject, members: list[bytes]) -> None:
    assert receive_raw(data.draw(chunkings(zipped(*members))), GZIP) == b"".join(members)


@each_case("coding", ["gzip", "GZip", " x-gzip "])
def test_gzip_has_two_names_in_any_case(coding: str) -> None:
    assert receive_raw([zipped(b"a,b\n")], {"Content-Encoding": coding}) == b"a,b\n"


@each_case("coding", ["", "identity", "Identity"])
def test_identity_encoding_leaves_body_unchanged(coding: str) -> None:
    assert receive_raw([zipped(b"a,b\n")], {"Content-Encoding": coding}) == zipped(b"a,b\n")


@each_case("coding", ["br", "deflate", "gzip, gzip", "*"])
def test_other_content_encodings_are_rejected(coding: str) -> None:
    with pytest.raises(UnsupportedContentEncoding):
        receive([b""], {"Content-Encoding": coding})


@given(st.data())
def test_gzipped_form_is_split_into_parts(data: st.DataObject) -> None:
    chunks = data.draw(chunkings(zipped(form((disposition("X"), b"a,b\n1,2\n")))))
    body = receive(chunks, {"Content-Type": FORM, **GZIP}, wanted=WANTED)
    assert [part.read() for part in body.parts] == [b"a,b\n1,2\n"]
    body.close()


def test_form_stays_raw_on_route_without_form_fields() -> None:
    content = form((disposition("X"), b"a,b\n"))
    assert receive_raw([content], {"Content-Type": FORM}) == content


def test_empty_body_is_accepted() -> None:
    assert receive_raw([]) == b""
    assert receive_raw([b""], {"Content-Length": "0"}) == b""


def test_raw_body_has_media_type_of_request() -> None:
    body = receive([b"1"], {"Content-Type": "Text/CSV; charset=utf-8"})
    assert body.raw is not None and body.raw.content_type == "text/csv"
    body.close()


# Limits


@each_case("declared", [True, False], ids=["with-length", "without"])
@each_case("chunks", [1, 10])
def test_body_of_exactly_max_size_is_accepted(declared: bool, chunks: int) -> None:
    fields = {"Content-Length": "100"} if declared else {}
    assert len(receive_raw([b"x" * (100 // chunks)] * chunks, fields, BodyLimits(max_size=100))) == 100


def test_content_length_over_max_size_is_rejected_before_reading() -> None:
    with pytest.raises(PayloadTooLarge):
        BodyReader(Headers([("Content-Length", "101")]), BodyLimits(max_size=100))


@each_case("fields", [{}, {"Transfer-Encoding": "chunked"}, {"Content-Length": "50"}])
def test_first_byte_over_max_size_is_rejected(fields: dict[str, str]) -> None:
    reader = BodyReader(Headers(fields.items()), BodyLimits(max_size=100))
    reader.feed(b"x" * 100)
    with pytest.raises(PayloadTooLarge):
        reader.feed(b"x")
    reader.close()


def test_chunked_encoding_overrules_content_length() -> None:
    fields = {"Content-Length": "101", "Transfer-Encoding": "Chunked"}
    assert receive_raw([b"x" * 100], fields, BodyLimits(max_size=100)) == b"x" * 100


def test_decoded_size_of_gzip_is_limited() -> None:
    limits = body_limits(max_decoded_size=10_000)
    assert len(receive_raw([zipped(b"x" * 10_000)], GZIP, limits)) == 10_000
    with pytest.raises(PayloadTooLarge, match=r"10000 bytes \(DRUM_MAX_DECODED_SIZE\)"):
        receive([zipped(b"x" * 10_001)], GZIP, limits)


def test_compression_ratio_of_gzip_is_limited_beyond_ten_megabytes() -> None:
    limits = body_limits(max_compression_ratio=200)
    assert len(receive_raw([zipped(bytes(FREE_DECODED_BYTES))], GZIP, limits)) == FREE_DECODED_BYTES
    noise = os.urandom(FREE_DECODED_BYTES // 100)
    assert receive_raw([zipped(noise, bytes(FREE_DECODED_BYTES))], GZIP, limits)
    with pytest.raises(PayloadTooLarge, match=r"more than 200 times \(DRUM_MAX_COMPRESSION_RATIO\)"):
        receive([zipped(bytes(FREE_DECODED_BYTES + 1))], GZIP, limits)


def test_plain_body_has_no_compression_ratio() -> None:
    limits = body_limits(max_compression_ratio=1, max_decoded_size=1)
    assert len(receive_raw([bytes(1000)], {}, limits)) == 1000


def test_max_size_limits_compressed_gzip() -> None:
    noise = zipped(*[b""] * 10)
    with pytest.raises(PayloadTooLarge):
        receive([noise], GZIP, BodyLimits(max_size=len(noise) - 1))


def test_gzip_bomb_is_rejected_without_unpacking_it() -> None:
    bomb = zipped(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            receive([bomb], GZIP, body_limits(max_decoded_size=1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_many_gzip_members_are_not_copied_repeatedly(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._stream = decompressobj(wbits=wbits)

        def decompress(self, data: bytes, max_length: int) -> bytes:
            fed.append(len(data))
            return self._stream.decompress(data, max_length)

        def __getattr__(self, name: str) -> object:
            return getattr(self._stream, name)

    decompressobj = zlib.decompressobj
    content = zipped(*[b""] * 5000)
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    assert receive_raw([content], GZIP) == b""
    assert sum(fed) < 200 * len(content)


def test_large_body_is_accepted_without_max_size() -> None:
    assert len(receive_raw([zipped(bytes(3_000_000))], GZIP)) == 3_000_000


def test_max_size_counts_dropped_parts() -> None:
    with pytest.raises(PayloadTooLarge):
        receive([form((disposition("other"), b"x" * 1000))], {"Content-Type": FORM}, BodyLimits(max_size=900), WANTED)


# Malformed bodies


@each_case("length", ["", "-1", "+1", "1.0", "5, 5", "٣", "9" * 5000])
def test_malformed_content_length_is_rejected(length: str) -> None:
    with pytest.raises(BadRequest):
        BodyReader(Headers([("Content-Length", length)]), BodyLimits(max_size=100))


@each_case("content", [b"", b"12", b"1234"], ids=["nothing", "less", "more"])
@each_case("wanted", [WANTED, frozenset[str]()], ids=["form-route", "raw-route"])
def test_body_of_other_length_than_content_length_is_rejected(content: bytes, wanted: frozenset[str]) -> None:
    with pytest.raises(BadRequest):
        receive([content], {"Content-Length": "3"}, wanted=wanted)


@given(st.data(), st.binary(max_size=200), st.binary(max_size=200))
def test_truncated_gzip_is_rejected(data: st.DataObject, first: bytes, second: bytes) -> None:
    whole = zipped(first, second)
    complete = (len(zipped(first)), len(whole))
    end = data.draw(st.integers(0, len(whole)).filter(lambda end: end not in complete))
    with pytest.raises(BadRequest):
        receive(data.draw(chunkings(whole[:end])), GZIP)


@given(st.data(), st.binary(min_size=1, max_size=50).filter(lambda junk: not junk.startswith(b"\x1f")))
def test_junk_after_gzip_member_is_rejected(data: st.DataObject, junk: bytes) -> None:
    with pytest.raises(BadRequest):
        receive(data.draw(chunkings(zipped(b"a,b\n") + junk)), GZIP)


@each_case(
    "content",
    [b"a,b\n1,2\n", zlib.compress(b"a,b\n"), zipped(b"a,b\n")[:-4] + b"\0\0\0\0"],
    ids=["plain", "zlib", "checksum"],
)
def test_invalid_gzip_is_rejected(content: bytes) -> None:
    with pytest.raises(BadRequest):
        receive([content], GZIP)


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from([FORM, "multipart/form-data", "text/csv"]) | st.text(max_size=40),
        "Content-Length": st.integers(0, 60).map(str) | st.text(max_size=4),
        "Content-Encoding": st.sampled_from(["gzip", "", "br"]),
        "Transfer-Encoding": st.sampled_from(["chunked", "gzip"]),
    },
)
DISPOSITION = b'Content-Disposition: form-data; name="X"'
MARKS = [b"\r\n", b"\n", b"\r", b"--", b"-", b":", b";", b'"', b" ", b"\t", b"\0", b"\xff\xfe"]
WORDS = [
    b"--simple-boundary",
    b"simple-boundary",
    DISPOSITION,
    b"filename=",
    b"a,b\n1,2\n",
    zipped(b"--simple-boundary"),
]
FRAGMENTS = st.lists(st.sampled_from(MARKS + WORDS) | st.binary(max_size=5), max_size=15).map(b"".join)


@given(st.data(), HEADERS, FRAGMENTS, st.sampled_from([0, 20, 1000]), st.sampled_from([WANTED, frozenset[str]()]))
def test_any_input_is_body_or_error_for_every_chunking(
    data: st.DataObject, fields: dict[str, str], content: bytes, max_size: int, wanted: frozenset[str]
) -> None:
    limits = BodyLimits(max_size=max_size, spool_size=10)
    whole = outcome([content], fields, limits, wanted)
    chunked = outcome(data.draw(chunkings(content)), fields, limits, wanted)
    assert chunked == whole or (isinstance(whole, int) and isinstance(chunked, int))


# Memory, disk and descriptors


def test_ten_mebibytes_stay_in_memory_and_one_byte_more_goes_to_disk() -> None:
    assert BodyLimits().spool_size == SPOOL_MAX_SIZE == 10 * 1024 * 1024
    reader = BodyReader(Headers(), BodyLimits())
    where = []
    for size in (*[1024 * 1024] * 10, 1):
        reserved = reader.reserve_memory(size)
        reader.feed(bytes(size))
        where.append((reserved, reader.on_disk))
    assert where == [(True, False)] * 10 + [(False, True)]
    body = reader.finish()
    assert body.raw is not None and body.raw.size == SPOOL_MAX_SIZE + 1
    body.close()


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 50))
def test_reserve_memory_returns_false_exactly_when_feed_writes_to_disk(sizes: list[int], spool_size: int) -> None:
    reader = BodyReader(Headers(), BodyLimits(spool_size=spool_size))
    for size in sizes:
        reserved = reader.reserve_memory(size)
        reader.feed(bytes(size))
        assert reader.on_disk is not reserved
    reader.close()


@each_case("spool_size", [0, 20, 1000])
def test_each_form_part_has_its_own_spool(spool_size: int) -> None:
    content = form((disposition("X"), b"x" * 21), (disposition("y"), b"y" * 20), (disposition("X"), b""))
    body = receive([content], {"Content-Type": FORM}, BodyLimits(spool_size=spool_size), WANTED)
    assert [part.on_disk for part in body.parts] == [spool_size < 21, spool_size < 20, False]
    assert [part.read() for part in body.parts] == [b"x" * 21, b"y" * 20, b""]
    body.close()


def test_form_reserves_nothing_when_budget_is_used_up() -> None:
    budget = MemoryBudget(100)
    assert budget.reserve(90)
    reader = BodyReader(Headers([("Content-Type", FORM)]), BodyLimits(budget=budget), WANTED)
    content = form((disposition("X"), b"x" * 50))
    assert not reader.reserve_memory(len(content))
    reader.feed(content)
    assert reader.on_disk
    reader.close()
    assert budget.used == 90


@each_case("form_body", [True, False], ids=["form", "raw"])
def test_close_releases_memory_and_descriptors(form_body: bool) -> None:
    budget = MemoryBudget(1000)
    content, fields = (form((disposition("X"), b"x" * 50), (disposition("y"), b"")), {"Content-Type": FORM})
    with no_descriptor_left():
        for spool_size in (10, 1000):
            limits = BodyLimits(spool_size=spool_size, budget=budget)
            body = receive([content], fields, limits, WANTED if form_body else frozenset())
            assert any(is_open(upload) for upload in (body.raw, *body.parts))
            body.close()
            body.close()
            assert not any(is_open(upload) for upload in (body.raw, *body.parts))
    assert budget.used == 0


@each_case(
    ("fields", "content"),
    [
        ({"Content-Length": "5000"}, b"x" * 100),
        ({}, b"x" * 2000),
        (GZIP, zipped(b"x" * 100)[:-1]),
        (GZIP, zipped(b"x" * 2000)),
        (GZIP, zipped(b"x" * 100) + b"junk"),
        ({"Content-Type": FORM}, form((disposition("X"), b"x" * 100))[:-10]),
        ({"Content-Type": FORM}, form((disposition("X"), b"x" * 100), ("bad header", b""))),
        ({"Content-Type": FORM}, form((disposition("X"), b"x" * 2000))),
    ],
    ids=["truncated", "too-large", "half-gzip", "bomb", "gzip-junk", "no-end", "malformed", "form-too-large"],
)
def test_rejected_body_leaves_no_memory_or_descriptors(fields: dict[str, str], content: bytes) -> None:
    budget = MemoryBudget(1_000_000)
    with no_descriptor_left():
        for spool_size in (10, 10_000):
            limits = body_limits(max_decoded_size=1000, max_size=1000, spool_size=spool_size, budget=budget)
            assert isinstance(outcome([content[:200], content[200:]], fields, limits, WANTED), int)
    assert budget.used == 0


# Slow bodies


def test_body_without_upload_timeout_has_no_deadline() -> None:
    reader = BodyReader(Headers(), BodyLimits())
    assert reader.progress.time_left is None
    reader.close()


def test_received_bytes_extend_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("datarobot_drum.drum.serving.body.progress.time.monotonic", lambda: now)
    reader = BodyReader(Headers(), BodyLimits(upload_timeout=30))
    assert reader.progress.time_left == pytest.approx(30)
    now = 120.0
    assert reader.progress.time_left == pytest.approx(10)
    reader.feed(bytes(5000))
    assert reader.progress.time_left == pytest.approx(20)
    now = 141.0
    assert reader.progress.time_left == pytest.approx(-1)
    assert isinstance(reader.progress.timeout_error(), RequestTimeout) and reader.progress.timeout_error().status == 408
    assert "5000 bytes in 41 s" in reader.progress.timeout_error().message
    reader.close()
