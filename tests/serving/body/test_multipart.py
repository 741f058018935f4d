"""Multipart bodies (RFC 7578, RFC 2046 section 5.1.1)."""

from itertools import chain

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import BadRequest, FormHeadersTooLarge, PayloadTooLarge
from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.body.reader import BodyReader
from tests.cases import each_case
from tests.serving.body.feeding import BOUNDARY, FORM, body_limits, chunkings, disposition, form, receive, receive_form

EXAMPLE = form(
    (disposition("X", "samples.csv") + "\r\nContent-Type: text/csv", b"a,b\r\n1,2\r\n--simple\r\n--simple-boundar\r\n"),
    (disposition("other", "big.bin"), b"not wanted"),
    (disposition("y"), b"\r\n\r\n"),
    (disposition("X"), b""),
)
PARTS = [
    ("X", "samples.csv", "text/csv", b"a,b\r\n1,2\r\n--simple\r\n--simple-boundar\r\n"),
    ("y", None, None, b"\r\n\r\n"),
    ("X", None, None, b""),
]


def test_a_form_may_be_split_anywhere() -> None:
    splits = {position: receive_form([EXAMPLE[:position], EXAMPLE[position:]]) for position in range(len(EXAMPLE) + 1)}
    assert {position: parts for position, parts in splits.items() if parts != PARTS} == {}


def test_form_is_parsed_byte_by_byte() -> None:
    assert receive_form(bytes([byte]) for byte in EXAMPLE) == PARTS


NEAR_BOUNDARIES = st.lists(
    st.sampled_from([b"\r\n--", BOUNDARY[:-1].encode(), b"\r", b"\n", b"-", b"\r\n", b"--"]) | st.binary(max_size=4),
    max_size=8,
).map(b"".join)


@given(st.data(), st.lists(NEAR_BOUNDARIES, max_size=4))
def test_any_part_content_is_kept_unchanged(data: st.DataObject, contents: list[bytes]) -> None:
    body = form(*((disposition("X"), content) for content in contents))
    assert [part[3] for part in receive_form(data.draw(chunkings(body)))] == contents


# Without characters that browsers and httpx escape as %22 (WHATWG HTML): the escaped form is ambiguous.
FILE_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"%\\'), min_size=1)


@given(st.data(), FILE_NAMES, st.binary(max_size=50))
def test_form_encoded_by_httpx_is_parsed(data: st.DataObject, filename: str, content: bytes) -> None:
    files = {"X": (filename, content, "text/csv")}
    request = httpx.Request("POST", "http://server/", files=files, data={"y": "1", "other": "2"})
    chunks = data.draw(chunkings(request.read()))
    parts = receive_form(chunks, request.headers["Content-Type"])
    assert sorted(parts, key=str) == [("X", filename, "text/csv", content), ("y", None, None, b"1")]


@each_case(
    ("parameters", "filename"),
    [
        ('filename="a b.mtx"', "a b.mtx"),
        ("filename=plain.mtx", "plain.mtx"),
        (r'filename="say \"hi\".csv"', 'say "hi".csv'),
        ('filename="a;b=c.csv"', "a;b=c.csv"),
        ('filename="näive-日本.csv"', "näive-日本.csv"),
        ('filename=""', ""),
        ('FileName="a.csv"', "a.csv"),
        ("filename*=UTF-8''na%C3%AFve.csv", None),
        ("filename*=UTF-8''other.mtx; filename=\"a.csv\"", "a.csv"),
        ("", None),
    ],
    ids=[
        "quoted",
        "token",
        "escaped-quote",
        "semicolon",
        "unicode",
        "empty",
        "case",
        "extended-only-which-rfc-7578-forbids",
        "extended-and-plain",
        "none",
    ],
)
def test_file_name_is_parsed(parameters: str, filename: str | None) -> None:
    headers = f'Content-Disposition: form-data; name="X"; {parameters}'
    assert [part[1] for part in receive_form([form((headers, b""))])] == [filename]


def test_invalid_utf8_in_file_name_is_replaced() -> None:
    body = form((disposition("X", "?.csv"), b"1")).replace(b"?", b"\xff")
    assert [part[1] for part in receive_form([body])] == ["\ufffd.csv"]


@each_case(
    "headers",
    [
        'content-disposition: form-data; name="X"',
        'CONTENT-DISPOSITION: FORM-DATA; NAME="X"',
        'Content-Disposition:form-data;name="X"',
        "Content-Disposition:    form-data ; name = X",
        'X-Other: 1\r\nContent-Disposition: form-data; name="X"\r\nX-More: 2',
    ],
)
def test_part_headers_are_parsed_in_any_case_and_spacing(headers: str) -> None:
    assert [part[0] for part in receive_form([form((headers, b"1"))])] == ["X"]


