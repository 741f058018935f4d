"""What model code raises, told in one sentence. Tracebacks are for the log: the cause is chained."""

import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import DeadlineExceeded, DrumHTTPError, ModelLoadError, PredictionError
from datarobot_drum.drum.iteration import close_iterator, drain_async


@contextmanager
def prediction_errors(*passed: type[BaseException]) -> Iterator[None]:
    """Whatever model code raises while it predicts becomes a ``PredictionError``.

    That includes what is no ``Exception``: ``SystemExit``, the panic of a library written in Rust, a cancelled task.
    The answer that model code chose itself (``DrumHTTPError``) passes, as do ``KeyboardInterrupt``, a server whose
    patience is at its end (``DeadlineExceeded``), and ``passed``.
    """
    try:
        yield
    except (DrumHTTPError, PredictionError, DeadlineExceeded, KeyboardInterrupt):
        raise
    except passed:
        raise
    except BaseException as error:
        raise PredictionError(_describe(error)) from error


def guarded(answer: Any) -> Any:
    """``answer``; if it is an iterator, one that tells errors of model code as ``PredictionError``."""
    if isinstance(answer, AsyncIterator):
        answer = drain_async(answer)
    return GuardedIterator(answer) if isinstance(answer, Iterator) else answer


class GuardedIterator(Iterator[Any]):
    """An iterator of model code; closing it runs the ``finally`` blocks there."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __next__(self) -> Any:
        ended = object()
        with prediction_errors():
            item = next(self._items, ended)
        if item is ended:
            raise StopIteration
        return item

    def close(self) -> None:
        close_iterator(self._items)


@contextmanager
def load_errors(what_failed: str, code_dir: Path) -> Iterator[None]:
    """Whatever model code raises at start becomes a ``ModelLoadError`` of one sentence, with the place in its code."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        place = _place(error, code_dir)
        cause = " ".join(_explain(error).split()).rstrip(".")
        raise ModelLoadError(f"{what_failed}: {place}{cause}.") from error


def _describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _explain(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the module {error.name} is not installed"
    return _describe(error)


def _place(error: BaseException, code_dir: Path) -> str:
    """File and line of the model's own code, if it got that far."""
    if isinstance(error, SyntaxError) and error.filename:
        places = [(error.filename, error.lineno)]
    else:
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(Path(file), line) for file, line in places if Path(file).is_relative_to(code_dir)]
    if not own:
        return ""
    file, line = own[-1]
    return f"{file.relative_to(code_dir)}, line {line}: "
