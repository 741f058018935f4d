"""How often threads hand over the GIL."""

import sys

SWITCH_SECONDS = 0.0005


def shorten_switch_interval() -> None:
    """Let a thread that wants the GIL wait for 0.5 ms before another must release it; Python's default is 5 ms.

    The event loop wants the GIL for every packet and every timer. Beside four predictions that compute in Python, it
    would wait 20 ms each time. See "Overload" in benchmarks/README.md for the figures.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
