"""``drum validation``: loads the model, checks it and reports the results."""

from collections.abc import Iterator
from contextlib import ExitStack

from datarobot_drum.drum.commands.input_file import InputFile, input_path, is_chat_request, opened_input, table_input
from datarobot_drum.drum.commands.loaded_model import loaded_model
from datarobot_drum.drum.commands.progress import OnProgress, progress_bar
from datarobot_drum.drum.commands.report_file import report_path, write_report
from datarobot_drum.drum.commands.standard_output import reserve_stdout
from datarobot_drum.drum.commands.target_type.detection import with_target_type
from datarobot_drum.drum.commands.validation.chat import (
    MAX_REQUESTS,
    chat_requests,
    check_chat,
    read_chat_request,
)
from datarobot_drum.drum.commands.validation.checks import OUTPUT, check_structured
from datarobot_drum.drum.commands.validation.compiled import check_compiled
from datarobot_drum.drum.commands.validation.embeddings import check_embeddings
from datarobot_drum.drum.commands.validation.expected import Expected, check_expected, expected_predictions
from datarobot_drum.drum.commands.validation.model_under_test import ModelUnderTest, read_cells, read_samples
from datarobot_drum.drum.commands.validation.report import page
from datarobot_drum.drum.commands.validation.results import CheckResult, Status, describe_error, exit_code_of
from datarobot_drum.drum.commands.validation.terminal import print_results
from datarobot_drum.drum.commands.validation.unstructured import check_unstructured
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import ModelSettings, build_model_settings
from datarobot_drum.drum.settings.target_types import TargetType

_LOAD, _READ = "model loads", "input is read"


def validate(arguments: Arguments) -> int:
    """Check the model on ``--input`` and return the exit code: 0 if all checks pass.

    Raises:
        UsageError: an argument is missing or wrong.
        StartupError, RequestError: the input cannot be read, or the report cannot be written.
    """
    model = build_model_settings(with_target_type(arguments))
    path = input_path(arguments)
    report = report_path(arguments)
    expected = expected_predictions(arguments, model.target_type)
    with reserve_stdout(), opened_input(path) as source, progress_bar() as on_progress:
        results = list(_check_model(model, source, expected, on_progress, compiles=arguments.compile))
    print_results(results)
    if report is not None:
        write_report(report, page(model, path.name, results))
    return exit_code_of(results)


def _check_model(
    model: ModelSettings, source: InputFile, expected: Expected | None, on_progress: OnProgress, *, compiles: bool
) -> Iterator[CheckResult]:
    with ExitStack() as stack:
        try:
            predictor = stack.enter_context(loaded_model(model))
        except ModelLoadError as error:
            yield CheckResult(_LOAD, Status.FAILED, str(error))
            return
        yield CheckResult(_LOAD, Status.PASSED, predictor.name)
        if model.target_type is TargetType.UNSTRUCTURED:
            yield from check_unstructured(predictor, source)
            return
        if predictor.can_chat and is_chat_request(source.path):
            yield from check_chat(predictor, [read_chat_request(source)])
            return
        if not predictor.reads_raw_input:
            source = stack.enter_context(table_input(source))
        try:
            samples = read_samples(predictor, source, on_progress)
        except PredictionError as error:  # of the model's hook; unreadable input raises
            yield CheckResult(_READ, Status.FAILED, describe_error(error))
            return
        tested = ModelUnderTest(predictor, model, samples, read_cells(predictor, source))
        if predictor.can_embed:
            yield check_embeddings(tested)
        if predictor.can_chat:
            requests = chat_requests(tested.texts(MAX_REQUESTS))
            yield from check_chat(predictor, requests, tested.no_texts)
        if not predictor.predicts_rows and expected is None:
            yield CheckResult(OUTPUT, Status.SKIPPED, "the model has no score hook, so it predicts no rows")
            return
        yield from check_structured(tested, on_progress)
        if expected is not None:
            yield check_expected(tested, source, expected, on_progress)
        if compiles:
            yield check_compiled(predictor, model)
