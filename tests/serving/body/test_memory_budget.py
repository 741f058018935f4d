from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from tests.cases import each_case


def test_reservation_succeeds_up_to_the_limit_and_reserves_all_or_nothing() -> None:
    budget = MemoryBudget(100)
    assert [budget.reserve(60), budget.reserve(41), budget.reserve(40)] == [True, False, True]
    assert budget.used == 100
    budget.release(60)
    assert budget.used == 40


def test_budget_without_limit_accepts_every_reservation() -> None:
    budget = MemoryBudget()
    assert budget.reserve(10**12) and not budget.would_exceed(10**12)


@each_case(("size", "limit"), [(0, 0), (40_000_000, 15_000_000)])
def test_bodies_get_three_eighths_of_the_memory_of_a_process(size: int, limit: int) -> None:
    assert MemoryBudget.for_process(size).limit == limit


@given(st.lists(st.integers(0, 60), max_size=20))
def test_would_exceed_predicts_the_reservation(sizes: list[int]) -> None:
    budget = MemoryBudget(100)
    for size in sizes:
        assert budget.would_exceed(size) is not budget.reserve(size)
        assert budget.used <= 100
