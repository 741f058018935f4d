"""Streamed predictions: formats, kinds of hooks, errors before and after the first chunk, disconnects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.aborted_responses import disconnect_after_first_chunk, read_until_abort, wait_until_recorded
from tests.api.all_servers import Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import Response, assert_same_response
from tests.api.streaming_models import BLOCKS, STREAM
from tests.api.test_payloads import message
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROUTE = "/predictionsStream/"
JSON_LINES, CSV, EVENTS = "application/x-ndjson", "text/csv", "text/event-stream"
BLOCK_ROWS = 10_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream")


@pytest.fixture(scope="module")
def all_servers(folder: Path) -> Iterator[Servers]:
    """A model with ``score_stream``."""
    model = write_code(folder / "model", STREAM)
    with running_servers(folder, "--code-dir", model, "--target-type", "regression") as servers:
        yield servers


@pytest.fixture(scope="module")
def block_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A model without ``score_stream``, with extra model output."""
    folder = tmp_path_factory.mktemp("blocks")
    model = write_code(folder / "model", BLOCKS)
    with running_servers(folder, "--code-dir", model, "--target-type", "regression") as servers:
        yield servers


@pytest.fixture
def block_server(block_servers: Servers, server_type: str) -> RunningServer:
    return block_servers[server_type]


def table(rows: int) -> bytes:
    """Rows whose columns have the same type in every block."""
    lines = (f"{row / 8 + 0.0625},{row},t{row % 7}" for row in range(rows))
    return "\n".join(["a,b,c", *lines, ""]).encode()


def stream(all_servers: Servers, body: bytes, accept: str | None = None, **details: Any) -> Response:
    """Return the response of all servers."""
    headers = {"Accept": accept} if accept else {}
    response = assert_same_response(all_servers, "POST", ROUTE, headers=headers, **{"content": body, **details})
    if response.status == 200:
        assert "content-length" not in dict(response.headers)
    return response


def act(all_servers: Servers, action: str, accept: str | None = None) -> Response:
    return stream(all_servers, f"action\n{action}\n".encode(), accept)


def media_type(response: Response) -> str:
    return dict(response.headers)["content-type"]


def predicted(all_servers: Servers, body: bytes) -> Response:
    return assert_same_response(all_servers, "POST", "/predictions/", content=body)


def lines_of(response: Response) -> list[Any]:
    assert response.body.endswith(b"\n") or not response.body
    return [json.loads(line) for line in response.body.splitlines()]


def events_of(response: Response) -> list[str]:
    return response.body.decode().split("\n\n")[:-1]


# Blocks of rows


@each_case("rows", [1, BLOCK_ROWS, 2 * BLOCK_ROWS + 5])
def test_the_stream_has_the_bytes_of_predictions(block_servers: Servers, rows: int) -> None:
    response = stream(block_servers, table(rows))
    assert (response.status, media_type(response)) == (200, "application/octet-stream")
    assert response.body == predicted(block_servers, table(rows)).body


@each_case("path", ["/predictionsStream", ROUTE])
def test_the_response_has_the_streaming_headers(block_server: RunningServer, path: str) -> None:
    response = block_server.client.post(path, content=table(2))
    assert (response.status_code, response.headers["X-Streaming"]) == (200, "true")
    assert (response.headers["Cache-Control"], response.headers["X-Accel-Buffering"]) == ("no-cache", "no")


def test_a_form_streams_like_a_raw_body(block_servers: Servers) -> None:
    response = assert_same_response(block_servers, "POST", ROUTE, files={"X": ("x.csv", table(BLOCK_ROWS + 1))})
    assert response.body == predicted(block_servers, table(BLOCK_ROWS + 1)).body


def test_a_model_without_extra_output_streams_predictions_only(echo_servers: Servers) -> None:
    response = stream(echo_servers, table(BLOCK_ROWS + 1))
    assert response.body == predicted(echo_servers, table(BLOCK_ROWS + 1)).body
    assert lines_of(stream(echo_servers, table(1), JSON_LINES))[0].keys() == {"prediction"}


def test_each_json_line_holds_a_row(block_servers: Servers) -> None:
    rows = BLOCK_ROWS + 2
    response = stream(block_servers, table(rows), JSON_LINES)
    document = json.loads(predicted(block_servers, table(rows)).body)
    assert media_type(response) == JSON_LINES
    assert lines_of(response) == [
        {"prediction": prediction, "extraModelOutput": extra}
        for prediction, extra in zip(document["predictions"], document["extraModelOutput"], strict=True)
    ]


