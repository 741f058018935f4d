"""``X-Request-ID``: echoed when it is fit to stand in a log line, made otherwise."""

import uuid

import httpx
import pytest

from tests.api.all_servers import Servers
from tests.api.connections import exchange, request_bytes
from tests.api.responses import assert_same_response
from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROUTES = [("GET", "/"), ("GET", "/stats/"), ("POST", "/predict/"), ("GET", "/nothing"), ("DELETE", "/predict/")]
FIT = ["a", "0", "x" * 128, "7f0c", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "None", "a,b"]
UNFIT = ["", "x" * 129, "a b", "a\tb", "ünï".encode("latin-1"), "日".encode(), b"\x80", b"a\xa0b", b"\xff" * 5]


def is_uuid(text: str) -> bool:
    return str(uuid.UUID(text)) == text


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_has_an_id_of_its_own(client: httpx.Client, method: str, path: str) -> None:
    ids = [client.request(method, path).headers["X-Request-ID"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert all(map(is_uuid, ids))


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_id_that_was_sent_comes_back(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path, headers={"X-Request-ID": "my-id-1"})
    assert response.headers.get_list("X-Request-ID") == ["my-id-1"]


@pytest.mark.parametrize("sent", FIT, ids=range(len(FIT)))
def test_up_to_128_visible_ascii_characters_are_echoed(client: httpx.Client, sent: str) -> None:
    assert client.get("/", headers={"x-request-id": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", UNFIT, ids=range(len(UNFIT)))
def test_any_other_id_is_replaced(client: httpx.Client, sent: str | bytes) -> None:
    value = sent.encode() if isinstance(sent, str) else sent
    response = client.get("/", headers=[(b"X-Request-ID", value)])
    assert response.status_code == 200
    assert is_uuid(response.headers["X-Request-ID"])


@pytest.mark.parametrize("value", [b"a ", b" a", b"\ta", b"a\t ", b"a"], ids=repr)
def test_blanks_around_an_id_do_not_belong_to_it(server: RunningServer, value: bytes) -> None:
    response = exchange(server, request_bytes(server, "GET / HTTP/1.1", b"X-Request-ID:" + value))
    assert b"\r\nx-request-id: a\r\n" in response.lower()


@pytest.mark.parametrize("name", ["X-REQUEST-ID", "x-request-id", "X-Request-Id"])
def test_the_name_of_the_header_is_read_in_any_case(client: httpx.Client, name: str) -> None:
    assert client.get("/", headers={name: "a"}).headers["X-Request-ID"] == "a"


def test_two_ids_are_one_list_on_all_servers(echo_servers: Servers) -> None:
    response = assert_same_response(echo_servers, "GET", "/", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])
    assert dict(response.headers)["x-request-id"] == "a,b"


def test_a_header_with_underscores_is_no_request_id(client: httpx.Client) -> None:
    assert is_uuid(client.get("/", headers={"X_Request_ID": "evil"}).headers["X-Request-ID"])


def test_the_id_stands_on_the_log_line_of_its_request(server: RunningServer) -> None:
    server.client.post("/predict/", content=b"action\nraise\n", headers={"X-Request-ID": "look-for-me"})
    server.wait_until(lambda: "look-for-me" in server.log(), "log line with the id")
