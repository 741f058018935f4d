"""Actors of a Ray cluster that score parts, for ``drum score --engine ray``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ray
from ray.util import ActorPool

from datarobot_drum.drum.commands.score.workers import Workers, create_scorer
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.settings.environment import own_variables

_RETRY_FOREVER = -1


class RayActors(Workers):
    """Actors with the model, one for each CPU unless told otherwise.

    Ray restarts the actors of a lost process or node where there is room, and runs their tasks again.
    """

    def __init__(self, job: Any, count: int, address: str | None) -> None:
        self._started = not ray.is_initialized()
        if self._started:
            _connect(address)
        count = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        options = {
            "num_cpus": 1,
            "max_restarts": _RETRY_FOREVER,
            "max_task_retries": _RETRY_FOREVER,
            "runtime_env": {"env_vars": own_variables()},
        }
        actor = ray.remote(_Scorer).options(**options)
        self._actors = [actor.remote(job) for _ in range(count)]

    def __exit__(self, *reason: object) -> None:
        for actor in self._actors:
            ray.kill(actor)
        if self._started:
            ray.shutdown()

    def run(self, task: str, arguments: Iterable[Any], types: Any = None) -> Iterator[Any]:
        shared = ray.put(types)
        pool = ActorPool(self._actors)
        try:
            yield from pool.map(lambda actor, argument: actor.run.remote(task, argument, shared), list(arguments))
        except ray.exceptions.RayError as error:
            raise CommandError(
                f"Ray could not run a task: {error}. A run into a folder is continued by --resume."
            ) from error


class _Scorer:
    """An actor with a loaded model."""

    def __init__(self, job: Any) -> None:
        self._scorer = create_scorer(job)

    def run(self, task: str, argument: Any, types: Any) -> Any:
        return self._scorer.run(task, argument, types)


def _connect(address: str | None) -> None:
    try:
        ray.init(address=address or "local", log_to_driver=False, include_dashboard=False if not address else None)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(f"--address {address}: there is no Ray cluster: {error}.") from error