def test_csv_has_a_header_and_a_line_for_each_row(block_servers: Servers) -> None:
    rows = BLOCK_ROWS + 2
    response = stream(block_servers, table(rows), CSV)
    header, first, *others = response.body.decode().splitlines()
    assert media_type(response) == CSV
    assert (header, first, len(others)) == ("Predictions,whole,text", "0.03125,0,t0ä", rows - 1)
    assert others[-1] == f"{(rows - 1) / 16 + 0.03125},{rows - 1},t{(rows - 1) % 7}ä"


def test_each_event_holds_a_block(block_servers: Servers) -> None:
    rows = BLOCK_ROWS + 2
    response = stream(block_servers, table(rows), EVENTS)
    first, second, end = events_of(response)
    document = json.loads(predicted(block_servers, table(rows)).body)
    blocks = [json.loads(event.removeprefix("data: ")) for event in (first, second)]
    assert media_type(response) == EVENTS
    assert end == "data: [DONE]"
    assert [len(block["predictions"]) for block in blocks] == [BLOCK_ROWS, 2]
    for key in ("predictions", "extraModelOutput"):
        assert [item for block in blocks for item in block[key]] == document[key]


@each_case(
    ("accept", "expected"),
    [
        ("*/*", "application/octet-stream"),
        ("text/csv;q=0.5, application/x-ndjson", JSON_LINES),
        ("text/csv;q=0.5, application/x-ndjson;q=0.4, */*;q=0.1", CSV),
        ("*/*, text/event-stream", EVENTS),
        ("text/html, application/json", "application/octet-stream"),
        ("application/octet-stream;q=0, */*", JSON_LINES),
        ("text/csv;q=²", "application/octet-stream"),
    ],
)
def test_the_accept_header_selects_the_format(block_servers: Servers, accept: str, expected: str) -> None:
    headers = [(b"Accept", accept.encode("latin-1"))]
    response = assert_same_response(block_servers, "POST", ROUTE, content=table(1), headers=headers)
    assert (response.status, media_type(response).partition(";")[0]) == (200, expected)


@each_case(
    ("body", "text", "accept"),
    [
        (b"", "empty", None),
        (b"", "empty", JSON_LINES),
        (b"a,b,c\n", "no ", CSV),
        (b"a,b\n1,2\n", "'c'", EVENTS),
        (b"a,b\n1,2\n", "'c'", None),
    ],
    ids=["empty", "empty-json-lines", "no rows-csv", "column-events", "column"],
)
def test_an_error_before_the_first_block_is_an_error_response(
    block_servers: Servers, body: bytes, text: str, accept: str | None
) -> None:
    response = stream(block_servers, body, accept)
    assert (response.status, media_type(response)) == (predicted(block_servers, body).status, "application/json")
    assert text in message(response)


BROKEN = table(BLOCK_ROWS) + b"1,2,3,4,5\n"


def test_a_late_error_aborts_formats_without_error_records(block_server: RunningServer) -> None:
    for accept in ("application/octet-stream", CSV):
        status, came = read_until_abort(block_server, ROUTE, content=BROKEN, headers={"Accept": accept})
        assert status == 200
        assert not came.endswith(b"}")
    assert block_server.client.post(ROUTE, content=table(1)).status_code == 200


def test_a_late_error_is_the_last_line(block_servers: Servers) -> None:
    *rows, last = lines_of(stream(block_servers, BROKEN, JSON_LINES))
    assert len(rows) == BLOCK_ROWS
    assert last["error"]["message"].startswith("ERROR: ")


