"""``--deployment-config``: structured predictions in the format of DataRobot's prediction server, on every server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import Response, assert_same_response
from tests.cases import each_case
from tests.cli.commands import drum

pytestmark = pytest.mark.process

BINARY = """
import pandas as pd


def score(data, model, positive_class_label, negative_class_label):
    return pd.DataFrame({negative_class_label: 1 - data["p"], positive_class_label: data["p"], "why": "so"})
"""

DOCUMENT = {
    "approvalStatus": "APPROVED",
    "model": {"targetName": "bad loan", "targetType": "Binary"},
    "predictionThreshold": 0.25,
}
LABELS = ("--target-type", "binary", "--positive-class-label", "yes", "--negative-class-label", "no")
CSV = b"p\n0.25\n0.125\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment")
    write_code(folder / "model", BINARY)
    (folder / "deployment.json").write_text(json.dumps(DOCUMENT))
    return folder


@pytest.fixture(scope="module")
def all_servers(folder: Path) -> Iterator[Servers]:
    document = folder / "deployment.json"
    with running_servers(
        folder, "--code-dir", folder / "model", *LABELS, "--deployment-config", document, server_types=FRAMEWORKS
    ) as servers:
        yield servers


def post(all_servers: Servers, path: str, **details: Any) -> Response:
    return assert_same_response(all_servers, "POST", path, content=CSV, **details)


@each_case("path", ["/predict/", "/predictions", "/invocations"])
def test_predictions_have_the_format_of_the_prediction_server(all_servers: Servers, path: str) -> None:
    response = post(all_servers, path)
    shared = {
        "predictionThreshold": 0.25,
        "deploymentApprovalStatus": "APPROVED",
        "extraModelOutput": {"why": "so"},
    }
    assert (response.status, dict(response.headers)["content-type"]) == (200, "application/json")
    assert json.loads(response.body) == {
        "data": [
            {
                "rowId": 0,
                "prediction": "yes",
                "predictionValues": [{"label": "no", "value": 0.75}, {"label": "yes", "value": 0.25}],
                **shared,
            },
            {
                "rowId": 1,
                "prediction": "no",
                "predictionValues": [{"label": "no", "value": 0.875}, {"label": "yes", "value": 0.125}],
                **shared,
            },
        ]
    }


def test_streams_keep_their_format(all_servers: Servers) -> None:
    lines = post(all_servers, "/predictionsStream/", headers={"Accept": "application/x-ndjson"}).body.splitlines()
    assert json.loads(lines[0])["prediction"] == {"no": 0.75, "yes": 0.25}
    assert list(json.loads(post(all_servers, "/predictionsStream/").body)) == ["predictions", "extraModelOutput"]


def test_errors_keep_their_format(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "POST", "/predict/", content=b"")
    assert response.status == 422
    assert list(json.loads(response.body)) == ["message"]


def test_an_unreadable_document_is_a_usage_error(folder: Path) -> None:
    words = ("server", "--code-dir", folder / "model", *LABELS, "--address", ":1")
    process = drum(*words, environment={"DEPLOYMENT_CONFIG": str(folder / "nowhere.json")})
    assert process.returncode == 2
    (said,) = [line for line in process.stderr.splitlines() if " error: " in line]
    assert said.endswith(f"--deployment-config {folder / 'nowhere.json'} cannot be read: No such file or directory.")
