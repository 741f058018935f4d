"""Google's client of Vertex AI, with this server in place of the service, and the requests of its documentation."""

import json
from typing import Any
from urllib.parse import urlsplit

import requests
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform.prediction import LocalEndpoint
from google.cloud.aiplatform_v1 import PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service.transports.rest import PredictionServiceRestTransport
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from tests.conformance_clients.checks import Checks, Target, reject
from tests.conformance_clients.vertex_paths import ENDPOINT, HEALTH, PREDICT

CHECKS = Checks(("google-cloud-aiplatform",), needs="vertex")

JSON = {"Content-Type": "application/json"}


class _Endpoint(LocalEndpoint):  # type: ignore[misc]
    """A local endpoint whose container runs already: a real one is started by Docker."""

    def __init__(self, url: str) -> None:
        super().__init__(
            serving_container_image_uri="drum",
            serving_container_predict_route=PREDICT,
            serving_container_health_route=HEALTH,
            host_port=urlsplit(url).port,
        )

    def serve(self) -> None:
        self.container_is_running = True

    def stop(self) -> None:
        self.container_is_running = False


def _client(target: Target) -> Any:
    transport = PredictionServiceRestTransport(
        host=urlsplit(target.vertex).netloc, credentials=AnonymousCredentials(), url_scheme="http"
    )
    return PredictionServiceClient(transport=transport)


def _value(document: Any) -> Any:
    return json_format.ParseDict(document, Value())


def _numbers(target: Target, prediction: Any) -> list[float]:
    return [float(prediction[label]) for label in target.labels]


@CHECKS.add("health route (`AIP_HEALTH_ROUTE`), by `LocalEndpoint.run_health_check`")
def health(target: Target) -> None:
    with _Endpoint(target.vertex) as endpoint:
        assert endpoint.run_health_check().status_code == 200


@CHECKS.add("`LocalEndpoint.predict` with `instances`, records", "Vertex, `LocalEndpoint`")
def local_endpoint(target: Target) -> Any:
    with _Endpoint(target.vertex) as endpoint:
        response = endpoint.predict(request=json.dumps({"instances": [target.row]}), headers=JSON)
    return _numbers(target, response.json()["predictions"][0])


@CHECKS.add("`PredictionServiceClient.predict` with records", "Vertex, `PredictionServiceClient`, records")
def records(target: Target) -> Any:
    response = _client(target).predict(endpoint=ENDPOINT, instances=[_value(dict(target.row))])
    return _numbers(target, response.predictions[0])


@CHECKS.add("`PredictionServiceClient.predict` with rows", "Vertex, `PredictionServiceClient`, rows")
def rows(target: Target) -> Any:
    response = _client(target).predict(endpoint=ENDPOINT, instances=[_value(list(target.row.values()))])
    return _numbers(target, response.predictions[0])


@CHECKS.add("a wrong shape raises the server's text by the `error` object")
def wrong_shape(target: Target) -> None:
    text = reject(
        lambda: _client(target).predict(endpoint=ENDPOINT, instances=[_value([1.0])]), GoogleAPICallError, "takes 13"
    )
    assert "unknown error" not in text


@CHECKS.add("`parameters` other than none raise the server's text")
def options(target: Target) -> None:
    reject(
        lambda: _client(target).predict(
            endpoint=ENDPOINT, instances=[_value(dict(target.row))], parameters=_value({"confidence": 0.5})
        ),
        GoogleAPICallError,
        "takes no parameters",
    )


@CHECKS.add("`rawPredict`: any body with its media type, as the service passes it on", "Vertex, raw csv")
def raw(target: Target) -> Any:
    body = "\n".join([",".join(target.row), ",".join(map(repr, target.row.values()))])
    response = requests.post(target.vertex + PREDICT, data=body, headers={"Content-Type": "text/csv"}, timeout=60)
    assert response.status_code == 200, response.text
    return _numbers(target, response.json()["predictions"][0])
