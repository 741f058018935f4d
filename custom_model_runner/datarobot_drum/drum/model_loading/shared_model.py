"""A model that is loaded once, before the workers are forked, so that they share its memory.

Pages that no process writes to stay shared: the arrays of a model, the code of libraries, modules. A process that
cannot be forked safely restarts without model sharing: each worker then loads its own copy.
"""

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from datarobot_drum.drum.exceptions import DrumError, ModelLoadError, StartupError
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.language_predictors.routed_predictor import served_models
from datarobot_drum.drum.model_loading.warm_up import warm_up
from datarobot_drum.drum.process.forks import exit_fork, isolated_forks
from datarobot_drum.drum.process.stdout_flusher import flush_output
from datarobot_drum.drum.settings.build import Settings, environment_without_sharing
from datarobot_drum.drum.settings.routed_models import naming_model
from datarobot_drum.drum.tabular.lazy_pandas import import_pandas

logger = logging.getLogger(__name__)

Restart = Callable[[Mapping[str, str]], NoReturn]
"""Replaces this process by the same program with these environment variables."""


@dataclass(frozen=True)
class SharedModel:
    """The inherited state of a worker: a loaded predictor and the seconds that it took, or the error of loading it."""

    predictor: BasePredictor | None
    error: Exception | None = None
    seconds: float = 0.0


_inherited: SharedModel | None = None


def inherited_model() -> SharedModel | None:
    """Return the model that this process, or its parent before the fork, has loaded to share; None without one."""
    return _inherited


def load_shared_model(settings: Settings, restart: Restart) -> bool:
    """Load the model in the parent of the workers, which get it by ``inherited_model``.

    If the process cannot be forked safely afterwards, log why, restart without sharing and do not return.

    Returns:
        True if there is a model to share.

    Raises:
        StartupError: the model did not load and there is no error server.
    """
    from datarobot_drum.drum.model_loading.fork_safety import (
        ProcessSnapshot,
        can_inspect_threads,
        fork_blockers,
        kill_new_children,
    )

    global _inherited
    if settings.model.engine is not None or settings.parameter_error is not None:
        logger.info("No model is shared (DRUM_SHARE_MODEL): there is an engine, or a parameter is wrong.")
        return False
    if not can_inspect_threads():
        logger.warning(
            "The model is not shared (DRUM_SHARE_MODEL): this system does not list the threads of a process."
        )
        return False
    environment, folder, before = environment_without_sharing(settings), os.getcwd(), ProcessSnapshot.now()
    with _line_buffered_output(), isolated_forks():
        model = _load(settings)
    if model.error is not None and not settings.with_error_server:
        raise to_startup_error(model.error)
    gc.collect()
    found = fork_blockers(before)
    if found:
        logger.warning(
            "The model is not shared between the workers (DRUM_SHARE_MODEL), since loading it left what forked "
            "processes cannot share: %s. Restarting without model sharing: each worker loads its own copy.",
            "; ".join(found),
        )
        kill_new_children(before)
        flush_output()
        os.chdir(folder)
        restart(environment)
    # The collector ignores all current objects from now on, so it does not write to their pages.
    gc.freeze()
    _inherited = model
    return True


def reseed_random() -> None:
    """Reseed the random generators of numpy and torch after a fork; Python reseeds those of ``random``."""
    for library in ("numpy.random", "torch"):
        seed = getattr(sys.modules.get(library), "seed", None)
        if seed is not None:
            seed()


def load_predictor(predictor: BasePredictor, settings: Settings) -> float:
    """Load the model and warm it up, and return the seconds; raises whatever model code raises."""
    try:
        seconds = _load_and_warm_up(predictor, settings)
    except BaseException as error:
        exit_fork(error)
        raise
    exit_fork()
    return seconds


def _load_and_warm_up(predictor: BasePredictor, settings: Settings) -> float:
    start = time.monotonic()
    models = list(served_models(predictor, settings.model))
    if any(model.target_type.reads_tables and model.engine is None for _, _, model in models):
        import_pandas()
    predictor.load()
    for name, own, model in models:
        with naming_model(name):
            warm_up(own, model, settings.server.warm_up_file)
    seconds = time.monotonic() - start
    logger.info("Model loaded in %.2f s.", seconds)
    return seconds


def to_startup_error(error: BaseException) -> StartupError:
    """Return the error of a failed load as a one-sentence StartupError."""
    if isinstance(error, StartupError):
        return error
    failure = ModelLoadError(f"The model failed to load: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def _load(settings: Settings) -> SharedModel:
    try:
        predictor = create_predictor(settings.model)
    except DrumError as error:
        return SharedModel(None, error)
    try:
        seconds = load_predictor(predictor, settings)
    except Exception as error:  # model code may raise anything; responses show the cause
        return SharedModel(predictor, error)
    return SharedModel(predictor, seconds=seconds)


@contextmanager
def _line_buffered_output() -> Iterator[None]:
    """Flush the output of model code per line: buffered output would be copied into each worker."""
    stream: Any = sys.stdout
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None or stream.line_buffering:
        yield
    else:
        reconfigure(line_buffering=True)
        try:
            yield
        finally:
            reconfigure(line_buffering=False)
    flush_output()
