import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import BadRequest, PayloadTooLarge, RequestTimeout, UnsupportedContentEncoding
from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.body.reader import BodyLimits, BodyReader
from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE
from datarobot_drum.drum.serving.headers import Headers
from tests.serving.body.feeding import (
    FORM,
    WANTED,
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


# However it comes


@given(st.data(), st.binary(max_size=300), st.integers(0, 100))
def test_a_raw_body_arrives_byte_by_byte_whatever_its_pieces(
    data: st.DataObject, content: bytes, spool_size: int
) -> None:
    chunks = data.draw(chunkings(content))
    assert receive_raw(chunks, limits=BodyLimits(spool_size=spool_size)) == content


@given(st.data(), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_gzip_of_one_or_more_members_is_decoded_whatever_its_pieces(data: st.DataObject, members: list[bytes]) -> None:
    assert receive_raw(data.draw(chunkings(zipped(*members))), GZIP) == b"".join(members)


@pytest.mark.parametrize("coding", ["gzip", "GZip", " x-gzip "])
def test_gzip_has_two_names_in_any_case(coding: str) -> None:
    assert receive_raw([zipped(b"a,b\n")], {"Content-Encoding": coding}) == b"a,b\n"


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_a_body_without_coding_is_taken_as_it_is(coding: str) -> None:
    assert receive_raw([zipped(b"a,b\n")], {"Content-Encoding": coding}) == zipped(b"a,b\n")


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "*"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(UnsupportedContentEncoding):
        receive([b""], {"Content-Encoding": coding})


@given(st.data())
def test_a_form_in_gzip_is_split(data: st.DataObject) -> None:
    chunks = data.draw(chunkings(zipped(form((disposition("X"), b"a,b\n1,2\n")))))
    body = receive(chunks, {"Content-Type": FORM, **GZIP}, wanted=WANTED)
    assert [part.read() for part in body.parts] == [b"a,b\n1,2\n"]
    body.close()


def test_a_form_for_a_route_without_forms_stays_as_it_is() -> None:
    content = form((disposition("X"), b"a,b\n"))
    assert receive_raw([content], {"Content-Type": FORM}) == content


def test_an_empty_body_is_a_body() -> None:
    assert receive_raw([]) == b""
    assert receive_raw([b""], {"Content-Length": "0"}) == b""


def test_the_media_type_goes_with_the_body() -> None:
    body = receive([b"1"], {"Content-Type": "Text/CSV; charset=utf-8"})
    assert body.raw is not None and body.raw.content_type == "text/csv"
    body.close()


# Limits


@pytest.mark.parametrize("declared", [True, False], ids=["with-length", "without"])
@pytest.mark.parametrize("pieces", [1, 10])
def test_a_body_of_exactly_the_limit_is_taken(declared: bool, pieces: int) -> None:
    fields = {"Content-Length": "100"} if declared else {}
    assert len(receive_raw([b"x" * (100 // pieces)] * pieces, fields, BodyLimits(max_size=100))) == 100


def test_one_byte_more_is_refused_before_anything_is_read() -> None:
    with pytest.raises(PayloadTooLarge):
        BodyReader(Headers([("Content-Length", "101")]), BodyLimits(max_size=100))


@pytest.mark.parametrize("fields", [{}, {"Transfer-Encoding": "chunked"}, {"Content-Length": "50"}])
def test_one_byte_more_is_refused_as_soon_as_it_comes(fields: dict[str, str]) -> None:
    reader = BodyReader(Headers(fields.items()), BodyLimits(max_size=100))
    reader.feed(b"x" * 100)
    with pytest.raises(PayloadTooLarge):
        reader.feed(b"x")
    reader.close()


def test_chunked_coding_overrules_content_length() -> None:
    fields = {"Content-Length": "101", "Transfer-Encoding": "Chunked"}
    assert receive_raw([b"x" * 100], fields, BodyLimits(max_size=100)) == b"x" * 100


def test_gzip_is_counted_decoded() -> None:
    limits = BodyLimits(max_size=10_000)
    assert len(receive_raw([zipped(b"x" * 10_000)], GZIP, limits)) == 10_000
    with pytest.raises(PayloadTooLarge):
        receive([zipped(b"x" * 10_001)], GZIP, limits)


def test_gzip_is_counted_as_it_comes_too() -> None:
    noise = zipped(*[b""] * 10)
    with pytest.raises(PayloadTooLarge):
        receive([noise], GZIP, BodyLimits(max_size=len(noise) - 1))


def test_a_bomb_is_refused_without_unpacking_it() -> None:
    bomb = zipped(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            receive([bomb], GZIP, BodyLimits(max_size=1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_a_body_of_very_many_gzip_members_is_not_copied_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_without_a_limit_a_body_may_be_large() -> None:
    assert len(receive_raw([zipped(bytes(3_000_000))], GZIP)) == 3_000_000


def test_parts_that_nobody_wants_count_as_well() -> None:
    with pytest.raises(PayloadTooLarge):
        receive([form((disposition("other"), b"x" * 1000))], {"Content-Type": FORM}, BodyLimits(max_size=900), WANTED)


# What is broken


@pytest.mark.parametrize("length", ["", "-1", "+1", "1.0", "0x10", "1 0", "5, 5", "٣", "²", "9" * 5000])
def test_a_content_length_that_is_no_number_is_refused(length: str) -> None:
    with pytest.raises(BadRequest):
        BodyReader(Headers([("Content-Length", length)]), BodyLimits(max_size=100))


@pytest.mark.parametrize("content", [b"", b"12", b"1234"], ids=["nothing", "less", "more"])
@pytest.mark.parametrize("wanted", [WANTED, frozenset[str]()], ids=["form-route", "raw-route"])
def test_a_body_of_another_length_than_declared_is_refused(content: bytes, wanted: frozenset[str]) -> None:
    with pytest.raises(BadRequest):
        receive([content], {"Content-Length": "3"}, wanted=wanted)


@given(st.data(), st.binary(max_size=200), st.binary(max_size=200))
def test_half_a_gzip_stream_is_refused(data: st.DataObject, first: bytes, second: bytes) -> None:
    whole = zipped(first, second)
    complete = (len(zipped(first)), len(whole))
    end = data.draw(st.integers(0, len(whole)).filter(lambda end: end not in complete))
    with pytest.raises(BadRequest):
        receive(data.draw(chunkings(whole[:end])), GZIP)


@given(st.data(), st.binary(min_size=1, max_size=50).filter(lambda junk: not junk.startswith(b"\x1f")))
def test_what_follows_a_gzip_stream_must_be_another(data: st.DataObject, junk: bytes) -> None:
    with pytest.raises(BadRequest):
        receive(data.draw(chunkings(zipped(b"a,b\n") + junk)), GZIP)


@pytest.mark.parametrize(
    "content",
    [b"a,b\n1,2\n", zlib.compress(b"a,b\n"), zipped(b"a,b\n")[:-4] + b"\0\0\0\0"],
    ids=["plain", "zlib", "checksum"],
)
def test_what_is_no_gzip_is_refused(content: bytes) -> None:
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
MESSES = st.lists(st.sampled_from(MARKS + WORDS) | st.binary(max_size=5), max_size=15).map(b"".join)


@given(st.data(), HEADERS, MESSES, st.sampled_from([0, 20, 1000]), st.sampled_from([WANTED, frozenset[str]()]))
def test_whatever_comes_is_a_body_or_a_refusal_and_pieces_do_not_matter(
    data: st.DataObject, fields: dict[str, str], content: bytes, max_size: int, wanted: frozenset[str]
) -> None:
    limits = BodyLimits(max_size=max_size, spool_size=10)
    whole = outcome([content], fields, limits, wanted)
    pieces = outcome(data.draw(chunkings(content)), fields, limits, wanted)
    assert pieces == whole or (isinstance(whole, int) and isinstance(pieces, int))


# Memory, disk and descriptors


def test_ten_mebibytes_stay_in_memory_and_a_byte_more_goes_to_disk() -> None:
    assert BodyLimits().spool_size == SPOOL_MAX_SIZE == 10 * 1024 * 1024
    reader = BodyReader(Headers(), BodyLimits())
    where = []
    for size in (*[1024 * 1024] * 10, 1):
        foretold = reader.try_reserve_memory(size)
        reader.feed(bytes(size))
        where.append((foretold, reader.on_disk))
    assert where == [(False, False)] * 10 + [(True, True)]
    body = reader.finish()
    assert body.raw is not None and body.raw.size == SPOOL_MAX_SIZE + 1
    body.close()


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 50))
def test_the_reader_foretells_when_it_touches_the_disk(sizes: list[int], spool_size: int) -> None:
    reader = BodyReader(Headers(), BodyLimits(spool_size=spool_size))
    for size in sizes:
        foretold = reader.try_reserve_memory(size)
        reader.feed(bytes(size))
        assert reader.on_disk == foretold
    reader.close()


@pytest.mark.parametrize("spool_size", [0, 20, 1000])
def test_parts_of_a_form_are_spooled_one_by_one(spool_size: int) -> None:
    content = form((disposition("X"), b"x" * 21), (disposition("y"), b"y" * 20), (disposition("X"), b""))
    body = receive([content], {"Content-Type": FORM}, BodyLimits(spool_size=spool_size), WANTED)
    assert [part.on_disk for part in body.parts] == [spool_size < 21, spool_size < 20, False]
    assert [part.read() for part in body.parts] == [b"x" * 21, b"y" * 20, b""]
    body.close()


def test_a_form_that_may_touch_the_disk_says_so_before_its_first_part() -> None:
    budget = MemoryBudget(100)
    assert budget.reserve(90)
    reader = BodyReader(Headers([("Content-Type", FORM)]), BodyLimits(budget=budget), WANTED)
    content = form((disposition("X"), b"x" * 50))
    assert reader.try_reserve_memory(len(content))
    reader.feed(content)
    assert reader.on_disk
    reader.close()
    assert budget.used == 90


@pytest.mark.parametrize("form_body", [True, False], ids=["form", "raw"])
def test_a_closed_body_gives_back_memory_and_descriptors(form_body: bool) -> None:
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


@pytest.mark.parametrize(
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
def test_nothing_is_left_of_a_refused_body(fields: dict[str, str], content: bytes) -> None:
    budget = MemoryBudget(1_000_000)
    with no_descriptor_left():
        for spool_size in (10, 10_000):
            limits = BodyLimits(max_size=1000, spool_size=spool_size, budget=budget)
            assert isinstance(outcome([content[:200], content[200:]], fields, limits, WANTED), int)
    assert budget.used == 0


# Slow bodies


def test_without_an_upload_timeout_a_body_has_all_the_time() -> None:
    reader = BodyReader(Headers(), BodyLimits())
    assert reader.progress.time_left is None
    reader.close()


def test_a_body_earns_time_by_the_bytes_it_brings(monkeypatch: pytest.MonkeyPatch) -> None:
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
