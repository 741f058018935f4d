"""One loaded model for all workers of a server: loaded by their parent, whose memory they share after the fork.

Pages that nobody writes to stay shared: the arrays of a model, the code of libraries, modules. A process that must not
be forked any more is no use as a parent, so it begins anew: every worker then loads its own copy, as without sharing.
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
from datarobot_drum.drum.model_loading.warm_up import warm_up
from datarobot_drum.drum.process.stdout_flusher import flush_output
from datarobot_drum.drum.settings.build import Settings, environment_without_sharing
from datarobot_drum.drum.tabular.lazy_pandas import import_pandas

logger = logging.getLogger(__name__)

Restart = Callable[[Mapping[str, str]], NoReturn]
"""Replaces this process by the same program with these variables."""


@dataclass(frozen=True)
class SharedModel:
    """What a worker inherits: a predictor that is loaded, or why it is not."""

    predictor: BasePredictor | None
    error: Exception | None = None


_inherited: SharedModel | None = None


def inherited_model() -> SharedModel | None:
    """The model that this process, or its parent before the fork, has loaded to share; None without one."""
    return _inherited


def load_to_share(settings: Settings, restart: Restart) -> bool:
    """Load the model in the process that is to fork the workers, which find it by ``inherited_model``.

    If it turns out that this process must not be forked any more, it says why and does not return.

    Returns:
        Whether there is a model to share.

    Raises:
        StartupError: the model did not load and there is no error server.
    """
    from datarobot_drum.drum.model_loading.fork_safety import (
        ProcessSnapshot,
        can_tell,
        end_children_since,
        fork_blockers,
    )

    global _inherited
    if settings.model.engine is not None or settings.parameter_error is not None:
        logger.info("There is no model to share between the workers (DRUM_SHARE_MODEL).")
        return False
    if not can_tell():
        logger.warning(
            "The model is not shared (DRUM_SHARE_MODEL): this system does not tell the threads of a process."
        )
        return False
    environment, folder, before = environment_without_sharing(settings), os.getcwd(), ProcessSnapshot.now()
    with _showing_output_at_once():
        model = _load(settings)
    if model.error is not None and not settings.with_error_server:
        raise as_startup_error(model.error)
    gc.collect()
    found = fork_blockers(before)
    if found:
        logger.warning(
            "The model is not shared between the workers (DRUM_SHARE_MODEL), since loading it left what forked "
            "processes cannot share: %s. The server begins anew, and each worker loads its own copy.",
            "; ".join(found),
        )
        end_children_since(before)
        flush_output()
        os.chdir(folder)
        restart(environment)
    # What lives now is never looked at again, so the collector does not write to its pages.
    gc.freeze()
    _inherited = model
    return True


def reseed_random() -> None:
    """After the fork: random numbers of this worker's own. Python sees to those of ``random`` itself."""
    for library in ("numpy.random", "torch"):
        seed = getattr(sys.modules.get(library), "seed", None)
        if seed is not None:
            seed()


def load_predictor(predictor: BasePredictor, settings: Settings) -> None:
    """Load the model and warm it up; whatever model code raises."""
    begin = time.monotonic()
    if settings.model.target_type.reads_tables and settings.model.engine is None:
        import_pandas()
    predictor.load()
    warm_up(predictor, settings.model, settings.server.warm_up_file)
    logger.info("Model loaded in %.2f s.", time.monotonic() - begin)


def as_startup_error(error: BaseException) -> StartupError:
    """The error of a failed load as the sentence that a start ends with."""
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
        load_predictor(predictor, settings)
    except Exception as error:  # model code may raise anything; the cause is kept for the answer
        return SharedModel(predictor, error)
    return SharedModel(predictor)


@contextmanager
def _showing_output_at_once() -> Iterator[None]:
    """What model code prints is not held back, and above all not copied into each worker."""
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
