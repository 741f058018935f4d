"""The checks of an unstructured model, whose input and output are bytes."""

from collections.abc import Iterator

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.score.unstructured import score_body
from datarobot_drum.drum.commands.validation.results import CheckResult, Status
from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.serving.media_type import MediaType

_OUTPUT, _DETERMINISM = "output format", "determinism"


def check_unstructured(predictor: BasePredictor, source: InputFile) -> Iterator[CheckResult]:
    """Check that the model responds to the input, and twice with the same bytes."""
    try:
        first = _score(predictor, source)
    except RequestError as error:
        yield CheckResult(_OUTPUT, Status.FAILED, error.message)
        yield CheckResult(_DETERMINISM, Status.SKIPPED, "the input could not be scored")
        return
    yield CheckResult(_OUTPUT, Status.PASSED, f"{len(first)} bytes")
    try:
        is_same = _score(predictor, source) == first
    except RequestError as error:
        yield CheckResult(_DETERMINISM, Status.FAILED, f"The second call with the same input failed: {error.message}")
        return
    detail = "" if is_same else "Two calls with the same input gave different results"
    yield CheckResult(_DETERMINISM, Status.PASSED if is_same else Status.FAILED, detail)


def _score(predictor: BasePredictor, source: InputFile) -> bytes:
    return b"".join(score_body(predictor, source, MediaType(), {}))
