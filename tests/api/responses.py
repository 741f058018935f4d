"""The same request to every server, and responses reduced to what the API promises, so that they can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.api.all_servers import Servers

REQUEST_ID = "the-same-everywhere"

_COMPARED_HEADERS = (
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "content-length",
    "content-type",
    "location",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-drum-user-http-error",
    "x-drum-version",
    "x-request-id",
)


@dataclass(frozen=True)
class Response:
    """Status, body and the compared headers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


def comparable_response(response: httpx.Response) -> Response:
    headers = sorted((name, value) for name, value in response.headers.multi_items() if name in _COMPARED_HEADERS)
    return Response(response.status_code, response.content, tuple(headers))


def request_all(servers: Servers, method: str, path: str, **details: Any) -> dict[str, Response]:
    """Send the same request to every server, with one request id unless the request has its own."""
    headers = httpx.Headers(details.pop("headers", None))
    headers.setdefault("X-Request-ID", REQUEST_ID)
    for server in servers.values():
        server.client.cookies.clear()  # an engine may have set some, and not every test calls all servers
    return {
        name: comparable_response(server.client.request(method, server.url + path, headers=headers, **details))
        for name, server in servers.items()
    }


def same_response(responses: Mapping[str, Response]) -> Response:
    """Return the response of all servers; fail with the name of each server that differs from the first."""
    (first_name, first), *others = responses.items()
    different = {name: response for name, response in others if response != first}
    assert not different, f"{', '.join(different)} not as {first_name}: {different} instead of {first}"
    return first


def assert_same_response(servers: Servers, method: str, path: str, **details: Any) -> Response:
    """Send the same request to every server and return their response, which has to be the same."""
    return same_response(request_all(servers, method, path, **details))
