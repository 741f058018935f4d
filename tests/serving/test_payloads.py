"""The samples and the target of a request."""

import pytest

from datarobot_drum.drum.exceptions import UnprocessableInput, UnsupportedMediaType
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.payloads import structured_payload, target_payload
from datarobot_drum.drum.tabular import PayloadFormat
from tests.cases import each_case
from tests.serving.handlers_under_test import FakePredictor, make_handlers, numbers, post, post_form

CSV, MTX, JSON = PayloadFormat.CSV, PayloadFormat.MTX, PayloadFormat.JSON


@each_case(
    ("content_type", "payload_format", "charset"),
    [
        ("text/csv", CSV, "utf-8"),
        ("text/csv; charset=latin-1", CSV, "latin-1"),
        ("", CSV, "utf-8"),
        ("application/octet-stream", CSV, "utf-8"),
        ("text/mtx", MTX, "utf-8"),
        ("Text/MTX", MTX, "utf-8"),
    ],
)
def test_media_type_of_a_raw_body_decides_the_format(
    content_type: str, payload_format: PayloadFormat, charset: str
) -> None:
    payload = structured_payload(post(b"1", content_type), any_type=False)
    assert (payload.format, payload.charset, payload.read_bytes()) == (payload_format, charset, b"1")


@each_case(
    ("content_type", "filename", "payload_format"),
    [
        (None, None, CSV),
        ("text/csv", "a.csv", CSV),
        ("text/mtx", None, MTX),
        (None, "a.mtx", MTX),
        ("application/octet-stream", "A.MTX", MTX),
        (None, "a.mtx.csv", CSV),
    ],
)
def test_media_type_or_file_name_of_a_part_decides_the_format(
    content_type: str | None, filename: str | None, payload_format: PayloadFormat
) -> None:
    request = post_form(("X", b"1"), content_type=content_type, filename=filename)
    assert structured_payload(request, any_type=False).format is payload_format


@each_case(
    "request_without_samples",
    [post(b""), post_form(), post_form(("y", b"1")), post_form(("X", b"")), ModelRequest("POST")],
    ids=["empty-body", "empty-form", "other-part", "empty-part", "no-body"],
)
def test_predict_rejects_a_request_without_samples(request_without_samples: ModelRequest) -> None:
    predictor = FakePredictor(numbers(1.0))
    with pytest.raises(UnprocessableInput):
        make_handlers(predictor).do_predict_structured(request_without_samples)
    assert predictor.calls == []


def test_two_parts_of_samples_are_rejected() -> None:
    with pytest.raises(UnprocessableInput, match="2 parts named `X`"):
        structured_payload(post_form(("X", b"1"), ("X", b"2")), any_type=False)


@each_case(
    ("content", "content_type", "payload_format"),
    [
        (b"[]", "application/json", JSON),
        (b"[]", "Application/Problem+JSON; charset=utf-8", JSON),
        (b"{}", "application/x-ndjson", PayloadFormat.JSON_LINES),
        (b"", "application/vnd.apache.parquet", PayloadFormat.PARQUET),
        (b' {"a": [1]}', "", JSON),
        (b'[{"a":1}]', "application/x-www-form-urlencoded", JSON),
        (b"[[1]]", "application/octet-stream", JSON),
        (b'{"a": [1]}', "text/csv", CSV),
        (b"[a],b\n1,2", "", CSV),
        (b"\xff\xff\xff\xff\0", "", PayloadFormat.ARROW),
        (b"PAR1\0", "application/octet-stream", PayloadFormat.PARQUET),
        (b"PAR1,b\n", "", CSV),
    ],
)
def test_typed_formats_are_found_by_media_type_or_content(
    content: bytes, content_type: str, payload_format: PayloadFormat
) -> None:
    payload = structured_payload(post(content or b"x", content_type), any_type=False)
    assert payload.format is payload_format
    assert payload.read_bytes() == content or content == b""


@each_case("content_type", ["application/xml", "image/png", "application/zip", "multipart/mixed"])
def test_a_media_type_of_no_table_is_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"text/csv, text/mtx .*application/vnd.apache.parquet"):
        structured_payload(post(b"1", content_type), any_type=False)
    assert structured_payload(post(b"1", content_type), any_type=True).read_bytes() == b"1"


def test_predict_rejects_a_format_that_the_model_does_not_read() -> None:
    predictor = FakePredictor(numbers(1.0), formats={"csv": None})
    with pytest.raises(UnprocessableInput, match="does not read mtx"):
        make_handlers(predictor).do_predict_structured(post(b"1", "text/mtx"))


def test_a_format_without_its_package_is_unsupported_and_names_the_extra() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"datarobot-drum\[arrow\]"):
        make_handlers(FakePredictor(numbers(1.0))).do_predict_structured(post(b"1", "application/vnd.apache.parquet"))


def test_predict_passes_any_type_to_a_model_that_reads_raw_input() -> None:
    predictor = FakePredictor(numbers(1.0), formats={}, raw_input=True)
    make_handlers(predictor).do_predict_structured(post(b"[]", "application/json"))
    assert predictor.calls == [b"[]"]


def test_target_is_the_part_y() -> None:
    target = target_payload(post_form(("X", b"1"), ("y", b"2")))
    assert target is not None and target.read_bytes() == b"2"
    assert target_payload(post_form(("X", b"1"))) is None
    assert target_payload(post(b"1")) is None


@each_case(
    ("request_with_target", "message"),
    [
        (post_form(("y", b"")), "`y` is empty"),
        (post_form(("y", b"1"), ("y", b"2")), "2 parts named `y`"),
    ],
    ids=["empty", "two"],
)
def test_invalid_target_is_rejected(request_with_target: ModelRequest, message: str) -> None:
    with pytest.raises(UnprocessableInput, match=message):
        target_payload(request_with_target)