@each_case("headers", ["Content-Type: text/csv", "Content-Disposition: form-data", "X-Name: X"])
def test_part_without_a_name_is_dropped(headers: str) -> None:
    assert receive_form([form((headers, b"1"))]) == []


@each_case(
    ("before", "after"),
    [(b"", b""), (b"\r\n", b"\r\n"), (b"\r\n\r\n", b"\r\nan epilogue\r\n--simple-boundary\r\n")],
    ids=["none", "line", "text"],
)
def test_what_comes_before_and_after_the_parts_is_skipped(before: bytes, after: bytes) -> None:
    body = before + form((disposition("X"), b"1")).rstrip(b"\r\n") + after
    for size in (1, 7, 1000):
        chunks = [body[begin : begin + size] for begin in range(0, len(body), size)]
        assert receive_form(chunks) == [("X", None, None, b"1")], size


@each_case(
    "content_type", ['multipart/form-data; boundary="simple-boundary"', "Multipart/Form-Data;Boundary=simple-boundary"]
)
def test_boundary_may_be_quoted_and_named_in_any_case(content_type: str) -> None:
    assert len(receive_form([form((disposition("X"), b"1"))], content_type)) == 1


def test_form_without_parts_is_empty() -> None:
    assert receive_form([b"--simple-boundary--\r\n"]) == []


@each_case(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; charset=utf-8",
        "multipart/form-data; boundary=" + "b" * 300,
    ],
    ids=["none", "empty", "empty-quoted", "other-parameter", "too-long"],
)
def test_form_without_valid_boundary_is_rejected(content_type: str) -> None:
    with pytest.raises(BadRequest):
        receive_form([EXAMPLE], content_type)


WHOLE = form((disposition("X"), b"1"))


def test_a_form_without_its_closing_boundary_is_refused() -> None:
    for end in range(len(WHOLE) - 3):
        with pytest.raises(BadRequest):
            pytest.fail(f"{receive_form([WHOLE[:end]])} of the first {end} bytes")


@each_case(
    "body",
    [
        WHOLE.replace(b"\r\n", b"\n"),
        b"no form at all",
        WHOLE.replace(b"simple", b"simpel"),
        form(("no colon", b"1")),
        form((": no name", b"1")),
        form(("bad name@: 1", b"1")),
        form((disposition("X") + "\r\n folded", b"1")),
    ],
    ids=[
        "lf-only",
        "text",
        "other-boundary",
        "no-colon",
        "no-name",
        "bad-name",
        "folded",
    ],
)
def test_malformed_form_is_rejected(body: bytes) -> None:
    with pytest.raises(BadRequest):
        receive_form([body])


def test_parts_of_a_form_are_limited() -> None:
    limits = body_limits(max_form_parts=5)
    assert len(receive_form([form(*[(disposition("X"), b"")] * 5)], limits=limits)) == 5
    with pytest.raises(PayloadTooLarge, match=r"more than 5 parts \(DRUM_MAX_FORM_PARTS\)"):
        receive_form([form(*[(disposition("other"), b"")] * 6)], limits=limits)


def test_a_chunk_that_may_start_a_part_reserves_memory_for_it_beforehand() -> None:
    limits = body_limits(budget=MemoryBudget(120_000))
    reader = BodyReader({"Content-Type": FORM}, limits, frozenset("X"))
    chunk = form((disposition("X"), bytes(100_000)))
    assert not reader.reserve_memory(len(chunk))
    reader.feed(chunk)
    assert reader.on_disk
    reader.close()


@each_case("name", ["X", "other"])
def test_headers_of_a_form_part_are_limited(name: str) -> None:
    headers = f"{disposition(name)}\r\nX-1: 1\r\nX-2: 1"
    parts = [(headers, b"")] * 2
    receive_form([form(*parts)], limits=body_limits(max_form_headers=3, max_form_header_size=100))
    with pytest.raises(FormHeadersTooLarge, match=r"more than 2 headers \(DRUM_MAX_FORM_HEADERS\)"):
        receive_form([form(*parts)], limits=body_limits(max_form_headers=2))
    with pytest.raises(FormHeadersTooLarge, match=r"larger than 40 bytes \(DRUM_MAX_FORM_HEADER_SIZE\)"):
        receive_form([form(*parts)], limits=body_limits(max_form_header_size=40))


def test_headers_without_end_are_not_stored() -> None:
    endless = (b"a" * 1000 for _ in range(10**9))
    start = f"--{BOUNDARY}\r\nX-Endless: ".encode()
    with pytest.raises(FormHeadersTooLarge):
        receive_form(chain([start], endless), limits=body_limits(max_form_header_size=16_000))


def test_other_multipart_types_stay_raw() -> None:
    body = receive([WHOLE], {"Content-Type": FORM.replace("form-data", "mixed")}, wanted=frozenset({"X"}))
    assert body.raw is not None and body.raw.read() == WHOLE
    body.close()
