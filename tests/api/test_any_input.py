"""The server responds to any input without an error of its own, and alike on all three servers."""

import csv
import io
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.all_servers import Servers
from tests.api.responses import Response, assert_same_response
from tests.api.test_equality import BODIES, FORM, MEDIA_TYPES

pytestmark = pytest.mark.process

bounded = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

TYPES = st.sampled_from([value for value in MEDIA_TYPES.values() if value] + ["text/csv; charset=utf-16", "text/plain"])
CODINGS = st.sampled_from(["identity", "identity", "identity", "gzip", "br"])

# What a header value may hold (RFC 9110, 5.5): visible ASCII and obs-text, with blanks inside.
VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f")
HEADER_VALUES = st.lists(st.text(VISIBLE, min_size=1, max_size=20), max_size=5).map(" ".join)
PARAMETERS = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["charset", "boundary", "charset*", "charset*0", "boundary*1*", "x", ""]),
        st.sampled_from(["=", " = ", "", '="', "*="]),
        st.sampled_from(["b", "utf-8", "UTF-16", "latin-1", "utf-8''x", "hex", '"b"', '"', "é", "x" * 80, "\\"]),
    ),
    max_size=4,
)
GARBLED_TYPES = st.builds(
    lambda essence, parameters: ";".join([essence, *parameters]).strip(),
    st.sampled_from(
        ["text/csv", "text/mtx", "multipart/form-data", "application/json", "MULTIPART/Form-Data", "", "é"]
    ),
    PARAMETERS,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": GARBLED_TYPES | HEADER_VALUES,
        "Content-Encoding": HEADER_VALUES | CODINGS,
        "Accept": HEADER_VALUES,
        "Accept-Encoding": HEADER_VALUES,
        "Accept-Charset": HEADER_VALUES,
        "Authorization": HEADER_VALUES,
        "Content-Disposition": HEADER_VALUES,
        "Cookie": HEADER_VALUES,
        "Forwarded": HEADER_VALUES,
        "If-Match": HEADER_VALUES,
        "If-Modified-Since": HEADER_VALUES,
        "Origin": HEADER_VALUES,
        "Range": HEADER_VALUES,
        "Referer": HEADER_VALUES,
        "TraceParent": HEADER_VALUES,
        "User-Agent": HEADER_VALUES,
        "X-Forwarded-For": HEADER_VALUES,
        "X-Forwarded-Host": HEADER_VALUES,
        "X-Forwarded-Prefix": HEADER_VALUES,
        "X-HTTP-Method-Override": HEADER_VALUES,
    },
)

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "1", "-1.5", "1e400", "NA", "true", "2024-01-01", "a\nb", 'a"b', "a,b", "ü", "日本", "\ufeff", "9" * 40, " "]
)
NAMES = CELLS.filter(lambda name: name != "action")


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A csv as a human, a spreadsheet or a broken program might write it."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6))
    ragged = draw(st.booleans())
    widths = st.integers(0, len(names) + 2) if ragged else st.just(len(names))
    rows = draw(st.lists(widths.flatmap(lambda width: st.lists(CELLS, min_size=width, max_size=width)), max_size=6))
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=draw(st.sampled_from(",,,;\t")),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    writer.writerows([names, *rows])
    body = text.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8-sig"])))
    return body[: len(body) - draw(st.integers(0, 3))]


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """A form as a client might build it, and perhaps damage on the way."""
    parts = st.tuples(
        st.sampled_from(["X", "X", "X", "x", "y", ""]),
        st.none() | CELLS.map(lambda name: name + draw(st.sampled_from([".csv", ".mtx", ""]))),
        st.sampled_from(list(BODIES.values())) | st.binary(max_size=50),
        st.none() | TYPES | GARBLED_TYPES,
    )
    body = b""
    for name, filename, content, media_type in draw(st.lists(parts, max_size=4)):
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"'
        head += f'; filename="{filename}"' if filename is not None else ""
        head += f"\r\nContent-Type: {media_type}" if media_type is not None else ""
        body += head.encode() + b"\r\n\r\n" + content + b"\r\n"
    body += b"--b--\r\n"
    damage = draw(st.none() | st.tuples(st.integers(0, len(body)), st.integers(0, 5), st.binary(max_size=3)))
    if damage is None:
        return body
    place, gone, new = damage
    return body[:place] + new + body[place + gone :]


def ask(all_servers: Servers, content: bytes, headers: dict[str, str]) -> Response:
    """Return the response of all servers; fail if it is an error of the server."""
    fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = assert_same_response(all_servers, "POST", "/predict/", content=content, headers=httpx.Headers(fields))
    assert response.status in (200, 400, 415, 422) or response.body in MODEL_ERRORS, response
    assert b"Traceback" not in response.body
    assert isinstance(json.loads(response.body), dict)
    return response


MODEL_ERRORS = {b'{"message":"ERROR: ValueError: the model said no"}', b'{"message":"short and stout"}'}
"""What the bodies that make the model fail are answered with."""


@bounded
@given(content=st.binary(max_size=2000) | st.sampled_from(list(BODIES.values())), media_type=TYPES, coding=CODINGS)
def test_server_responds_to_any_bytes(echo_servers: Servers, content: bytes, media_type: str, coding: str) -> None:
    ask(echo_servers, content, {"Content-Type": media_type, "Content-Encoding": coding})


@bounded
@given(content=st.sampled_from([BODIES["table"], FORM, BODIES["empty"]]), headers=HEADERS)
def test_server_responds_to_any_header_values(echo_servers: Servers, content: bytes, headers: dict[str, str]) -> None:
    ask(echo_servers, content, headers)


@bounded
@given(content=tables(), charset=st.sampled_from(["", "; charset=latin-1", "; charset=utf-8", "; charset=cp1252"]))
def test_any_csv_is_predicted_or_rejected(echo_servers: Servers, content: bytes, charset: str) -> None:
    assert ask(echo_servers, content, {"Content-Type": f"text/csv{charset}"}).status in (200, 422)


@bounded
@given(content=forms())
def test_any_form_is_predicted_or_rejected(echo_servers: Servers, content: bytes) -> None:
    ask(echo_servers, content, {"Content-Type": "multipart/form-data; boundary=b"})


@bounded
@given(content=st.binary(max_size=300), media_type=GARBLED_TYPES)
def test_read_input_data_gets_any_bytes(raw_servers: Servers, content: bytes, media_type: str) -> None:
    ask(raw_servers, content, {"Content-Type": media_type})
