"""Answers reduced to what the contract promises, so that those of two servers can be compared."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.api.trios import Trio

REQUEST_ID = "the-same-everywhere"

_CONTRACT_HEADERS = (
    "allow",
    "content-length",
    "content-type",
    "location",
    "retry-after",
    "x-drum-user-http-error",
    "x-drum-version",
    "x-request-id",
)


@dataclass(frozen=True)
class Answer:
    """Status, body and the headers of the contract."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


def answer_of(response: httpx.Response) -> Answer:
    headers = sorted((name, value) for name, value in response.headers.multi_items() if name in _CONTRACT_HEADERS)
    return Answer(response.status_code, response.content, tuple(headers))


def ask_all(trio: Trio, method: str, path: str, **details: Any) -> dict[str, Answer]:
    """The same request to every server, with the same request id unless the request brings its own."""
    headers = httpx.Headers(details.pop("headers", None))
    headers.setdefault("X-Request-ID", REQUEST_ID)
    for server in trio.values():
        server.client.cookies.clear()  # an engine may have set some, and not every test asks all servers
    return {
        name: answer_of(server.client.request(method, server.url + path, headers=headers, **details))
        for name, server in trio.items()
    }


def the_one(answers: dict[str, Answer]) -> Answer:
    """The answer that all servers gave."""
    first, *others = answers.values()
    assert all(other == first for other in others), answers
    return first
