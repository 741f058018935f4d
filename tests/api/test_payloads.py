"""Raw bodies of ``/predict/``: media types, charsets, csv and Matrix Market, good and bad."""

import gzip
import io

import httpx
import pandas as pd
import pytest

from tests.api.all_servers import Servers
from tests.api.responses import Response, assert_same_response
from tests.cases import each_case

pytestmark = pytest.mark.process

CSV = b"a,b\n1,2\n3,4\n"
MTX = b"%%MatrixMarket matrix coordinate real general\n2 3 2\n1 1 1.5\n2 3 -2\n"


def predict(
    all_servers: Servers, content: bytes, media_type: str | bytes | None = None, **headers: str | bytes
) -> Response:
    """Send a raw body; return the response of all servers."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if media_type is not None:
        fields["Content-Type"] = media_type
    return assert_same_response(all_servers, "POST", "/predict/", content=content, headers=fields)


def message(response: Response) -> str:
    """Return the text of an error response."""
    assert dict(response.headers)["content-type"] == "application/json"
    document = httpx.Response(response.status, content=response.body).json()
    assert document["message"].startswith("ERROR: ")
    assert "Traceback" not in document["message"]
    return str(document["message"])


@pytest.fixture(scope="module")
def csv_response(echo_servers: Servers) -> Response:
    response = predict(echo_servers, CSV, "text/csv")
    assert response.status == 200
    return response


@pytest.fixture(scope="module")
def mtx_response(echo_servers: Servers) -> Response:
    response = predict(echo_servers, MTX, "text/mtx")
    assert response.status == 200
    return response


@each_case(
    "media_type",
    [
        None,
        "",
        'text/csv;charset="UTF-8"',
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "nonsense",
        "text/mtx2",
        "x" * 2000,
        b"text/csv; name=\xe4\xff",
    ],
)
def test_a_raw_body_is_csv_by_default(
    echo_servers: Servers, csv_response: Response, media_type: str | bytes | None
) -> None:
    assert predict(echo_servers, CSV, media_type) == csv_response


@each_case("media_type", ["text/mtx", "Text/Mtx; charset=utf-8"])
def test_the_media_type_selects_matrix_market(echo_servers: Servers, mtx_response: Response, media_type: str) -> None:
    assert predict(echo_servers, MTX, media_type) == mtx_response


@each_case(
    ("charset", "text"),
    [("latin-1", "ä,ö\nü,ß\n"), ("utf-16", "ä,ö\n日,ß\n"), ("shift_jis", "a,b\n日,本\n")],
)
def test_the_charset_of_the_body_is_used(echo_servers: Servers, charset: str, text: str) -> None:
    encoded = predict(echo_servers, text.encode(charset), f'text/csv; charset="{charset}"')
    assert encoded.status == 200
    assert encoded == predict(echo_servers, text.encode())


@each_case(
    "charset",
    ["nonsense", "hex", "日".encode()],
)
def test_an_unknown_charset_gets_422(echo_servers: Servers, charset: str | bytes) -> None:
    name = charset.encode() if isinstance(charset, str) else charset
    response = predict(echo_servers, CSV, b"text/csv; charset=" + name)
    assert response.status == 422
    assert "charset" in message(response)


@each_case(
    "parameter",
    ["charset*=utf-8''latin-1", "charset*0=lat; charset*1=in-1", 'x="'],
)
def test_unknown_parameters_are_ignored(echo_servers: Servers, csv_response: Response, parameter: str) -> None:
    assert predict(echo_servers, CSV, f"text/csv; {parameter}") == csv_response


@each_case("value", ['"\\utf-16"', 'utf-16 ;x="a;charset=hex"'])
def test_the_first_charset_parameter_counts(echo_servers: Servers, csv_response: Response, value: str) -> None:
    assert predict(echo_servers, CSV.decode().encode("utf-16"), f"text/csv;x=y;charset={value}") == csv_response


@each_case(
    "body",
    [b"\xef\xbb\xbf" + CSV, b"a,b\r1,2\r3,4\r", b"a,b\n\n1,2\n\n3,4\n\n"],
    ids=["byte order mark", "cr", "blank lines"],
)
def test_equivalent_csv_predicts_the_same(echo_servers: Servers, csv_response: Response, body: bytes) -> None:
    assert predict(echo_servers, body, "text/csv") == csv_response


@each_case(
    "body",
    [
        b'a,b\n"x\ny","say ""hi"""\n',
        b"a,a,a\n1,2,3\n",
        "ä,日本,\U0001f600\n1,é,3\n".encode(),
        b"a,b,c\n1\n1,2\n1,2,3\n",
        b"a,b\n99999999999999999999999,1e400\n",
    ],
    ids=["quotes and newlines", "duplicate names", "unicode names", "short rows", "enormous numbers"],
)
def test_unusual_csv_is_predicted(echo_servers: Servers, body: bytes) -> None:
    response = predict(echo_servers, body, "text/csv")
    assert response.status == 200, response.body
    assert response.body.startswith(b'{"predictions":[')


