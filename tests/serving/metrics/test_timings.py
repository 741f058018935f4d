import threading

import pytest

from datarobot_drum.drum.serving.metrics.timings import Timings


def test_summary_is_empty_without_measurements() -> None:
    assert Timings().summary() == {}


def test_summary_has_minimum_average_and_maximum_by_label() -> None:
    timings = Timings()
    for seconds in (3.0, 1.0, 2.0):
        timings.record("predict", seconds)
    timings.record("decode", 0.5)
    assert timings.summary() == {
        "predict": {"min": 1.0, "avg": 2.0, "max": 3.0},
        "decode": {"min": 0.5, "avg": 0.5, "max": 0.5},
    }


def test_with_block_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 12.5])
    monkeypatch.setattr("datarobot_drum.drum.serving.metrics.timings.time.perf_counter", lambda: next(ticks))
    timings = Timings()
    with timings.measure("predict"):
        pass
    assert timings.summary() == {"predict": {"min": 2.5, "avg": 2.5, "max": 2.5}}


def test_with_block_that_raises_is_not_measured() -> None:
    timings = Timings()
    with pytest.raises(LookupError), timings.measure("predict"):
        raise LookupError
    assert timings.summary() == {}


def test_concurrent_measurements_are_all_recorded() -> None:
    timings = Timings()

    def record() -> None:
        for _ in range(2000):
            timings.record("predict", 1.0)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timings.record("predict", 1.0 + 8001)
    assert timings.summary()["predict"]["avg"] == 2.0
