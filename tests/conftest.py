"""What every test gets: runtime parameters and known secrets of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from datarobot_drum.drum.settings.arguments import variables
from datarobot_drum.runtime_parameters import masking
from datarobot_drum.runtime_parameters.store import install

# A busy machine is no failure: what takes too long is measured elsewhere.
settings.register_profile("drum", deadline=None)
settings.load_profile("drum")

_PREFIXES = ("DRUM_", "MLOPS_")
_NAMES = ("CUSTOM_MODEL_WORKERS", "UVICORN_WORKERS", "URL_PREFIX", "TARGET_NAME")


_SHARED = {"echo_servers", "raw_servers", "error_servers"}
"""Servers of a whole run."""


_LONG = (
    "api/test_numeric_truth.py",
    "api/test_openapi_conformance.py",
    "artifact_predictors/test_array_input.py",
    "artifact_predictors/test_target_framework_matrix.py",
    "artifact_predictors/test_served_models.py",
    "benchmarks",
    "cli/test_life_cycle.py",
    "commands",
    "engine",
    "examples",
    "resilience",
    "serving/test_batching_schedules.py",
    "watchdog/test_hung_servers.py",
)
"""Files and folders that take minutes: trained models, load, many servers one after the other."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the long tests, too (make test ALL=1)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless its file was named or all was asked for; then put tests into processes.

    In a parallel run a file stays in one process, and so do all files whose tests share servers.
    """
    names_files = any(".py" in argument or "/" in argument for argument in config.args)
    if not config.getoption("--all") and not names_files:
        long = [item for item in items if _is_long(item)]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not _is_long(item)]
    _put_into_groups(items)


def _is_long(item: pytest.Item) -> bool:
    path = item.path.relative_to(Path(__file__).parent).as_posix()
    return any(path == long or path.startswith(f"{long}/") for long in _LONG)


def _put_into_groups(items: list[pytest.Item]) -> None:
    sharing = {item.path for item in items if _SHARED & set(getattr(item, "fixturenames", ()))}
    for item in items:
        group = "shared servers" if item.path in sharing else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def own_runtime_parameters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Values that a test installs and secrets that it makes known end with it."""
    monkeypatch.setattr(masking, "SECRETS", masking.SecretRegistry())
    former = install(None)
    yield
    install(former)


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine that runs the tests is taken for an argument or a parameter."""
    arguments = variables()
    for variable in list(os.environ):
        if variable in arguments or variable in _NAMES or variable.startswith(_PREFIXES):
            monkeypatch.delenv(variable)
