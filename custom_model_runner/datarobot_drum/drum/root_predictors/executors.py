"""The executor of a prediction server: how many calls run at once, and whether they are batched."""

import logging
from typing import Any

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.process.signals import PREDICTION_THREAD_PREFIX
from datarobot_drum.drum.serving.execution.concurrency import AdaptiveConcurrency, FixedConcurrency
from datarobot_drum.drum.serving.execution.concurrency_limit import ConcurrencyLimit
from datarobot_drum.drum.serving.execution.executor import MAX_PAUSED, ExecutorWithBackpressure
from datarobot_drum.drum.serving.metrics.recorder import Recorder
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.settings.cpu_threads import available_cpus
from datarobot_drum.drum.settings.server_parameters import ServerParameters

LONG_CALLS_PER_QUEUE_TIMEOUT = 4
"""A call that runs for this part of the queue timeout no longer keeps another one from starting."""

GEVENT_CONNECTIONS = 1000
"""gunicorn's own default of connections that one gevent worker serves at once."""

logger = logging.getLogger("datarobot_drum.drum.root_predictors.prediction_server")


def create_executor(
    settings: Settings, predictor: BasePredictor | None, recorder: Recorder, *, uses_fastapi: bool
) -> ExecutorWithBackpressure:
    """Return the executor of a worker; one that batches if that is wanted and possible."""
    server = settings.server
    workers = server.executor_workers if uses_fastapi else _sync_concurrency(server)
    limit = predictor.concurrency_limit if predictor is not None else None
    workers = workers if limit is None else min(workers, limit)
    limits = (server.executor_queue_depth, server.executor_queue_timeout, PREDICTION_THREAD_PREFIX)
    # A model that runs one call at a time may keep the state of a stream between its chunks.
    max_paused = MAX_PAUSED if uses_fastapi and limit is None and workers > 1 else 0
    batches = _batch_limits(settings, predictor) if uses_fastapi else None
    concurrency = _create_concurrency(settings, workers) if limit is None and uses_fastapi else None
    options: dict[str, Any] = {
        "concurrency": concurrency,
        "max_paused": max_paused,
        "recorder": recorder,
    }
    if batches is None:
        return ExecutorWithBackpressure(workers, *limits, **options)
    from datarobot_drum.drum.serving.batching.executor import BatchingExecutor, BatchLimits

    return BatchingExecutor(BatchLimits(*batches), workers, *limits, **options)


def _create_concurrency(settings: Settings, workers: int) -> FixedConcurrency | None:
    """Return what adapts the number of calls at once; None for a fixed number.

    With a queue timeout of 0 no call can wait, so a lower limit would reject calls.
    """
    server = settings.server
    wanted = server.concurrency == "auto" and AdaptiveConcurrency.is_supported()
    if not wanted or workers == 1 or server.executor_queue_timeout <= 0:
        return None
    concurrency_limit = ConcurrencyLimit(workers, cores=available_cpus() / settings.workers)
    return AdaptiveConcurrency(concurrency_limit, server.executor_queue_timeout / LONG_CALLS_PER_QUEUE_TIMEOUT)


def _batch_limits(settings: Settings, predictor: BasePredictor | None) -> tuple[int, float] | None:
    """Return rows, and seconds to wait for them: as wanted, where that is possible; None for no batches."""
    server = settings.server
    if predictor is None or not settings.model.target_type.is_structured:
        return None
    rows = predictor.max_batch_size if server.max_batch_size is None else server.max_batch_size
    wait = predictor.batch_wait_ms if server.batch_wait_ms is None else server.batch_wait_ms
    if rows < 2 or not predictor.supports_batching:
        return None
    if server.executor_queue_timeout <= 0:
        logger.warning("No micro-batching: DRUM_EXECUTOR_QUEUE_TIMEOUT=0 lets no request wait for a batch.")
        return None
    logger.info("Micro-batching: up to %d rows at once.", rows)
    return rows, wait / 1000


def _sync_concurrency(server: ServerParameters) -> int:
    """Return the calls that a synchronous server may bring at once: one, unless gunicorn has more a worker."""
    if server.server_type != "gunicorn":
        return 1
    return {"gthread": server.gunicorn_threads, "gevent": GEVENT_CONNECTIONS}.get(server.gunicorn_worker_class, 1)
