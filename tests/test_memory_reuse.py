"""Freed memory is there for the next request without asking the kernel, unless the operator has set up malloc."""

import platform
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.processes import clean_environment

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")

FAULTS = """
import resource
from datarobot_drum.drum.process.memory_reuse import keep_freed_memory
keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [b"x" * 2_000_000 for _ in range(4)]
    del pieces
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(variables: Mapping[str, str]) -> int:
    """Pages that the kernel gives for 8 MB that were used and freed twice before."""
    environment = {name: text for name, text in clean_environment().items() if not name.startswith("MALLOC_")}
    environment |= variables
    done = subprocess.run([sys.executable, "-c", FAULTS], env=environment, check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_freed_memory_is_used_again() -> None:
    assert count_faults({}) < 100


def test_malloc_is_left_as_the_operator_has_set_it_up() -> None:
    assert count_faults({"MALLOC_MMAP_THRESHOLD_": "65536"}) > 1500
