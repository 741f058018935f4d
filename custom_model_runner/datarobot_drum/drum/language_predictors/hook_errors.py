"""Translate errors of model code into one paragraph; the cause is chained, so the log has the traceback."""

import os
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from datarobot_drum.drum.artifact_predictors.load_hints import describe_moved_name, lacking_library
from datarobot_drum.drum.artifact_predictors.requirements_file import missing_module_hint
from datarobot_drum.drum.error_text import without_native_trace
from datarobot_drum.drum.exceptions import (
    DeadlineExceeded,
    DrumHTTPError,
    ModelLoadError,
    PredictionError,
    RequestError,
    UnprocessableInput,
)
from datarobot_drum.drum.iterators import close_iterator, drain_async
from datarobot_drum.drum.language_predictors.code_location import error_location, function_location, hook_location
from datarobot_drum.drum.language_predictors.hooks import Hook
from datarobot_drum.drum.language_predictors.import_scope import model_folders
from datarobot_drum.runtime_parameters import mask_secrets


class prediction_errors:  # lower case: `with prediction_errors():`
    """Context manager that raises errors of model code as ``PredictionError``.

    The location names file, line and hook, if the error passed through code of the model's folder.
    It translates ``BaseException`` too: ``SystemExit``, the panic of a Rust extension, a cancelled task.
    ``DrumHTTPError``, ``DeadlineExceeded``, ``KeyboardInterrupt`` and the types in ``passthrough`` are not translated.
    A class costs less than a generator function; one surrounds every call of a hook.
    """

    __slots__ = ("_hook", "_passthrough")

    def __init__(self, *passthrough: type[BaseException], hook: str = "") -> None:
        self._passthrough = passthrough
        self._hook = hook

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (*_PASSTHROUGH, *self._passthrough)):
            return
        location = function_location(error, model_folders(), _called_hook(error) or self._hook)
        raise PredictionError(_describe(error), location=location) from error


_PASSTHROUGH = (DrumHTTPError, PredictionError, DeadlineExceeded, KeyboardInterrupt)


def wrap_iterator_errors(result: Any, hook: str) -> Any:
    """Return what a hook returned; an iterator is wrapped to raise errors of model code as ``PredictionError``."""
    if isinstance(result, AsyncIterator):
        result = drain_async(result)
    return HookIterator(result, hook) if isinstance(result, Iterator) else result


class HookIterator(Iterator[Any]):
    """An iterator returned by model code; ``close`` runs its ``finally`` blocks."""

    def __init__(self, items: Iterator[Any], hook: str = "") -> None:
        self._items = items
        self._hook = hook

    def __next__(self) -> Any:
        ended = object()
        with prediction_errors(hook=self._hook):
            item = next(self._items, ended)
        if item is ended:
            raise StopIteration
        return item

    def close(self) -> None:
        close_iterator(self._items)


class InvalidHookReturn(PredictionError):
    """The result of the hook ``function`` has a wrong type."""

    def __init__(self, message: str, function: Any) -> None:
        locations = (hook_location(function, folder) for folder in model_folders())
        super().__init__(message, location=next(filter(None, locations), ""))
        self.function = function


@contextmanager
def load_errors(what_failed: str, code_dir: Path) -> Iterator[None]:
    """Raise errors of model code at start as a ``ModelLoadError`` of one paragraph.

    The message names what failed, file and line in the model's code, the cause, and what to do.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        location = _find_location(error, code_dir)
        # Mask before joining the lines: a secret may span several.
        cause = " ".join(mask_secrets(_explain(error)).split()).rstrip(".")
        raise ModelLoadError(f"{what_failed}: {location}{cause}.{_hint(error, code_dir)}") from error


def _describe(error: BaseException) -> str:
    text = without_native_trace(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _explain(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        if library := lacking_library(error.name):
            return f"{library} has no module {error.name}"
        return f"the module {error.name} is not installed"
    if isinstance(error, PredictionError | UnprocessableInput):  # its message is already written for users
        return error.message
    return _describe(error)


def _hint(error: BaseException, code_dir: Path) -> str:
    if isinstance(error, SyntaxError):
        return f" Correct that line; this is Python {sys.version_info.major}.{sys.version_info.minor}."
    if isinstance(error, ModuleNotFoundError) and error.name and not lacking_library(error.name):
        hint = missing_module_hint(error.name, code_dir)
        return f" Install it where the server runs, or put its file into the model folder.{hint}"
    if moved := describe_moved_name(error):
        return moved
    if isinstance(error, ImportError):
        return " Perhaps another version of that package is installed than the model was written for."
    if isinstance(error, FileNotFoundError) and _is_in_code_dir(code_dir, error.filename):
        return " It lies in the model folder, which is not the working folder: join its name to code_dir."
    if isinstance(error, RequestError) and error.__cause__ is None:
        return ""
    return " The traceback is shown with --show-stacktrace."


def _is_in_code_dir(code_dir: Path, file: Any) -> bool:
    return isinstance(file, str) and not os.path.isabs(file) and (code_dir / file).exists()


def _find_location(error: BaseException, code_dir: Path) -> str:
    if isinstance(error, InvalidHookReturn):
        return hook_location(error.function, code_dir)
    return error_location(error, code_dir)


def _called_hook(error: BaseException) -> str:
    """Return the name of the hook whose call raised the error; empty for an iterator or an artifact."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is Hook.__call__.__code__:
            called: Hook = frame.f_locals["self"]
            return called.spec.name
    return ""
