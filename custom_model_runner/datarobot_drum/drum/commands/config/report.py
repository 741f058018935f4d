"""The result of ``drum config`` as text for people, and as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarobot_drum.drum.commands.config.trial_start import ModelResult
from datarobot_drum.drum.error_text import format_error, indented_lines, printable
from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.settings.effective import EffectiveSetting
from datarobot_drum.runtime_parameters import mask_secrets
from datarobot_drum.runtime_parameters.origins import Source

FORMAT_VERSION = 1
"""Increased when a key of the JSON document is removed or gets another meaning; keys may be added."""


@dataclass(frozen=True)
class Report:
    """Settings, the result of loading the model, and what was found to be doubtful or wrong."""

    settings: Sequence[EffectiveSetting]
    model_parameters: Sequence[EffectiveSetting]
    platform: Sequence[str]
    model: ModelResult
    warnings: Sequence[str]
    errors: Sequence[StartupError]

    @property
    def exit_code(self) -> int:
        """0, or the exit code of the first error."""
        return self.errors[0].exit_code if self.errors else 0


def as_json(report: Report) -> str:
    """Return the report as a JSON document."""
    model = report.model
    document = {
        "version": FORMAT_VERSION,
        "ok": not report.errors,
        "exit_code": report.exit_code,
        "settings": [_document_of(setting) for setting in report.settings],
        "model_parameters": [_document_of(setting) for setting in report.model_parameters],
        "platform": list(report.platform),
        "model": {
            "loaded": model.is_loaded,
            "predictor": model.predictor or None,
            "seconds": round(model.seconds, 3) if model.is_loaded else None,
            "warm_up": list(model.samples),
        },
        "warnings": [mask_secrets(warning) for warning in report.warnings],
        "errors": [{"message": _message(error), "exit_code": error.exit_code} for error in report.errors],
    }
    return json.dumps(document, indent=2, default=_plain) + "\n"


def as_text(report: Report) -> str:
    """Return the report as lines: a setting each, in columns, then the model and the result."""
    rows = [("setting", "value", "source")]
    rows += [_row(setting) for setting in report.settings]
    rows += [_row(setting) for setting in report.model_parameters]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip() for row in rows]
    lines += ["", *map(printable, report.platform), _model_line(report.model), _summary(report)]
    return "".join(f"{line}\n" for line in lines)


def problem_lines(report: Report, *, with_tracebacks: bool) -> Iterator[str]:
    """Return a line for each warning and error, for standard error; an error may be preceded by its traceback."""
    for warning in report.warnings:
        yield printable(f"drum: warning: {mask_secrets(warning)}")
    for error in report.errors:
        if with_tracebacks:
            yield indented_lines(mask_secrets(format_error(error)))
        yield printable(f"drum: error: {_message(error)}")


def _document_of(setting: EffectiveSetting) -> dict[str, Any]:
    return {
        "name": setting.name,
        "value": setting.value,
        "source": setting.origin.source.value,
        "source_name": setting.origin.name or None,
        "secret": setting.is_secret,
    }


def _row(setting: EffectiveSetting) -> tuple[str, str, str]:
    source, name = setting.origin
    text = "" if source is Source.DEFAULT else f"{source.value} {name}"
    value = setting.value
    shown = "" if value is None else value if isinstance(value, str) else json.dumps(value, default=_plain)
    return setting.name, printable(shown), printable(text) or source.value


def _model_line(model: ModelResult) -> str:
    if not model.is_loaded:
        return "Model: not loaded."
    if not model.samples:
        return f"Model: {model.predictor}, loaded in {model.seconds:.2f} s. There is no warm-up sample to predict."
    return (
        f"Model: {model.predictor}, loaded in {model.seconds:.2f} s with the prediction of {', '.join(model.samples)}."
    )


def _summary(report: Report) -> str:
    counts = f"{len(report.errors)} error(s), {len(report.warnings)} warning(s)"
    return f"{'Wrong' if report.errors else 'OK'}: {counts}."


def _message(error: StartupError) -> str:
    return mask_secrets(error.located_message)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else repr(value)
