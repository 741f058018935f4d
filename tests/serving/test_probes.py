"""The probe handlers in every state of the model and the worker."""

from typing import Any

import pytest

from datarobot_drum.drum.exceptions import ModelNotReady
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.model_state import ModelState
from tests.cases import each_case
from tests.serving.handlers_under_test import (
    FakePredictor,
    ProbedPredictor,
    document_of,
    failed,
    loading,
    make_handlers,
)

MODEL_PROBES = ["do_ping", "do_health"]


@each_case("prepare", [loading, failed, ModelState.set_ready])
@each_case("running", [True, False])
def test_livez_is_alive_in_every_state(prepare: Any, running: bool) -> None:
    handlers = make_handlers(ProbedPredictor(ValueError("not called")), prepare=prepare, running=running)
    response = handlers.do_livez(ModelRequest())
    assert (response.status, document_of(response)) == (200, {"status": "alive"})


@each_case("handler", MODEL_PROBES)
def test_probe_of_a_ready_model_is_ok(handler: str) -> None:
    response = make_handlers(FakePredictor()).find(handler)(ModelRequest())
    assert (response.status, document_of(response)) == (200, {"message": "OK"})


@each_case("handler", MODEL_PROBES)
@each_case(
    ("result", "status"), [({"a": 1}, 200), (({"a": 1}, 200), 200), (({"a": 1}, 503), 503), (({"a": 1}, 418), 418)]
)
def test_probe_of_the_model_decides_body_and_status(handler: str, result: Any, status: int) -> None:
    predictor = ProbedPredictor(result)
    response = make_handlers(predictor).find(handler)(ModelRequest())
    assert (response.status, document_of(response)) == (status, {"a": 1})
    assert predictor.calls == ["liveness" if handler == "do_ping" else "readiness"]


@each_case("handler", MODEL_PROBES)
def test_probe_of_a_loading_model_is_not_ready(handler: str) -> None:
    with pytest.raises(ModelNotReady):
        make_handlers(FakePredictor(), prepare=loading).find(handler)(ModelRequest())


@each_case("handler", MODEL_PROBES)
@each_case("predictor", [None, FakePredictor()], ids=["no-predictor", "predictor"])
def test_probe_of_an_error_server_is_513_with_the_cause(handler: str, predictor: FakePredictor | None) -> None:
    response = make_handlers(predictor, prepare=failed).find(handler)(ModelRequest())
    assert (response.status, document_of(response)) == (513, {"message": "ERROR: no such artifact"})


@each_case("handler", [*MODEL_PROBES, "do_readyz"])
def test_error_of_a_probe_is_raised(handler: str) -> None:
    with pytest.raises(ValueError, match="broken probe"):
        make_handlers(ProbedPredictor(ValueError("broken probe"))).find(handler)(ModelRequest())


@each_case("result", [{"a": 1}, ({"a": 1}, 200)], ids=["body", "body-and-status"])
def test_readyz_is_ready_when_worker_runs_and_probe_agrees(result: Any) -> None:
    response = make_handlers(ProbedPredictor(result)).do_readyz(ModelRequest())
    assert (response.status, document_of(response)) == (200, {"status": "ready"})


@each_case(
    ("prepare", "running", "reason"),
    [
        (loading, True, "model is loading"),
        (failed, True, "model failed to load"),
        (ModelState.set_ready, False, "worker not running"),
    ],
    ids=["loading", "failed", "stopped"],
)
def test_readyz_is_not_ready_with_the_reason(prepare: Any, running: bool, reason: str) -> None:
    response = make_handlers(FakePredictor(), prepare=prepare, running=running).do_readyz(ModelRequest())
    assert (response.status, response.headers) == (503, {"Retry-After": "5"})
    document = document_of(response)
    assert document.pop("message", None) == ("ERROR: no such artifact" if prepare is failed else None)
    assert document == {"status": "not ready", "reason": reason}


def test_readyz_is_503_with_the_body_of_a_failing_probe() -> None:
    response = make_handlers(ProbedPredictor(({"gpu": "lost"}, 418))).do_readyz(ModelRequest())
    assert (response.status, document_of(response)) == (503, {"gpu": "lost"})


@each_case(("predictor", "expected"), [(None, False), (FakePredictor(), False), (ProbedPredictor(), True)])
def test_probes_of_the_model_are_detected(predictor: FakePredictor | None, expected: bool) -> None:
    assert make_handlers(predictor).has_own_probes is expected
