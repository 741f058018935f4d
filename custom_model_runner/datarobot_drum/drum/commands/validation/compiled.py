"""The check that compiles a model as a server does."""

from datarobot_drum.drum.commands.validation.results import CheckResult, Status
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.compilation import CompileMode

_TITLE = "model is compiled"


def check_compiled(predictor: BasePredictor, model: ModelSettings) -> CheckResult:
    """Compile the model; a model that stays as it is passes no less, so the check is skipped for it."""
    if model.compilation.mode is CompileMode.OFF:
        return CheckResult(_TITLE, Status.SKIPPED, "DRUM_COMPILE is off")
    outcome = predictor.compile()
    if outcome is None:
        return CheckResult(_TITLE, Status.SKIPPED, "a hook, or a model of another kind, predicts")
    return CheckResult(_TITLE, Status.PASSED if predictor.compiled else Status.SKIPPED, outcome)
