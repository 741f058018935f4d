"""``drum perf-test --plan``: queueing theory against simulation, and against queues whose answer is known."""

import math
import random

import pytest

from datarobot_drum.drum.commands.perf_test.sizing import MAX_UTILIZATION, WorkerModel, describe, size
from datarobot_drum.drum.exceptions import CommandError
from tests.cases import each_case

_DRAW = random.Random(0)
EXPONENTIAL = tuple(_DRAW.expovariate(100) for _ in range(20_000))
CONSTANT = (0.01,)
MIXED = (0.005,) * 9 + (0.05,)


def _model(services: tuple[float, ...]) -> WorkerModel:
    return WorkerModel(services, overhead=0.0, memory=200 * 1024 * 1024)


def test_waits_are_those_of_textbooks() -> None:
    assert _model(CONSTANT).wait(50) == pytest.approx(0.005)  # M/D/1 at half load: half a service time
    assert _model(EXPONENTIAL).wait(50) == pytest.approx(0.01, rel=0.05)  # M/M/1: a whole one
    assert _model(EXPONENTIAL).latency_p99(50) == pytest.approx(
        math.log(100) / 50, rel=0.2
    )  # exponential, 1 / (100 - 50)


@each_case("services", [CONSTANT, EXPONENTIAL, MIXED])
@each_case("utilization", [0.2, 0.5, 0.7])
def test_theory_is_within_a_fifth_of_the_simulation(services: tuple[float, ...], utilization: float) -> None:
    model = _model(services)
    rate = utilization / model.mean
    assert model.latency_p99(rate) == pytest.approx(model.simulate(rate)[1], rel=0.2)


def test_plan_meets_rate_and_latency_with_a_spare_replica() -> None:
    sizing = size(_model(EXPONENTIAL), rate=2000, target=0.1, workers_per_replica=4)
    assert sizing.utilization <= MAX_UTILIZATION and sizing.model.simulate(sizing.rate_per_worker)[1] <= 0.1
    assert sizing.replicas == math.ceil(sizing.workers / 4) + 1
    text = describe(sizing)
    assert "cpu: 4, memory: 1040Mi" in text and "minReplicas: " in text


def test_latency_that_no_deployment_meets_is_reported() -> None:
    with pytest.raises(CommandError, match="no number of workers gives 5 ms"):
        size(_model(CONSTANT), rate=10, target=0.005, workers_per_replica=1)


def test_lone_latency_beyond_the_service_time_is_overhead() -> None:
    model = WorkerModel.from_measurements([0.02, 0.04], throughput=100, memory=1)
    assert model.mean == pytest.approx(0.01) and model.overhead == pytest.approx(0.02)
