import string

from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.media_type import MediaType
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, json_response, parse_query
from tests.cases import each_case

NAMES = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=12)
VALUES = st.text(st.characters(codec="latin-1"), max_size=12)


# Media types


@each_case(
    ("value", "essence", "parameters"),
    [
        (None, "", {}),
        ("", "", {}),
        (" Text/CSV ", "text/csv", {}),
        ("text/csv; charset=UTF-8", "text/csv", {"charset": "UTF-8"}),
        ("text/csv;CharSet = latin-1 ; header=present", "text/csv", {"charset": "latin-1", "header": "present"}),
        (r'a/b; x="a;b=\"c\"\\"; y=1', "a/b", {"x": r'a;b="c"' + "\\", "y": "1"}),
        ("text/csv; charset", "text/csv", {}),
        ("text/csv; charset=", "text/csv", {"charset": ""}),
        ("text/csv; charset=a; charset=b", "text/csv", {"charset": "a"}),
        ("text/csv; charset*=utf-8''latin-1", "text/csv", {"charset*": "utf-8''latin-1"}),
        ('text/csv; x="unterminated', "text/csv", {"x": '"unterminated'}),
        ("; charset=utf-8", "", {"charset": "utf-8"}),
    ],
)
def test_media_type_is_parsed(value: str | None, essence: str, parameters: dict[str, str]) -> None:
    parsed = MediaType.parse(value)
    assert (parsed.essence, dict(parsed.parameters)) == (essence, parameters)


@each_case(
    ("value", "charset"),
    [("text/csv", None), ("text/csv; charset=", None), ('a/b; CHARSET="x"', "x"), ("a/b; charset*=utf-8''x", None)],
)
def test_charset_is_read_from_the_parameters(value: str, charset: str | None) -> None:
    assert MediaType.parse(value).charset == charset


MARKS = st.sampled_from(
    [";", "=", '"', "\\", "*", "*0", "*1*", "charset", "utf-8''", " ", "\t", "\r\n ", "a/b", "9" * 5000]
)


@given(st.lists(MARKS | st.text(max_size=3), max_size=12).map("".join))
def test_any_media_type_value_is_parsed(value: str) -> None:
    parsed = MediaType.parse(value)
    assert parsed.essence == parsed.essence.strip().lower()
    texts: list[object] = [*parsed.parameters.values()]
    assert all(isinstance(text, str) for text in texts)
    assert all(name == name.lower() for name in parsed.parameters)


@given(st.dictionaries(NAMES.map(str.lower), st.text(st.characters(codec="ascii"), max_size=10), max_size=4))
def test_quoted_parameters_are_parsed(parameters: dict[str, str]) -> None:
    quoted = {name: value.replace("\\", r"\\").replace('"', r"\"") for name, value in parameters.items()}
    value = "".join(f'; {name}="{text}"' for name, text in quoted.items())
    assert MediaType.parse("a/b" + value).parameters == parameters


# Queries


@each_case(
    ("query_string", "query"),
    [
        ("", {}),
        ("a=1&a=2", {"a": "1"}),
        ("a=&b", {"a": "", "b": ""}),
        ("a=x+y%20z", {"a": "x y z"}),
        ("a=%C3%A4", {"a": "ä"}),
        ("a=%FF", {"a": "\ufffd"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a=b=c", {"a": "b=c"}),
        ("&&a=1&", {"a": "1"}),
        ("=1", {"": "1"}),
    ],
)
def test_query_is_parsed(query_string: str, query: dict[str, str]) -> None:
    assert parse_query(query_string) == query


@given(st.text(max_size=30))
def test_any_query_is_parsed(query_string: str) -> None:
    texts: list[object] = [text for item in parse_query(query_string).items() for text in item]
    assert all(isinstance(text, str) for text in texts)


# Requests and responses


def test_request_has_media_type_of_its_header() -> None:
    request = ModelRequest(headers=Headers([("content-type", "text/csv; charset=x")]))
    assert (request.media_type.essence, request.media_type.charset) == ("text/csv", "x")
    assert ModelRequest().media_type == MediaType()


def test_json_response_encodes_nan_and_infinity_as_null() -> None:
    response = json_response({"a": float("nan"), "b": float("inf"), 1: "ä"})
    assert response.content == '{"a":null,"b":null,"1":"ä"}'.encode()
    assert (response.media_type, response.status, response.headers) == ("application/json", 200, {})


def test_json_response_has_given_status_and_headers() -> None:
    response = json_response([], status=503, headers={"Retry-After": "5"})
    assert response == ModelResponse(b"[]", status=503, headers={"Retry-After": "5"})
