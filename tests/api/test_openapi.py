"""The OpenAPI document and its page: the same on all three servers, and true of each kind of model."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from datarobot_drum import __version__
from datarobot_drum.drum.exceptions import NotFound
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.serving.openapi.docs_page import DescribedModel, OpenApiHandlers
from datarobot_drum.drum.serving.openapi.document import build_document, documented_paths
from datarobot_drum.drum.serving.openapi.model_card import ModelCard
from datarobot_drum.drum.serving.openapi.operations import OPERATIONS, ServedApi
from datarobot_drum.drum.serving.routes import ROUTES, Route
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType
from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import Response, assert_same_response
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

Document = dict[str, Any]

CHROMIUM = shutil.which("chromium")
PREFIX = "/a/b"
DOCUMENTATION = [
    *("/openapi.json", "/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"),
    "/playground",
    "/playground/models.json",
]

CHAT = """
import pandas as pd


def score(data, model, target_name, **kwargs):
    return pd.DataFrame({target_name: ["response"] * len(data)})


def chat(completion_create_params, model):
    return {"object": "chat.completion", "choices": []}
"""

FLASK_EXTENSION = "def init_app(app): app.get('/more/1')(lambda: {'more': 1})\n"
FASTAPI_EXTENSION = """
from pydantic import BaseModel


class More(BaseModel):
    more: int


def init_app(app):
    @app.get("/more/{number}")
    def more(number: int) -> More:
        return More(more=number)
"""


def validate(document: Document) -> None:
    """Check the document against the OpenAPI schema, by a library that takes seconds to import."""
    from openapi_spec_validator import validate

    validate(document)


@pytest.fixture(scope="module")
def chat_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A text generation model below a prefix, with an extension of each kind."""
    folder = tmp_path_factory.mktemp("chat")
    model = write_code(folder / "model", CHAT)
    (model / "custom_flask.py").write_text(FLASK_EXTENSION)
    (model / "custom_fastapi.py").write_text(FASTAPI_EXTENSION)
    environment = {"TARGET_NAME": "response", "URL_PREFIX": PREFIX}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "textgeneration", environment=environment, server_types=FRAMEWORKS
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def undocumented_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The documentation is switched off."""
    folder = tmp_path_factory.mktemp("undocumented")
    model = write_code(folder / "model", CHAT)
    environment = {"TARGET_NAME": "response", "DRUM_ENABLE_DOCS": "0"}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "textgeneration", environment=environment, server_types=FRAMEWORKS
    ) as servers:
        yield servers


UNKNOWN_COLUMNS = ModelCard({"name": "model", "version": "1"}, TargetType.REGRESSION)
"""The card of a model of code alone, without a sample."""

EVERY_KIND = [
    *(
        ServedApi(target_type, can_chat=target_type.may_chat, can_embed=target_type.may_chat)
        for target_type in TargetType
    ),
    ServedApi(TargetType.TEXT_GENERATION, has_engine=True),
]
"""Of models, as far as their documents differ."""


def get(all_servers: Servers, path: str) -> Response:
    """The one response of all servers."""
    return assert_same_response(all_servers, "GET", path)


def document_of(server: RunningServer) -> Document:
    document: Document = server.client.get(server.url + "/openapi.json").json()
    return document


def built(target_type: TargetType, **more: Any) -> Document:
    return build_document(ServedApi(target_type, can_chat=target_type.may_chat, **more))


def operations(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each path, method and description."""
    return ((path, method, operation) for path, item in document["paths"].items() for method, operation in item.items())


# The document


def without_digest(document: dict[str, Any]) -> dict[str, Any]:
    """Take the digest of the model folder, which differs from server to server, out of a document."""
    assert re.fullmatch("[0-9a-f]{12}", document["info"]["x-drum-model"].pop("digest"))
    return document


def test_the_servers_serve_the_same_valid_document(echo_servers: Servers) -> None:
    response = get(echo_servers, "/openapi.json")
    assert (response.status, dict(response.headers)["content-type"]) == (200, "application/json")
    document = json.loads(response.body)
    validate(document)
    assert (document["openapi"], document["info"]["version"]) == ("3.1.0", __version__)
    assert without_digest(document) == built(TargetType.REGRESSION, card=UNKNOWN_COLUMNS)


