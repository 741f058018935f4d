"""A start of the server without a port: the app is built, its extension applied, the model loaded and warmed up."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from datarobot_drum.drum.exceptions import DrumError, StartupError
from datarobot_drum.drum.model_loading.shared_model import to_startup_error
from datarobot_drum.drum.model_loading.warm_up import find_sample
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.build import Settings, export_environment
from datarobot_drum.drum.settings.compilation import CompileMode
from datarobot_drum.drum.settings.tracing import TracingSettings
from datarobot_drum.runtime_parameters import mask_secrets

_OWN_LOGGERS = ("datarobot_drum.", "drum")


@dataclass(frozen=True)
class ModelResult:
    """Whether the model was loaded, by which predictor and in how many seconds, and the samples that it predicted."""

    is_loaded: bool = False
    predictor: str = ""
    seconds: float = 0.0
    samples: tuple[str, ...] = ()
    error: StartupError | None = None


def try_model(settings: Settings) -> ModelResult:
    """Load the model as the server of these settings does, predict the warm-up sample and close it."""
    export_environment(settings)
    server = None
    start = time.monotonic()
    try:
        server = PredictionServer(_without_traces(settings))
        server.materialize()
        server.state.finished.result()
        seconds = time.monotonic() - start
        server.raise_load_failure()
        return ModelResult(True, _predictor_name(server), seconds, tuple(_samples(settings)))
    except StartupError as error:
        return ModelResult(predictor=_predictor_name(server), error=error)
    except DrumError as error:
        return ModelResult(predictor=_predictor_name(server), error=to_startup_error(error))
    finally:
        if server is not None:
            server.close()


def _without_traces(settings: Settings) -> Settings:
    """Return settings whose server writes no verdict on a compiled model, sends no spans and raises load errors."""
    model = settings.model.with_values(compilation=replace(settings.model.compilation, mode=CompileMode.OFF))
    return replace(settings, model=model, tracing=TracingSettings(), with_error_server=False, parameter_error=None)


def _predictor_name(server: PredictionServer | None) -> str:
    return server.predictor.name if server is not None and server.predictor is not None else ""


def _samples(settings: Settings) -> Iterator[str]:
    for model in settings.model.models or (settings.model,):
        sample = find_sample(model.code_dir, settings.server.warm_up_file)
        if sample is not None and model.engine is None:
            yield str(sample.relative_to(settings.model.code_dir))


@contextmanager
def captured_warnings() -> Iterator[list[str]]:
    """Yield a list that gets the warnings of our own loggers, which are then not in the log."""
    captured: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING or not record.name.startswith(_OWN_LOGGERS):
            return True
        captured.append(mask_secrets(record.getMessage()))
        return False

    root = logging.getLogger()
    root.setLevel(min(root.level, logging.WARNING))
    handlers = root.handlers[:]
    for handler in handlers:
        handler.addFilter(keep)
    try:
        yield captured
    finally:
        for handler in handlers:
            handler.removeFilter(keep)
