"""Processes that score parts: the process of the command itself, or several on this machine."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.environment import export_thread_plan

_SCORER = "datarobot_drum.drum.commands.score.part_scorer:PartScorer"
_TASKS_PER_WORKER = 2
"""Tasks that are running or queued, so that memory stays flat."""


class Workers(AbstractContextManager["Workers"], ABC):
    """Runs tasks of ``PartScorer``."""

    @abstractmethod
    def run(self, task: str, arguments: Iterable[Any], types: Any = None) -> Iterator[Any]:
        """Yield a result, or a ``Failure``, for each argument, in the order of the arguments."""


class OwnProcess(Workers):
    """The process of the command."""

    def __init__(self, job: Any) -> None:
        self._scorer = import_from_string(_SCORER)(job)

    def __exit__(self, *reason: object) -> None:
        self._scorer.close()

    def run(self, task: str, arguments: Iterable[Any], types: Any = None) -> Iterator[Any]:
        for argument in arguments:
            yield self._scorer.run(task, argument, types)


class WorkerProcesses(Workers):
    """Several processes, each with the model. They end with the process of the command, however it ends."""

    def __init__(self, job: Any, count: int) -> None:
        self._count = count
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, initializer=_start_worker, initargs=(job, count))

    def __exit__(self, *reason: object) -> None:
        if any(reason):
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
        self._pool.shutdown(cancel_futures=True)

    def run(self, task: str, arguments: Iterable[Any], types: Any = None) -> Iterator[Any]:
        remaining = iter(arguments)
        pending: deque[Future[Any]] = deque()
        try:
            for argument in islice(remaining, self._count * _TASKS_PER_WORKER):
                pending.append(self._pool.submit(_run_task, task, argument, types))
            while pending:
                yield pending.popleft().result()
                for argument in islice(remaining, 1):
                    pending.append(self._pool.submit(_run_task, task, argument, types))
        except BrokenProcessPool as error:
            raise CommandError(
                "A worker process has ended: the model ended it, or the system, perhaps for lack of memory. A run into "
                "a folder is continued by --resume."
            ) from error


_scorer: Any = None


def _start_worker(job: Any, count: int) -> None:
    global _scorer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # standard output is for predictions
    export_thread_plan(count)
    _scorer = create_scorer(job)


def create_scorer(job: Any) -> Any:
    """Return the ``PartScorer`` of a worker; if its model does not load, an object that reports it for each task."""
    try:
        return import_from_string(_SCORER)(job)
    except Exception as error:  # the error of the start of a worker would be lost
        return _Unloaded(error)


class _Unloaded:
    """Reports the error of the start for each task."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def run(self, task: str, argument: Any, types: Any) -> Any:
        failure = import_from_string("datarobot_drum.drum.commands.score.part_scorer:Failure")
        exit_code, location = getattr(self._error, "exit_code", 1), getattr(self._error, "location", "")
        return failure(str(self._error), exit_code, location)


def _run_task(task: str, argument: Any, types: Any) -> Any:
    return _scorer.run(task, argument, types)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
