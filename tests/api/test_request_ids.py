"""``X-Request-ID``: returned if it is safe in a log line, generated otherwise."""

import uuid

import httpx
import pytest

from tests.api.all_servers import Servers
from tests.api.connections import exchange, request_bytes
from tests.api.responses import assert_same_response
from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROUTES = [("GET", "/"), ("GET", "/stats/"), ("POST", "/predict/"), ("GET", "/nothing"), ("DELETE", "/predict/")]
VALID = ["a", "0", "x" * 128, "7f0c", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "None", "a,b"]
INVALID = [b"", b"x" * 129, b"a b", b"a\tb", "ünï".encode("latin-1"), "日".encode(), b"\x80", b"a\xa0b", b"\xff" * 5]


def is_uuid(text: str) -> bool:
    return str(uuid.UUID(text)) == text


def test_every_response_has_an_id_of_its_own(client: httpx.Client) -> None:
    ids = [client.request(method, path).headers["X-Request-ID"] for method, path in ROUTES * 2]
    assert len(set(ids)) == len(ids)
    assert all(map(is_uuid, ids))


def test_the_id_of_the_client_is_returned_on_every_route(client: httpx.Client) -> None:
    for method, path in ROUTES:
        response = client.request(method, path, headers={"X-Request-ID": "my-id-1"})
        assert response.headers.get_list("X-Request-ID") == ["my-id-1"], path


def test_up_to_128_visible_ascii_characters_are_returned(client: httpx.Client) -> None:
    assert [client.get("/", headers={"x-request-id": sent}).headers["X-Request-ID"] for sent in VALID] == VALID


def test_any_other_id_is_replaced(client: httpx.Client) -> None:
    for sent in INVALID:
        response = client.get("/", headers=[(b"X-Request-ID", sent)])
        assert (sent, response.status_code) == (sent, 200)
        assert is_uuid(response.headers["X-Request-ID"]), sent


def test_blanks_around_an_id_are_ignored(server: RunningServer) -> None:
    for value in (b"a ", b" a", b"\ta", b"a\t ", b"a"):
        response = exchange(server, request_bytes(server, "GET / HTTP/1.1", b"X-Request-ID:" + value))
        assert b"\r\nx-request-id: a\r\n" in response.lower(), value


def test_the_header_name_is_case_insensitive(client: httpx.Client) -> None:
    names = ["X-REQUEST-ID", "x-request-id", "X-Request-Id"]
    assert [client.get("/", headers={name: "a"}).headers["X-Request-ID"] for name in names] == ["a"] * 3


def test_two_ids_are_joined_to_a_list(echo_servers: Servers) -> None:
    response = assert_same_response(echo_servers, "GET", "/", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])
    assert dict(response.headers)["x-request-id"] == "a,b"


def test_a_header_name_with_underscores_is_ignored(client: httpx.Client) -> None:
    assert is_uuid(client.get("/", headers={"X_Request_ID": "evil"}).headers["X-Request-ID"])


def test_the_log_line_of_a_request_has_its_id(server: RunningServer) -> None:
    server.client.post("/predict/", content=b"action\nraise\n", headers={"X-Request-ID": "look-for-me"})
    server.wait_until(lambda: "look-for-me" in server.log(), "log line with the id")
