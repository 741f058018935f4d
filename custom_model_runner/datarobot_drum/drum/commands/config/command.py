"""``drum config``, also as ``drum server --check``: settings with their sources, warnings and all errors."""

import sys
from contextlib import suppress
from functools import partial

from datarobot_drum.drum.commands.config.report import Report, as_json, as_text, problem_lines
from datarobot_drum.drum.commands.config.trial_start import ModelResult, captured_warnings, try_model
from datarobot_drum.drum.commands.server import start_checks
from datarobot_drum.drum.commands.standard_output import reserve_stdout
from datarobot_drum.drum.commands.target_type.detection import with_target_type
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import Settings, draft_settings
from datarobot_drum.drum.settings.build_record import BuildRecord
from datarobot_drum.drum.settings.effective import effective_settings, model_parameters
from datarobot_drum.drum.settings.environment import undefined_variables
from datarobot_drum.drum.settings.start_warnings import start_warnings


def check(arguments: Arguments) -> int:
    """Check everything that a start of the server checks but ports, and print the result.

    Returns:
        0, or the exit code with which ``drum server`` would end.
    """
    sys.dont_write_bytecode = True  # the folder of the model stays as it is
    with reserve_stdout() as output:
        report = _examine(arguments)
        for line in problem_lines(report, with_tracebacks=arguments.show_stacktrace):
            sys.stderr.write(f"{line}\n")
        with suppress(BrokenPipeError):
            output.write((as_json(report) if arguments.as_json else as_text(report)).encode())
            output.flush()
    return report.exit_code


def _examine(arguments: Arguments) -> Report:
    record = BuildRecord(collects=True)
    with captured_warnings() as logged:
        settings = _draft(with_target_type(arguments), record)
        model = ModelResult()
        if not record.model_errors:
            model = try_model(settings)
        if model.error is not None:
            record.add(model.error)
    warnings = (
        *logged,
        *start_warnings(settings),
        *undefined_variables(settings.defined_parameters),
    )
    return Report(
        settings=effective_settings(settings),
        model_parameters=model_parameters(settings),
        platform=settings.platform.effects,
        model=model,
        warnings=tuple(dict.fromkeys(warnings)),
        errors=tuple(record.errors),
    )


def _draft(arguments: Arguments, record: BuildRecord) -> Settings:
    for message in arguments.errors.values():
        record.add(UsageError(message))
    settings = draft_settings(arguments, record)
    for run_check in start_checks(settings):
        record.attempt(partial(run_check, settings), None)
    return settings