def test_the_document_declares_keys_and_limits() -> None:
    document = built(TargetType.REGRESSION, needs_key=True, has_rate_limit=True)
    validate(document)
    assert document["security"] == [{"DrumBearerKey": []}, {"DrumHeaderKey": []}]
    schemes = document["components"]["securitySchemes"]
    assert (schemes["DrumBearerKey"]["scheme"], schemes["DrumHeaderKey"]["name"]) == ("bearer", "X-API-Key")
    open_paths = {path for path, method, operation in operations(document) if operation.get("security") == []}
    assert open_paths == {"/", "/ping", "/health", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}
    assert all(
        ({"401", "429"} <= operation["responses"].keys()) == (path not in open_paths)
        for path, _, operation in operations(document)
    )
    assert "security" not in built(TargetType.REGRESSION)


@each_case("target_type", TargetType, ids=lambda target_type: target_type.value)
def test_the_document_of_every_kind_of_model_is_valid(target_type: TargetType) -> None:
    document = built(target_type, url_prefix=PREFIX)
    validate(document)
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(path.startswith(PREFIX + "/") for path in document["paths"])


def test_routes_and_described_operations_are_the_same() -> None:
    assert {route.handler for route in ROUTES} == set(OPERATIONS)


def test_every_route_is_described_with_all_its_paths_and_methods() -> None:
    described = [build_document(api)["paths"] for api in EVERY_KIND]
    assert [route.handler for route in ROUTES if not _is_described(route, described)] == []


def _is_described(route: Route, described: list[Any]) -> bool:
    paths = documented_paths(route)
    methods = {method.lower() for method in route.methods} - {"head"}
    serving = [found for found in described if set(paths) <= set(found)]
    return bool(serving) and all(set(found[path]) == methods for found in serving for path in paths)


def test_every_described_path_exists(echo_servers: Servers) -> None:
    """With and without a trailing slash, and with no status that the document does not name."""
    for path, method, operation in operations(document_of(echo_servers["flask"])):
        path = path.replace("{name}", "model").replace("{version}", "1")  # of every model folder without metadata
        for spelling in {path, path.rstrip("/") + "/"}:
            for server in echo_servers.values():
                status = server.client.request(method, spelling).status_code
                assert str(status) in operation["responses"] and status != 404, (method, spelling)


def test_only_routes_of_the_model_are_described(chat_servers: Servers) -> None:
    chats = document_of(chat_servers["flask"])["paths"]
    assert {PREFIX + path for path in ("/", "/predict", "/v1/chat/completions", "/models")} <= set(chats)
    assert not [path for path in chats if "nstructured" in path]
    assert "/chat/completions" not in built(TargetType.REGRESSION)["paths"]
    assert "/predict" not in built(TargetType.UNSTRUCTURED)["paths"]


def test_a_form_is_described_where_the_route_takes_one() -> None:
    fields = {path: route.form_fields for route in ROUTES for path in documented_paths(route)}
    for api in EVERY_KIND:
        for path, _, operation in operations(build_document(api)):
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
            described = set(form["schema"]["properties"]) if form else set()
            expected = set() if api.target_type is TargetType.UNSTRUCTURED else fields[path]
            assert described == expected, (api.target_type, path)


def test_routes_of_a_fastapi_extension_are_described(chat_servers: Servers) -> None:
    document = document_of(chat_servers["fastapi"])
    validate(document)
    more = document["paths"].pop("/more/{number}")["get"]["responses"]["200"]
    assert more["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/More"}
    assert document["paths"] == document_of(chat_servers["flask"])["paths"]


def test_an_extension_adds_routes(chat_servers: Servers) -> None:
    for server in chat_servers.values():
        response = server.client.get(f"http://127.0.0.1:{server.port}/more/1")
        assert (response.status_code, response.json()) == (200, {"more": 1})
        assert "x-drum-version" in response.headers


def test_an_error_server_describes_its_model(error_servers: Servers) -> None:
    response = get(error_servers, "/openapi.json")
    assert response.status == 200
    assert without_digest(json.loads(response.body)) == built(TargetType.REGRESSION, card=UNKNOWN_COLUMNS)


# The page