def test_five_thousand_columns_are_predicted(echo_servers: Servers) -> None:
    body = ",".join(f"c{i}" for i in range(5000)) + "\n" + ",".join(map(str, range(5000))) + "\n"
    assert predict(echo_servers, body.encode()).status == 200


@each_case(
    ("body", "fragment"),
    [
        (b"", "empty"),
        (b"a,b\n", "no data rows"),
        (b"a,b\n1,2\n1,2,3\n", "fields"),
        (b'a,b\n"1,2\n', "string"),
        (b"a,b\n\xff\xfe,1\n", "UTF-8"),
        (bytes(range(256)), ""),
        (gzip.compress(CSV), ""),
    ],
    ids=[
        "empty",
        "header alone",
        "later row too wide",
        "open quote",
        "not utf-8",
        "all bytes",
        "gzip without saying so",
    ],
)
def test_invalid_csv_gets_422(echo_servers: Servers, body: bytes, fragment: str) -> None:
    response = predict(echo_servers, body, "text/csv")
    assert response.status == 422
    assert fragment in message(response)


@each_case(
    "body",
    [
        b"",
        CSV,
        b"%%MatrixMarket matrix coordinate real general\n2 2 1\n9 9 1\n",
        b"%%MatrixMarket matrix array real general\n999999999 999999999\n1\n",
        MTX[:-4],
    ],
    ids=["empty", "csv", "outside", "absurd size", "cut off"],
)
def test_invalid_matrix_market_gets_422(echo_servers: Servers, body: bytes) -> None:
    response = predict(echo_servers, body, "text/mtx")
    assert response.status == 422
    message(response)


@each_case(
    ("body", "media_type"),
    [(b'{"a": [1], "b": []}', "application/json"), (b"a,b\n1,2\n", "application/json")],
    ids=["object", "csv"],
)
def test_invalid_json_gets_422(echo_servers: Servers, body: bytes, media_type: str) -> None:
    response = predict(echo_servers, body, media_type)
    assert response.status == 422
    assert "JSON" in message(response)


@each_case(
    ("body", "media_type"),
    [
        (b'{"a": 1}', "application/json"),
        (b'{"a": 1}', "text/mtx"),
        (b"\x00\xff" * 1000, "text/csv; charset=hex"),
        (b"\r\n", None),
    ],
    ids=["json", "json-as-mtx", "binary-as-csv", "newline"],
)
def test_read_input_data_gets_the_body_unchanged(raw_servers: Servers, body: bytes, media_type: str | None) -> None:
    response = predict(raw_servers, body, media_type)
    assert response.status == 200
    assert response.body.startswith(b'{"predictions":[%d.0,' % len(body))


@each_case("body", [b"raise", b"none"])
def test_a_failing_read_hook_gets_500(raw_servers: Servers, body: bytes) -> None:
    response = predict(raw_servers, body)
    assert response.status == 500
    message(response)


def test_a_body_of_more_than_10_mib_is_predicted_as_a_small_one(echo_servers: Servers) -> None:
    buffer = io.StringIO()
    pd.DataFrame({"a": [0.1234567890123] * 1000, "text": ["x" * 11_000] * 1000}).to_csv(buffer, index=False)
    body = buffer.getvalue().encode()
    head = b"".join(body.splitlines(keepends=True)[:2])
    assert len(body) > 11_000_000
    many, one = predict(echo_servers, body), predict(echo_servers, head)
    [prediction] = httpx.Response(200, content=one.body).json()["predictions"]
    assert httpx.Response(200, content=many.body).json()["predictions"] == [prediction] * 1000