def test_a_late_error_is_the_last_event(block_servers: Servers) -> None:
    *blocks, last = events_of(stream(block_servers, BROKEN, EVENTS))
    assert len(blocks) == 1
    kind, _, data = last.partition("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["message"].startswith("ERROR: ")


# The hook


@each_case(
    ("action", "body"),
    [
        ("text", "Hello wörld\n".encode()),
        ("bytes", b"\x00\xff"),
        ("async", "aä".encode()),
        ("frames", b'{"predictions":[1.0,2.0,3.0]}'),
        ("async-frames", b'{"predictions":[1.0,2.0]}'),
        ("extra", '{"predictions":[1.0,2.0],"extraModelOutput":[{"more":"a"},{"more":"ü,"}]}'.encode()),
        ("missing", b'{"predictions":[1.0,null,null]}'),
        ("no-rows", b'{"predictions":[]}'),
    ],
)
def test_chunks_of_the_hook_are_sent_by_default(all_servers: Servers, action: str, body: bytes) -> None:
    response = act(all_servers, action)
    assert (response.status, response.body) == (200, body)


@each_case(
    ("action", "lines"),
    [
        ("text", [{"chunk": "Hello "}, {"chunk": "wörld"}, {"chunk": "\n"}]),
        ("bytes", [{"chunk": "\x00"}, {"chunk": "\ufffd"}]),
        ("frames", [{"prediction": 1.0}, {"prediction": 2.0}, {"prediction": 3.0}]),
        ("missing", [{"prediction": 1.0}, {"prediction": None}, {"prediction": None}]),
        (
            "extra",
            [
                {"prediction": 1.0, "extraModelOutput": {"more": "a"}},
                {"prediction": 2.0, "extraModelOutput": {"more": "ü,"}},
            ],
        ),
        ("none", []),
    ],
)
def test_chunks_of_the_hook_are_sent_as_json_lines(all_servers: Servers, action: str, lines: list[Any]) -> None:
    assert lines_of(act(all_servers, action, JSON_LINES)) == lines


@each_case(
    ("action", "events"),
    [
        ("text", ['data: {"chunk":"Hello "}', 'data: {"chunk":"wörld"}', 'data: {"chunk":"\\n"}', "data: [DONE]"]),
        ("async-frames", ['data: {"predictions":[1.0]}', 'data: {"predictions":[2.0]}', "data: [DONE]"]),
        ("none", ["data: [DONE]"]),
    ],
)
def test_chunks_of_the_hook_are_sent_as_events(all_servers: Servers, action: str, events: list[str]) -> None:
    assert events_of(act(all_servers, action, EVENTS)) == events


@each_case(
    ("action", "text"),
    [
        ("text", "Hello wörld\n"),
        ("frames", "Predictions\n1.0\n2.0\n3.0\n"),
        ("extra", 'Predictions,more\n1.0,a\n2.0,"ü,"\n'),
        ("missing", 'Predictions\n1.0\n""\ninf\n'),
        ("none", ""),
    ],
)
def test_chunks_of_the_hook_are_sent_as_csv(all_servers: Servers, action: str, text: str) -> None:
    assert act(all_servers, action, CSV).body.decode() == text


def test_plain_predictions_do_not_call_the_streaming_hook(all_servers: Servers) -> None:
    response = predicted(all_servers, b"x\n1\n2\n")
    assert json.loads(response.body)["predictions"] == [2.0, 4.0]


@each_case(
    ("action", "text", "accept"),
    [
        ("fails-first", "ValueError: not even one", CSV),
        ("number-first", "returned an int", JSON_LINES),
        ("list", "returned a list", None),
        ("no such action", "KeyError", CSV),
    ],
)
def test_an_error_before_the_first_chunk_is_an_error_response(
    all_servers: Servers, action: str, text: str, accept: str | None
) -> None:
    response = act(all_servers, action, accept)
    assert (response.status, media_type(response)) == (500, "application/json")
    assert text in message(response)


def test_a_custom_http_error_sets_the_response(all_servers: Servers) -> None:
    response = act(all_servers, "teapot-first", JSON_LINES)
    assert (response.status, dict(response.headers)["x-drum-user-http-error"]) == (418, "true")


@each_case(
    ("action", "came"),
    [("fails-later", b'{"predictions":[1.0,2.0'), ("teapot-later", b"a"), ("kinds", b'{"predictions":[1.0')],
)
def test_an_error_after_the_first_chunk_aborts_the_response(server: RunningServer, action: str, came: bytes) -> None:
    status, begun = read_until_abort(server, ROUTE, content=f"action\n{action}\n".encode())
    assert status == 200
    assert came.startswith(begun)
    assert server.client.post(ROUTE, content=b"action\ntext\n").status_code == 200


@each_case(
    ("action", "text"),
    [("fails-later", "ERROR: ValueError: no more"), ("teapot-later", "short and stout"), ("number-later", "an int")],
)
def test_an_error_after_the_first_chunk_is_a_record(all_servers: Servers, action: str, text: str) -> None:
    *before, last = lines_of(act(all_servers, action, JSON_LINES))
    assert before
    assert text in last["error"]["message"]
    *before, event = events_of(act(all_servers, action, EVENTS))
    assert before and event.startswith("event: error\ndata: ")


@each_case(
    ("action", "accept"),
    [("endless", "*/*"), ("endless-async", JSON_LINES)],
)
def test_a_disconnect_closes_the_generator_and_frees_its_slot(
    server: RunningServer, server_type: str, folder: Path, action: str, accept: str
) -> None:
    mark = f"{server_type} {action} {accept}"
    body = f"action,mark\n{action},{mark}\n".encode()
    assert disconnect_after_first_chunk(server, ROUTE, content=body, headers={"Accept": accept})
    wait_until_recorded(server, folder, mark)
    assert server.client.post(ROUTE, content=b"action\ntext\n").status_code == 200
