"""Compile a model in the background: convert, measure, prove, then activate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from datarobot_drum.drum.compiled_models.audit import BackgroundAudit
from datarobot_drum.drum.compiled_models.compiler import compile_model
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, CompiledForm, MissingExtraError, Stopped
from datarobot_drum.drum.compiled_models.measurement import Speed, measure
from datarobot_drum.drum.compiled_models.model_size import format_size, model_size
from datarobot_drum.drum.compiled_models.model_state import ModelState
from datarobot_drum.drum.compiled_models.prediction_function import ActiveForm, PredictionFunction
from datarobot_drum.drum.compiled_models.probe_samples import ProbeSamples
from datarobot_drum.drum.compiled_models.proof import Proof, prove
from datarobot_drum.drum.compiled_models.reference import reference_of
from datarobot_drum.drum.compiled_models.release import ReleasableOriginal
from datarobot_drum.drum.compiled_models.verdicts import Verdict, VerdictFile
from datarobot_drum.drum.settings.compilation import CompileMode, CompileOptions

logger = logging.getLogger(__name__)

MAX_MODEL_BYTES = 32_000_000
"""Largest model that is compiled: conversion and proof take up to five times its memory meanwhile."""

_RELEASE_ROWS = 200
"""Rows on which the file must predict as the model that is let go."""


class CompilationJob:
    """Compiles the model of a prediction function once.

    Args:
        samples: return the samples to prove the compiled form on; may raise ``CannotCompileError``.
        verdicts: the results of earlier jobs for the same model and libraries; None without a place to keep them.
        watches_model: True if code of the model's owner gets the model, and may change it.
    """

    def __init__(
        self,
        function: PredictionFunction,
        options: CompileOptions,
        samples: Callable[[], ProbeSamples],
        verdicts: VerdictFile | None = None,
        *,
        watches_model: bool = False,
    ) -> None:
        self._function = function
        self._options = options
        self._samples = samples
        self._verdicts = verdicts
        self._watches_model = watches_model
        self._pause: Callable[[float], None] = _do_not_pause
        self._outcome = "not compiled"

    def run(self, pause: Callable[[float], None] | None = None) -> str:
        """Compile, measure, prove and activate; log the result as one line, and return it.

        Args:
            pause: called after each step with the seconds that it took; may raise ``Stopped``.
        """
        self._pause = pause or _do_not_pause
        try:
            self._compile()
        except CannotCompileError as error:
            level = logging.INFO if isinstance(error, MissingExtraError) else logging.DEBUG
            self._report(level, f"The model is not compiled: {error}.")
        except Stopped:
            raise
        except Exception as error:  # a library may raise anything; the original goes on predicting
            logger.debug("Compiling the model failed.", exc_info=True)
            self._report(logging.INFO, f"The model is not compiled: {type(error).__name__}: {error}.")
        finally:
            self._function.sample = None
        return self._outcome

    def _compile(self) -> None:
        model = self._function.model
        _require_small(model)
        state = ModelState(model) if self._watches_model else None
        form = compile_model(model, self._function.method, exact=self._is_exact)
        verdict = self._find_verdict(form)
        if verdict is not None:
            self._activate(form, verdict, state)

    def _find_verdict(self, form: CompiledForm) -> Verdict | None:
        """Return the verdict on a usable form: of an earlier job, after a short proof, or of a new proof."""
        samples = self._samples()
        known = self._verdicts.read() if self._verdicts else None
        if known is not None and not known.rows:
            self._report(logging.INFO, known.reason)
            return None
        if known is not None and self._prove(form, samples, with_parts=False).is_proven:
            return known
        verdict = self._judge(form, samples)
        if self._verdicts is not None:
            self._verdicts.write(verdict)
        return verdict if verdict.rows else None

    def _judge(self, form: CompiledForm, samples: ProbeSamples) -> Verdict:
        speed = self._measure(form, samples)
        if not speed.faster_rows:
            return self._refuse(f"The model is not compiled: {form.by} is not faster ({_describe(speed.speedup)}).")
        proof = self._prove(form, samples, with_parts=True)
        if proof.is_proven:
            return Verdict(speed.faster_rows, form.by, proof.check, speed.speedup)
        if not proof.differing:
            return self._refuse(f"The model is not compiled: {form.by} covers none of its samples.")
        return self._refuse(
            f"The model is not compiled: by {form.by} {proof.reason} (largest difference {proof.largest:g})."
        )

    def _refuse(self, reason: str) -> Verdict:
        self._report(logging.INFO, reason)
        return Verdict(range(0), reason=reason)

    def _measure(self, form: CompiledForm, samples: ProbeSamples) -> Speed:
        try:
            original = self._function.original
            return measure(lambda data: original(samples.to_original(data)), form.predict, samples.of_rows, self._pause)
        except (Stopped, CannotCompileError):
            raise
        except Exception as error:  # the model, or its form, fails on ordinary samples
            raise CannotCompileError(f"its samples cannot be made up: {type(error).__name__}: {error}") from error

    def _prove(self, form: CompiledForm, samples: ProbeSamples, *, with_parts: bool) -> Proof:
        reference = reference_of(self._function)
        return prove(
            lambda data: reference(samples.to_original(data)),
            form,
            samples,
            self._pause,
            exact=self._is_exact,
            with_parts=with_parts,
        )

    def _activate(self, form: CompiledForm, verdict: Verdict, state: ModelState | None) -> None:
        function, interval = self._function, self._options.audit_interval
        audit = None
        if interval:
            audit = BackgroundAudit(reference_of(function), interval, self._on_difference, exact=self._is_exact)
        function.activate(ActiveForm(form.predict, verdict.rows, verdict.info, audit, state))
        self._report(
            logging.INFO,
            f"The model is compiled by {verdict.by}: {verdict.check}, {_describe(verdict.speedup)}"
            f"{verdict.rows_text}. Memory: {format_size(model_size(function.model))} the model, "
            f"{format_size(form.nbytes)} its compiled form.",
        )
        if audit is None and verdict.is_for_all_rows:
            self._release()

    def _on_difference(self) -> None:
        """Use the original from now on, and after the next start."""
        self._function.deactivate()
        if self._verdicts is not None:
            reason = "The model is not compiled: a request was predicted otherwise than by the model itself."
            self._verdicts.write(Verdict(range(0), reason=reason))

    def _release(self) -> None:
        original = self._function.original
        if isinstance(original, ReleasableOriginal) and original.release(self._to_original_sample()):
            logger.info("The original model was let go; samples that the compiled form does not cover load it again.")

    def _to_original_sample(self) -> Any:
        samples = self._samples()
        return samples.to_original(samples.of_rows(_RELEASE_ROWS))

    @property
    def _is_exact(self) -> bool:
        return self._options.mode is CompileMode.EXACT

    def _report(self, level: int, sentence: str) -> None:
        self._outcome = sentence
        logger.log(level, "%s", sentence)


def _require_small(model: Any) -> None:
    size = model_size(model)
    if size > MAX_MODEL_BYTES:
        raise CannotCompileError(
            f"it has {format_size(size)}, and compiling takes too much memory beyond {format_size(MAX_MODEL_BYTES)}"
        )


def _do_not_pause(seconds: float) -> None:
    pass


def _describe(speedup: Mapping[str, Any]) -> str:
    return f"{speedup['1']:g}x as fast for 1 row and {speedup['1000']:g}x for 1,000"
