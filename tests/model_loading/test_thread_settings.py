"""Settings made while loading hold in predictions on all servers; those of one request do not reach another."""

import contextvars
import decimal
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from types import ModuleType

import pytest

from datarobot_drum.drum.model_loading.thread_settings import ThreadSettings
from tests.process.hook_servers import SERVER_TYPES, Servers, call_function, serve_functions
from tests.processes import RunningServer

CODE = """
import contextvars
import decimal

import joblib
import numpy as np
import sklearn
import torch
import xgboost

variable = contextvars.ContextVar("variable", default="unset")
sklearn.set_config(transform_output="pandas")


def init(code_dir):
    decimal.getcontext().prec = 7
    np.seterr(divide="raise")


def load_model(code_dir):
    variable.set("loaded")
    xgboost.set_config(verbosity=0)
    joblib.parallel_config(backend="threading", n_jobs=3)
    torch.set_grad_enabled(False)
    return "model"


def settings(model):
    return (
        sklearn.get_config()["transform_output"],
        decimal.getcontext().prec,
        np.geterr()["divide"],
        variable.get(),
        xgboost.get_config()["verbosity"],
        joblib.parallel.get_active_backend()[1],
        torch.is_grad_enabled(),
    )


def change(model):
    sklearn.set_config(transform_output="default")
    decimal.getcontext().prec = 3
    np.seterr(divide="ignore")
    variable.set("changed")
    torch.set_grad_enabled(True)
    return "changed"
"""

TORCH = '''
"""torch as far as its grad mode goes: on by default in each thread."""

import threading

_thread = threading.local()


def is_grad_enabled():
    return getattr(_thread, "grad", True)


def set_grad_enabled(mode):
    _thread.grad = mode
'''

LOADED = "('pandas', 7, 'raise', 'loaded', 0, 3, False)"


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("settings")
    (folder / "model").mkdir()
    (folder / "model" / "torch.py").write_text(TORCH, encoding="utf-8")
    with serve_functions(folder, CODE) as servers:
        yield servers


@pytest.fixture(params=SERVER_TYPES)
def server(all_servers: Servers, request: pytest.FixtureRequest) -> RunningServer:
    return all_servers[request.param]


@pytest.mark.process
def test_settings_of_the_load_hold_in_predictions(server: RunningServer) -> None:
    assert call_function(server, "settings") == LOADED


@pytest.mark.process
@pytest.mark.parametrize("server_type", ["flask", "fastapi"])
def test_settings_of_one_request_do_not_reach_another(all_servers: Servers, server_type: str) -> None:
    server = all_servers[server_type]
    assert call_function(server, "change") == "'changed'"
    assert [call_function(server, "settings") for _ in range(4)] == [LOADED] * 4


VARIABLE: ContextVar[str] = ContextVar("VARIABLE")


def in_new_thread(work: Callable[[], object]) -> object:
    """Return the result of ``work`` in a new thread."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def load(work: Callable[[], object], base: Context) -> ThreadSettings:
    """Return the settings after ``work`` in a thread whose context is a copy of ``base``."""

    def run() -> ThreadSettings:
        work()
        return ThreadSettings(base)

    settings = in_new_thread(lambda: base.copy().run(run))
    assert isinstance(settings, ThreadSettings)
    return settings


def test_a_load_that_sets_nothing_leaves_no_work_for_calls() -> None:
    assert not load(lambda: decimal.getcontext().prec, Context())


def test_a_variable_of_the_request_wins() -> None:
    settings = load(lambda: VARIABLE.set("load"), Context())

    def call() -> str:
        VARIABLE.set("request")
        settings.apply()
        return VARIABLE.get()

    assert contextvars.copy_context().run(call) == "request"


def test_a_variable_of_the_load_replaces_that_of_the_process() -> None:
    base = Context()
    base.run(VARIABLE.set, "process")
    settings = load(lambda: VARIABLE.set("load"), base)
    request = base.copy()
    request.run(settings.apply)
    assert request[VARIABLE] == "load"


def test_each_call_gets_its_own_decimal_context() -> None:
    def set_precision() -> None:
        decimal.getcontext().prec = 7

    settings = load(set_precision, Context())

    def change() -> int:
        settings.apply()
        found = decimal.getcontext().prec
        decimal.getcontext().prec = 3
        return found

    assert [Context().run(change) for _ in range(2)] == [7, 7]


def test_a_setting_that_cannot_be_made_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = ModuleType("torch")
    values = threading.local()
    library.is_grad_enabled = lambda: getattr(values, "grad", True)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", library)
    settings = load(lambda: setattr(values, "grad", False), copy_context())
    in_new_thread(settings.apply)
    assert "The grad mode of torch is not set in this thread" in caplog.text
