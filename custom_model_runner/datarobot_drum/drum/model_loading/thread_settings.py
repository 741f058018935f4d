"""Settings that model code makes while it loads, for the threads that predict.

scikit-learn's configuration, torch's grad mode and others belong to one thread, and context variables (numpy's
``errstate``, the decimal context) to one context. A gunicorn ``sync`` worker loads and predicts in the same thread, the
other servers do not.
"""

import decimal
import logging
import sys
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

_MISSING: Any = object()


@dataclass(frozen=True)
class _Setting:
    """A setting of the current thread, in a library that model code may have imported."""

    module: str
    name: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]
    is_reset: bool = False
    """True if calls are quick enough to undo before each call what an earlier one has changed."""


def _enter_inference_mode(torch: Any, enabled: Any) -> None:
    mode = torch.inference_mode(enabled)
    mode.__enter__()
    _entered.mode = mode  # it ends with the object


_entered = threading.local()


def _numpy_errors(numpy: Any) -> Any:
    return None if int(numpy.__version__.partition(".")[0]) >= 2 else numpy.geterr()


def _openmp_threads(threadpoolctl: Any) -> int | None:
    return min(
        (pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "openmp"), default=None
    )


_SETTINGS = (
    _Setting("sklearn", "config", lambda m: m.get_config(), lambda m, value: m.set_config(**value), True),
    _Setting("xgboost", "config", lambda m: m.get_config(), lambda m, value: m.set_config(**value)),
    _Setting(
        "joblib.parallel", "config", lambda m: m._backend.__dict__.copy(), lambda m, v: vars(m._backend).update(v)
    ),
    _Setting("threadpoolctl", "threads", _openmp_threads, lambda m, value: m.threadpool_limits(value, "openmp")),
    # From version 2 on, errstate is a context variable.
    _Setting("numpy", "errors", _numpy_errors, lambda m, value: m.seterr(**value)),
    _Setting("torch", "grad mode", lambda m: m.is_grad_enabled(), lambda m, value: m.set_grad_enabled(value), True),
    _Setting("torch", "inference mode", lambda m: m.is_inference_mode_enabled(), _enter_inference_mode),
    _Setting("torch", "threads", lambda m: m.get_num_threads(), lambda m, value: m.set_num_threads(value)),
    _Setting("torch", "device", lambda m: m.get_default_device(), lambda m, value: m.set_default_device(value)),
)


class ThreadSettings:
    """What differs between the thread that has loaded the model and a new thread."""

    def __init__(self, base: Context, *, resets: bool = False) -> None:
        """Read the settings of the current thread.

        Args:
            base: the context that a request starts with, apart from its own variables.
            resets: undo what a call changes before the next one, in threads that did not load the model.
        """
        self._thread = threading.local()
        self._thread.has_loaded = True
        self._settings = _thread_settings()
        self._resets = [(setting, value) for setting, value in _read_all().items() if resets and setting.is_reset]
        self._variables = list(_changed_variables(base))

    def __bool__(self) -> bool:
        return bool(self._settings or self._resets or self._variables)

    def apply(self) -> None:
        """Make these settings in the current thread and its context; variables of the request win."""
        has_loaded = getattr(self._thread, "has_loaded", None)
        if has_loaded is None:
            self._thread.has_loaded = False
            for setting, value in self._settings:
                _write(setting, value)
        elif not has_loaded:
            for setting, value in self._resets:
                if setting.read(sys.modules[setting.module]) != value:
                    _write(setting, value)
        for variable, value, base_value in self._variables:
            current = variable.get(_MISSING)
            if current is _MISSING or current is base_value:
                variable.set(value.copy() if isinstance(value, decimal.Context) else value)


def _changed_variables(base: Context) -> "list[tuple[ContextVar[Any], Any, Any]]":
    """Return context variables that differ from ``base``: variable, value, and value of ``base``."""
    changed = []
    for variable, value in copy_context().items():
        base_value = base.get(variable, _MISSING)
        is_changed = value is not base_value
        if isinstance(value, decimal.Context):  # it is changed in place, so each call needs a copy
            is_changed = base_value is not _MISSING or _differs_from_default(value)
        if is_changed:
            changed.append((variable, value, base_value))
    return changed


def _differs_from_default(context: decimal.Context) -> bool:
    default = decimal.Context()
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp", "traps")
    return any(getattr(context, name) != getattr(default, name) for name in names)


def _thread_settings() -> list[tuple[_Setting, Any]]:
    """Return the settings that a new thread lacks, with their values."""
    own = _read_all()
    fresh: dict[_Setting, Any] = {}
    thread = threading.Thread(target=lambda: fresh.update(_read_all()), name="drum-thread-settings", daemon=True)
    thread.start()
    thread.join()
    return [(setting, value) for setting, value in own.items() if setting not in fresh or fresh[setting] != value]


def _read_all() -> dict[_Setting, Any]:
    values = {}
    for setting in _SETTINGS:
        module = sys.modules.get(setting.module)
        if module is not None:
            try:
                values[setting] = setting.read(module)
            except Exception as error:  # another version of the library
                logger.debug("Cannot read the %s of %s: %s", setting.name, setting.module, error)
    return values


def _write(setting: _Setting, value: Any) -> None:
    try:
        setting.write(sys.modules[setting.module], value)
    except Exception as error:  # the prediction may do without it
        logger.warning("The %s of %s is not set in this thread: %s", setting.name, setting.module, error)
