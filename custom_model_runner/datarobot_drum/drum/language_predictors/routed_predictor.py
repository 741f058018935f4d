"""Several models behind one server: created, loaded and closed together, called one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from datarobot_drum.drum.exceptions import DrumError, ModelLoadError, PredictionError
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, ProbeResult, Worker
from datarobot_drum.drum.settings.routed_models import naming_model

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings
    from datarobot_drum.drum.tabular.payload import StructuredPayload


class RoutedPredictor(BasePredictor):
    """The predictors of a routed set by name. A request is predicted by one of them, never by this object.

    Args:
        settings: of the whole set.
        create: creates the predictor of one model.

    Raises:
        ModelLoadError: a folder contains no model or several; the message names it.
    """

    language = "python"

    def __init__(self, settings: ModelSettings, create: Callable[[ModelSettings], BasePredictor]) -> None:
        self.settings_by_name = {model.served_name: model for model in settings.models}
        self.predictors: dict[str, BasePredictor] = {}
        for name, model in self.settings_by_name.items():
            with naming_model(name):
                self.predictors[name] = create(model)
        # One executor runs all models, so the strictest limit holds for all.
        limits = [predictor.concurrency_limit for predictor in self.predictors.values()]
        self.max_concurrency = min((limit for limit in limits if limit is not None), default=None)

    @property
    def name(self) -> str:
        return "routed"

    def load(self) -> None:
        """Load the models one by one, in the order of the list."""
        try:
            for name, predictor in self.predictors.items():
                with naming_model(name), _load_errors():
                    predictor.load()
                    predictor.suspend_imports()
        except BaseException:
            self.close()
            raise

    def on_worker_start(self, worker: Worker) -> None:
        for predictor in self.predictors.values():
            predictor.on_worker_start(worker)

    @property
    def payload_formats(self) -> Mapping[str, str | None]:
        """The formats that any of the models reads."""
        return {
            name: version
            for predictor in self.predictors.values()
            for name, version in predictor.payload_formats.items()
        }

    def read_input(self, payload: StructuredPayload) -> Any:
        raise PredictionError("A set of models reads no input: one of its models does.")

    def predict(self, data: Any) -> Predictions:
        raise PredictionError("A set of models predicts nothing: one of its models does.")

    def liveness_probe(self) -> ProbeResult:
        return self._first_failure(lambda predictor: predictor.liveness_probe())

    def readiness_probe(self) -> ProbeResult:
        return self._first_failure(lambda predictor: predictor.readiness_probe())

    def _first_failure(self, probe: Callable[[BasePredictor], ProbeResult]) -> ProbeResult:
        """Return the first result that is not 200; else that of the first model."""
        results = [probe(predictor) for predictor in self.predictors.values()]
        return next((result for result in results if isinstance(result, tuple) and result[1] != 200), results[0])

    def close(self) -> None:
        for predictor in reversed(self.predictors.values()):
            predictor.close()


PredictorT = TypeVar("PredictorT", bound="BasePredictor | None")


def served_models(
    predictor: PredictorT, settings: ModelSettings
) -> Iterator[tuple[str, PredictorT | BasePredictor, ModelSettings]]:
    """Yield name, predictor and settings of each model of a set; of a single model with an empty name."""
    if not isinstance(predictor, RoutedPredictor):
        yield "", predictor, settings
        return
    for name, own in predictor.predictors.items():
        yield name, own, predictor.settings_by_name[name]


@contextmanager
def _load_errors() -> Iterator[None]:
    """Turn what model code raises into an error of the start, whose message can name the model."""
    try:
        yield
    except DrumError:
        raise
    except Exception as error:
        raise ModelLoadError(f"It failed to load: {type(error).__name__}: {error}") from error
