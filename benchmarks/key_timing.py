"""Whether the time of a wrong API key says how close it is: ``python -m benchmarks.key_timing``.

Measured in process, around the decision alone: a network would hide what this shows. Keys of all kinds are tried in
random order, so that a change of the machine's speed meets all of them alike. Of each kind 10,000 keys, each one
another text. A kind differs from random keys if Welch's t is beyond 4.5, the usual limit of such tests.
"""

import gc
import random
import statistics
import string
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from datarobot_drum.drum.serving.access.gate import AccessGate, AccessRequest
from datarobot_drum.drum.settings.access import AccessSettings

KEYS = 10_000
LENGTH = 43
LIMIT = 4.5
ALPHABET = string.ascii_letters + string.digits
VALID = tuple("".join(random.SystemRandom().choices(ALPHABET, k=LENGTH)) for _ in range(3))


def _random(length: int) -> str:
    return "".join(random.choices(ALPHABET, k=length))


def _other(character: str) -> str:
    return random.choice(ALPHABET.replace(character, ""))


KINDS: Mapping[str, Callable[[], str]] = {
    "random": lambda: _random(LENGTH),
    "random again": lambda: _random(LENGTH),
    "first character wrong": lambda: _other(VALID[0][0]) + VALID[0][1:-4] + _random(4),
    "last character wrong": lambda: VALID[0][:-1] + _other(VALID[0][-1]),
    "first half right": lambda: VALID[0][: LENGTH // 2] + _random(LENGTH - LENGTH // 2),
    "all but the last four right": lambda: VALID[0][:-4] + _random(4),
    "last half right": lambda: _random(LENGTH // 2) + VALID[0][LENGTH // 2 :],
    "close to the last valid key": lambda: VALID[-1][:-4] + _random(4),
}


def measure() -> dict[str, list[int]]:
    """Return the nanoseconds of each decision, by the kind of the key."""
    gate = AccessGate(AccessSettings(keys=VALID), frozenset())
    tried = [(kind, new_key()) for kind, new_key in KINDS.items() for _ in range(KEYS)]
    random.shuffle(tried)
    times = defaultdict(list)
    gc.disable()
    for kind, key in tried:
        request = AccessRequest("GET", "/info/", {"x-api-key": key}.get, "127.0.0.1")
        begin = time.perf_counter_ns()
        decision = gate.decide(request)
        times[kind].append(time.perf_counter_ns() - begin)
        if decision.response is None:
            raise AssertionError("a wrong key was accepted")
    gc.enable()
    return times


def trimmed(times: list[int]) -> list[int]:
    """Return the times without the slowest twentieth, in which the machine did something else."""
    return sorted(times)[: len(times) * 19 // 20]


def welch_t(first: list[int], second: list[int]) -> float:
    """Return how many standard errors the means are apart."""
    error = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    return (statistics.fmean(first) - statistics.fmean(second)) / float(error**0.5)


def main() -> int:
    """Print a table; return 1 if a kind of wrong keys can be told from random ones."""
    times = {kind: trimmed(values) for kind, values in measure().items()}
    differs = False
    for kind, values in times.items():
        t = welch_t(values, times["random"])
        differs = differs or abs(t) > LIMIT
        low, median, high = (value / 1000 for value in statistics.quantiles(values, n=4))
        sys.stdout.write(f"{kind:30} median {median:7.2f} us   quartiles {low:.2f} to {high:.2f} us   t {t:+6.2f}\n")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
