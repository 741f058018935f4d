"""The compilation of a loaded Python model: which function is compiled, and on which samples it is proven."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.settings.compilation import CompileMode

if TYPE_CHECKING:
    from datarobot_drum.drum.compiled_models.background import Compilation
    from datarobot_drum.drum.compiled_models.job import CompilationJob
    from datarobot_drum.drum.compiled_models.prediction_function import PredictionFunction
    from datarobot_drum.drum.compiled_models.probe_samples import ProbeSamples
    from datarobot_drum.drum.language_predictors.python_model import PythonModel


def compiled_info(model: PythonModel) -> Mapping[str, Any] | None:
    """Return what ``/info/`` shows of the compiled form; None without one."""
    function = getattr(model.artifact, "function", None)
    return None if function is None else function.info


def compilation_of(
    model: PythonModel, artifact: Path | None, load: Callable[[], Any] | None = None
) -> Compilation | None:
    """Return the compilation of the model's prediction; None if hooks predict, or if it is switched off.

    Args:
        artifact: the file that the model was loaded from, beside which the verdict is kept; None without one.
        load: load the artifact again; None for a model that hooks or other code may have.
    """
    options = model.settings.compilation
    function: PredictionFunction | None = getattr(model.artifact, "function", None)
    if function is None:
        return None
    function.stop_recording()
    if options.mode is CompileMode.OFF or _blocks_other_threads():
        function.sample = None
        return None
    if artifact is not None and load is not None and not options.audit_interval:
        from datarobot_drum.drum.compiled_models.release import ReleasableOriginal, StoredModel

        stored = StoredModel(artifact, load)
        function.original = ReleasableOriginal(function.original, function.model, function.method, stored)
    from datarobot_drum.drum.compiled_models.background import Compilation

    return Compilation(partial(_job, model, function, artifact))


def _job(model: PythonModel, function: PredictionFunction, artifact: Path | None) -> CompilationJob:
    from datarobot_drum.drum.compiled_models.job import CompilationJob
    from datarobot_drum.drum.compiled_models.verdicts import VerdictFile

    options = model.settings.compilation
    verdicts = None if artifact is None else VerdictFile(artifact, f"{options.mode.value} {function.method}")
    samples = partial(_probe_samples, function, model.artifact)
    return CompilationJob(function, options, samples, verdicts, watches_model=bool(model.hooks))


def _probe_samples(function: PredictionFunction, artifact: Any) -> ProbeSamples:
    """Return samples with the columns of the model; may raise ``CannotCompileError``."""
    from datarobot_drum.drum.compiled_models.probe_samples import ProbeSamples
    from datarobot_drum.drum.compiled_models.probe_values import add_sample, probe_columns

    columns = probe_columns(function.model)
    if function.sample is not None:
        add_sample(columns, function.sample)
    names = _column_names(function.model, artifact, len(columns))
    return ProbeSamples(columns, names, artifact.to_samples, reads_arrays=function.reads_arrays)


def _column_names(estimator: Any, artifact: Any, width: int) -> Sequence[str]:
    for names in (artifact.schema.names, getattr(estimator, "feature_names_in_", None)):
        if names is not None and len(names) == width:
            return list(map(str, names))
    return [f"column {position}" for position in range(width)]


def _blocks_other_threads() -> bool:
    """Return True under gevent, whose threads all run in one: a compilation would hold up every request."""
    try:
        is_patched: Callable[[str], bool] = sys.modules["gevent.monkey"].is_module_patched
    except KeyError:
        return False
    return is_patched("threading")
