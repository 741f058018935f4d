"""The rate limit: a burst, a refill, one bucket a client, and bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.serving.access.rate_limit import RateLimiter, client_network
from datarobot_drum.drum.settings.access import RateLimit
from tests.cases import each_case
from tests.serving.access.test_keys import Clock


def test_a_full_bucket_holds_the_limit() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(3, 60.0), clock)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 20.0]
    assert limiter.take("b") == 0
    clock.now += 19.0
    assert limiter.take("a") == pytest.approx(1.0)
    clock.now += 1.0
    assert limiter.take("a") == 0
    assert limiter.take("a") == pytest.approx(20.0)


def test_rejected_requests_do_not_count() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(1, 10.0), clock)
    limiter.take("a")
    for _ in range(9):
        clock.now += 1.0
        assert limiter.take("a") > 0
    clock.now += 1.0
    assert limiter.take("a") == 0


@given(
    st.integers(1, 50),
    st.sampled_from([1.0, 60.0, 86_400.0]),
    st.floats(0, 1e9),
    st.lists(st.floats(0, 1), max_size=200),
)
def test_no_time_has_more_than_twice_the_limit(
    requests: int, seconds: float, start: float, pauses: list[float]
) -> None:
    clock = Clock()
    clock.now = start
    limiter = RateLimiter(RateLimit(requests, seconds), clock)
    admitted = []
    for pause in pauses:
        clock.now += pause * seconds / requests
        if not limiter.take("a"):
            admitted.append(clock.now)
    for first in admitted:
        assert sum(first <= time < first + seconds for time in admitted) <= 2 * requests


def test_memory_is_bounded_and_keeps_the_clients_that_send() -> None:
    limiter = RateLimiter(RateLimit(1, 60.0), Clock(), max_clients=100)
    limiter.take("busy")
    for number in range(10_000):
        limiter.take(number)
        assert limiter.take("busy") > 0
    assert len(limiter._full_at) == 100


@each_case(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_network_of_one_client_is_one_client(address: str, network: str) -> None:
    assert client_network(address) == network
