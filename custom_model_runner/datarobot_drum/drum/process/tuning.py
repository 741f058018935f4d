"""How the threads of a server take turns with Python's interpreter, which only one of them holds at a time."""

import sys

SWITCH_SECONDS = 0.0005


def take_turns_quickly() -> None:
    """Let a thread that wants the interpreter wait for a tenth of Python's own 5 ms before it is its turn.

    An event loop wants it again for every packet and every timer. Beside four predictions that compute in Python, it
    would wait 20 ms each time, and probes for seconds (benchmarks/overload.py). Where nobody waits, nothing changes.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
