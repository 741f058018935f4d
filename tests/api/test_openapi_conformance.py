"""schemathesis: requests of every documented form, and malformed ones, get documented responses from all servers.

No undocumented status, no 5xx, bodies and headers that fit their schemas. ``OPENAPI_EXAMPLES`` in the environment asks
for more requests than a run of all tests wants to wait for.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.serving.formats.streaming import STREAM_FORMATS
from datarobot_drum.drum.serving.openapi.document import build_document, documented_paths
from datarobot_drum.drum.serving.openapi.operations import ServedApi
from datarobot_drum.drum.serving.routes import ROUTES
from datarobot_drum.drum.settings.target_types import TargetType
from tests.api.all_servers import Servers, running_servers
from tests.api.models import write_code
from tests.api.streaming_models import UNSTRUCTURED

if sys.version_info < (3, 11):
    pytest.skip("schemathesis needs Python 3.11", allow_module_level=True)

import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.process

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "12"))
"""Requests of each kind to each path that takes a body; a fourth of that to the others."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

CHAT = """
import pandas as pd


def score(data, model, target_name, **kwargs):
    return pd.DataFrame({target_name: [str(row) for row in data.to_dict("records")]})


def chat(completion_create_params, model, headers):
    choices = [{"index": 0, "message": message} for message in completion_create_params["messages"]]
    if completion_create_params.get("stream") is True:
        return iter([{"object": "chat.completion.chunk", "choices": choices}] * 3)
    return {**completion_create_params, "object": "chat.completion", "choices": choices}


def embed(texts, model):
    return [[float(len(text)), 0.5] for text in texts]
"""

CODE = {"unstructured": UNSTRUCTURED, "chat": CHAT}
APIS = {
    "structured": ServedApi(TargetType.REGRESSION),
    "unstructured": ServedApi(TargetType.UNSTRUCTURED, url_prefix="/a/b"),
    "chat": ServedApi(TargetType.TEXT_GENERATION, can_chat=True, can_embed=True),
}

CELLS = st.sampled_from(["a", "1", "-1.5e9", "é", "", '"', '""', ",", ",", ",", "\n", "\n", "\r\n", "\x00", "NaN"])
MATRIX = "%%MatrixMarket matrix coordinate real general\n"
LINES = st.sampled_from(["1 1 2.5\n", "2 2 1\n", "2 2 2\n", "% a comment\n", "1 3 x\n", "\n"])

schemathesis.openapi.media_type("text/csv", st.lists(CELLS, max_size=30).map(lambda cells: "".join(cells).encode()))
schemathesis.openapi.media_type(
    "text/mtx", st.lists(LINES, max_size=5).map(lambda lines: (MATRIX + "".join(lines)).encode())
)

ACCEPTS = st.sampled_from(["*/*", *(form.media_type for form in STREAM_FORMATS)])

MODEL = {"name": "model", "version": "1"}
"""The path parameters of V2 that name the served model."""

KNOWN = st.sampled_from([True, True, True, False])


def _operations() -> Iterator[Any]:
    """Every route's first path of each kind of model; malformed requests only where there is a body to malform."""
    for name, api in APIS.items():
        first = {documented_paths(route, api.url_prefix)[0] for route in ROUTES}
        for path, item in build_document(api)["paths"].items():
            for method, operation in item.items() if path in first else ():
                modes = list(GenerationMode) if "requestBody" in operation else [GenerationMode.POSITIVE]
                for mode in modes:
                    yield pytest.param(name, path, method, mode, id=f"{name}-{method}-{path}-{mode.value}")


@pytest.fixture(scope="module")
def servers_by_api(echo_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Servers]]:
    with ExitStack() as stack:
        started = {"structured": echo_servers}
        for name, code in CODE.items():
            api = APIS[name]
            folder = tmp_path_factory.mktemp(name)
            model = write_code(folder / "model", code)
            environment = {"URL_PREFIX": api.url_prefix, "TARGET_NAME": "response"}
            arguments = ["--code-dir", str(model), "--target-type", api.target_type.value]
            started[name] = stack.enter_context(running_servers(folder, *arguments, environment=environment))
        yield started


@pytest.fixture(scope="module")
def schemas(servers_by_api: dict[str, Servers]) -> dict[str, Any]:
    return {
        name: schemathesis.openapi.from_dict(all_servers["fastapi"].client.get("/openapi.json").json())
        for name, all_servers in servers_by_api.items()
    }


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.mark.parametrize(("name", "path", "method", "mode"), list(_operations()))
def test_every_response_is_documented(
    servers_by_api: dict[str, Servers],
    schemas: dict[str, Any],
    session: requests.Session,
    name: str,
    path: str,
    method: str,
    mode: GenerationMode,
) -> None:
    prefix = APIS[name].url_prefix
    examples = EXAMPLES if method == "post" else EXAMPLES // 4

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=schemas[name][path][method].as_strategy(generation_mode=mode), accept=ACCEPTS, is_known=KNOWN)
    def ask(case: Any, accept: str, is_known: bool) -> None:
        if is_known and "{name}" in path:  # another model is 404 before its body is read
            case.path_parameters.update({key: value for key, value in MODEL.items() if f"{{{key}}}" in path})
        seen = set()
        for server in servers_by_api[name].values():
            url = server.url.removesuffix(prefix)
            response = case.call(base_url=url, session=session, headers={"Accept": accept})
            case.validate_response(response, checks=CHECKS)
            seen.add((response.status_code, *response.headers["content-type"]))
        assert len(seen) == 1, seen

    ask()
