"""The limit of concurrent calls on simulated models: convergence, bounds, and no starvation."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.execution.concurrency_limit import ConcurrencyLimit, Sample
from tests.cases import each_case

CORES = 2
CLIENTS = 300
SECONDS_A_SAMPLE = 0.1


@dataclass(frozen=True)
class Model:
    """Calls per second, and cores in use, by the number of calls that run."""

    throughput: Callable[[int], float]
    cpu_rate: Callable[[int], float]


def table(*values: float) -> Callable[[int], float]:
    """Return a function of the number of calls; the last value holds for more calls, too."""
    return lambda number: values[min(number, len(values)) - 1]


FOREST = Model(table(54.0, 46.0, 38.0, 30.0), table(1.0))
"""Takes the GIL again after every tree, so threads hinder one another."""
PYTHON = Model(table(50.0), table(1.0))
SLEEPING = Model(lambda number: 20.0 * number, lambda number: 0.0005 * number)
MATMUL = Model(table(50.0, 100.0), table(1.0, 2.0))
HALF = Model(table(50.0, 78.0, 92.0, 98.0), table(0.5, 0.78, 0.92, 0.98))
"""Waits half of its time, and computes with the GIL."""
SLOW_PYTHON = Model(table(0.5), table(1.0))
BLOCKED = Model(table(0.0), table(0.0))


class Simulation:
    """A limit, and a model under constant load."""

    def __init__(self, maximum: int, cores: float = CORES, clients: int = CLIENTS) -> None:
        self.limit = ConcurrencyLimit(maximum, cores)
        self._clients = clients
        self._progress = 0.0

    def run(self, model: Model, seconds: float) -> list[int]:
        """Return the limits that were in force, one a sample."""
        limits = []
        for _ in range(round(seconds / SECONDS_A_SAMPLE)):
            limits.append(self.limit.limit)
            self.limit.update(self._sample(model))
        return limits

    def _sample(self, model: Model) -> Sample:
        running = min(self.limit.limit, self._clients)
        self._progress += model.throughput(running) * SECONDS_A_SAMPLE
        completed, self._progress = int(self._progress), self._progress % 1
        cpu = model.cpu_rate(running) * SECONDS_A_SAMPLE
        waiting = max(0, self._clients - running)
        slots = self.limit.limit
        return Sample(SECONDS_A_SAMPLE, running * SECONDS_A_SAMPLE, cpu, completed, waiting, running, slots)


def most_common(limits: list[int]) -> int:
    return max(set(limits), key=limits.count)


def share_of_best(model: Model, limits: list[int], maximum: int) -> float:
    best = max(model.throughput(number) for number in range(1, maximum + 1))
    return sum(model.throughput(limit) for limit in limits) / len(limits) / best


@each_case("maximum", [2, 16, 256])
@each_case(("model", "expected"), [(FOREST, 1), (PYTHON, 1), (MATMUL, 2)], ids=["forest", "python", "matmul"])
def test_computing_model_gets_cores_that_it_can_use_within_five_seconds(
    maximum: int, model: Model, expected: int
) -> None:
    simulation = Simulation(maximum)
    simulation.run(model, 5)
    limits = simulation.run(model, 60)
    assert most_common(limits) == expected
    assert share_of_best(model, limits, maximum) >= 0.95


@each_case("maximum", [1, 4, 256])
def test_waiting_model_keeps_all_threads(maximum: int) -> None:
    assert set(Simulation(maximum).run(SLEEPING, 60)) == {maximum}


@each_case("maximum", [4, 16])
def test_model_that_computes_and_waits_is_near_its_best(maximum: int) -> None:
    simulation = Simulation(maximum)
    simulation.run(HALF, 5)
    assert share_of_best(HALF, simulation.run(HALF, 60), maximum) >= 0.93


def test_slow_calls_are_judged_by_cpu_time() -> None:
    simulation = Simulation(4)
    simulation.run(SLOW_PYTHON, 10)
    assert most_common(simulation.run(SLOW_PYTHON, 120)) == 1


@each_case(
    ("before", "after", "expected", "seconds"),
    [(FOREST, SLEEPING, 4, 1), (SLEEPING, FOREST, 1, 3), (HALF, FOREST, 1, 5), (FOREST, MATMUL, 2, 30)],
    ids=["forest-sleeping", "sleeping-forest", "half-forest", "forest-matmul"],
)
@each_case("age", [3, 15, 100])
def test_limit_follows_model_that_changes(before: Model, after: Model, expected: int, seconds: int, age: int) -> None:
    simulation = Simulation(4)
    simulation.run(before, age)
    simulation.run(after, seconds)
    assert most_common(simulation.run(after, 30)) == expected


def test_trials_become_rare() -> None:
    simulation = Simulation(4)
    simulation.run(FOREST, 60)
    limits = simulation.run(FOREST, 60)
    assert sum(one != other for one, other in pairwise(limits)) <= 6
    assert limits.count(1) >= 0.95 * len(limits)


def test_half_a_core_is_enough_for_one_computing_thread() -> None:
    simulation = Simulation(4, cores=0.5)
    slow = Model(table(27.0, 23.0, 15.0), table(0.5))
    simulation.run(slow, 5)
    assert set(simulation.run(slow, 60)) == {1}


def test_limit_does_not_grow_without_waiting_calls() -> None:
    simulation = Simulation(4)
    simulation.run(FOREST, 10)
    limit = simulation.limit.limit
    for _ in range(100):
        simulation.limit.update(Sample(SECONDS_A_SAMPLE, SECONDS_A_SAMPLE, 0.0, 0, 0, 1, limit))
    assert simulation.limit.limit == limit


def test_reset_ends_trial() -> None:
    limit = ConcurrencyLimit(4, CORES)
    simulation = Simulation(4)
    simulation.limit = limit
    while limit.limit == 4:
        simulation.run(FOREST, SECONDS_A_SAMPLE)
    limit.reset()
    assert limit.limit == 4


SAMPLES = st.builds(
    Sample,
    seconds=st.floats(0.001, 30),
    busy_seconds=st.floats(0, 1000),
    cpu_seconds=st.floats(0, 100),
    completed=st.integers(0, 10_000),
    waiting=st.integers(0, 1000),
    running=st.integers(0, 300),
    slots=st.integers(1, 256),
)


@given(maximum=st.integers(1, 256), cores=st.floats(0.1, 128), samples=st.lists(SAMPLES, max_size=40))
def test_limit_stays_within_bounds_and_blocked_calls_get_all_threads(
    maximum: int, cores: float, samples: list[Sample]
) -> None:
    """Whatever happened before, calls that use no CPU time and do not end get every thread within seconds."""
    simulation = Simulation(maximum, cores)
    for sample in samples:
        assert 1 <= simulation.limit.update(sample) <= maximum
    simulation.run(BLOCKED, 4)
    assert simulation.limit.limit == maximum


@given(
    maximum=st.integers(1, 16),
    rates=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 2)), min_size=16, max_size=16),
    clients=st.integers(1, 40),
)
def test_any_model_keeps_limit_within_bounds(maximum: int, rates: list[tuple[float, float]], clients: int) -> None:
    model = Model(table(*(rate for rate, _ in rates)), table(*(cpu for _, cpu in rates)))
    assert all(1 <= limit <= maximum for limit in Simulation(maximum, clients=clients).run(model, 10))