@each_case("path", ["/docs", "/docs/"])
def test_the_docs_page_loads_only_from_this_server(echo_servers: Servers, path: str) -> None:
    response = get(echo_servers, path)
    assert (response.status, dict(response.headers)["content-type"]) == (200, "text/html; charset=utf-8")
    assert not re.search(rb"https?:|src=.?//|href=.?//", response.body)
    for server in echo_servers.values():
        headers = server.client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; script-src 'self' 'sha256-")
        assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} < set(policy.split("; "))
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-cache"


@each_case("path", ["/playground", "/playground/"])
def test_the_playground_allows_its_own_script_and_server_alone(echo_servers: Servers, path: str) -> None:
    response = get(echo_servers, path)
    assert (response.status, dict(response.headers)["content-type"]) == (200, "text/html; charset=utf-8")
    assert not re.search(rb"https?://(?!www.w3.org/2000/svg)|src=.?//|href=.?//", response.body)
    for server in echo_servers.values():
        policy = server.client.get(path).headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "connect-src 'self'", "form-action 'none'", "trusted-types 'none'"} < set(policy)
        assert "unsafe" not in "".join(policy)


@each_case(
    ("path", "media_type", "beginning"),
    [
        ("/docs/swagger-ui-bundle.js?v=1", "text/javascript; charset=utf-8", b"/*! For license"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", b".swagger-ui"),
    ],
    ids=["script", "style"],
)
def test_the_server_serves_the_files_of_the_docs_page(
    echo_servers: Servers, path: str, media_type: str, beginning: bytes
) -> None:
    response = get(echo_servers, path)
    assert (response.status, dict(response.headers)["content-type"]) == (200, media_type)
    assert response.body.startswith(beginning)


def test_the_docs_route_serves_no_other_file(echo_servers: Servers) -> None:
    paths = ("/docs/LICENSE", "/docs/..%2fopenapi.json", "/docs/%2e%2e/setup.py", "/docs//etc/passwd")
    assert [path for path in paths if get(echo_servers, path).status != 404] == []


def test_disabled_documentation_responds_404(undocumented_servers: Servers) -> None:
    for path in DOCUMENTATION:
        for method in ("GET", "POST"):
            response = assert_same_response(undocumented_servers, method, path)
            assert (path, response.status, list(json.loads(response.body))) == (path, 404, ["message"])


def test_the_docs_page_names_the_missing_extra() -> None:
    model = ModelSettings(Path(), TargetType.REGRESSION, None, (), None, None, None, None)
    documentation = OpenApiHandlers(model, [DescribedModel(None, model)], ModelState(), package="a_missing_package")
    assert documentation.do_openapi(ModelRequest()).status == 200
    for handle in (documentation.do_docs, documentation.do_docs_script, documentation.do_docs_style):
        with pytest.raises(NotFound, match=r"datarobot-drum\[docs\]"):
            handle(ModelRequest())


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(("server_type", "path"), [("flask", "/docs"), ("fastapi", "/docs/")])
def test_a_browser_shows_the_docs_page_without_errors_or_foreign_requests(
    chat_servers: Servers, server_type: str, path: str, tmp_path: Path
) -> None:
    server = chat_servers[server_type]
    shown, complaints, urls = browse(server.url + path, tmp_path)
    assert "Complete a chat" in shown and "opblock-post" in shown
    assert complaints == []
    assert {urlsplit(url).netloc for url in urls} == {f"127.0.0.1:{server.port}"}


def browse(url: str, folder: Path) -> tuple[str, list[str], list[str]]:
    """The page as headless Chromium shows it, what its console says, and every URL that the page asked for.

    What the browser asks for on its own account has no origin as its initiator.
    """
    requests = folder / "requests.json"
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        # Browsers ask their makers for updates and the like: none of that leaves this machine.
        "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-component-update",
        f"--user-data-dir={folder / 'profile'}", f"--log-net-log={requests}", "--enable-logging=stderr", "--v=0",
        "--virtual-time-budget=10000", "--dump-dom", url,
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    complaints = [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
    asked = re.findall(r'"initiator":"https?://[^"]*",.*?"url":"(http[^"]*)"', requests.read_text())
    return ended.stdout, complaints, asked
