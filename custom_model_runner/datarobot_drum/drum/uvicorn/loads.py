"""How many connections each worker has, so that a new one goes to the worker that has fewest."""

import os
import sys
from multiprocessing import reduction
from typing import Any

from datarobot_drum.drum.uvicorn.acceptor import ABSENT, BEGUN, ENDED, NUMBERS, Peers

_BYTES = 8


class Seat(Peers):
    """The numbers of one worker, and its look at the others'; passed to the worker when it is spawned."""

    def __getstate__(self) -> Any:
        return reduction.DupFd(self.fd), self.place

    def __setstate__(self, state: Any) -> None:
        fd, place = state
        super().__init__(fd.detach(), place)

    def take(self) -> None:
        """The worker is about to begin."""
        self.set(BEGUN, 0)
        self.set(ENDED, 0)

    def leave(self) -> None:
        """Nobody is to wait for this worker to take a connection."""
        self.set(BEGUN, ABSENT)

    def tell_ended(self, connections: int) -> None:
        """So many have ended since the worker began."""
        self.set(ENDED, connections)


def seats_for(workers: int) -> list[Seat | None]:
    """One for each worker; None where there are no acceptors, or nobody to share with."""
    if workers < 2 or sys.platform != "linux":
        return [None] * workers
    fd = os.memfd_create("drum-loads")
    os.ftruncate(fd, workers * NUMBERS * _BYTES)
    seats = [Seat(fd, place) for place in range(workers)]
    for seat in seats:
        seat.leave()
    return list(seats)
