"""Fixtures and options of all tests: own runtime parameters, and which tests are long."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from datarobot_drum.drum.settings.arguments import variable_names
from datarobot_drum.runtime_parameters import masking
from datarobot_drum.runtime_parameters.store import install

# No deadline: tests also run on busy machines, and benchmarks measure durations.
settings.register_profile("drum", deadline=None, max_examples=50)
settings.load_profile("drum")

_PREFIXES = ("DRUM_", "MLOPS_", "AIP_", "SAGEMAKER_")
_NAMES = ("CUSTOM_MODEL_WORKERS", "UVICORN_WORKERS", "URL_PREFIX", "TARGET_NAME", "PORT")


_LONG = (
    "api/test_compiled_models.py",
    "api/test_json_rows.py",
    "api/test_mlflow_client.py",
    "api/test_numeric_truth.py",
    "api/test_openai_routes.py",
    "api/test_openapi_conformance.py",
    "api/test_platforms.py",
    "api/test_tls.py",
    "api/test_v2.py",
    "artifact_predictors/test_array_input.py",
    "artifact_predictors/test_target_framework_matrix.py",
    "artifact_predictors/test_served_models.py",
    "benchmarks",
    "cli/test_external_launch.py",
    "cli/test_life_cycle.py",
    "cli/test_reload.py",
    "commands/test_fit.py",
    "commands/test_new_model.py",
    "commands/test_perf_test.py",
    "commands/test_score.py",
    "commands/test_score_parts.py",
    "commands/test_validation.py",
    "commands/test_validation_compile.py",
    "compiled_models/test_many_random_models.py",
    "conformance_clients",
    "deploy/test_image_in_sandbox.py",
    "deploy/test_walk_through.py",
    "docs/test_pages.py",
    "docs/test_site_build.py",
    "engine",
    "examples",
    "first_paths",
    "grpc",
    "input_schema/test_served_boosters.py",
    "input_schema/test_served_rows.py",
    "playground",
    "ray_cluster",
    "resilience",
    "serving/batching/test_batch_schedules.py",
    "management/test_management_port.py",
    "management/test_metrics_export.py",
    "management/test_prometheus.py",
    "management/test_watchdog.py",
    "management/test_watchdog_on_servers.py",
)
"""Files and folders that run for minutes: trained models, load, many servers one after the other."""

_SHARED_SERVERS = (
    "any_input",
    "chat",
    "clients",
    "equality",
    "error_server",
    "forms",
    "information",
    "model_errors",
    "model_identity",
    "openai_routes",
    "openapi",
    "payloads",
    "request_ids",
    "routes",
    "streaming",
    "transfers",
    "transform",
    "unstructured",
)
"""Files ``tests/api/test_*.py`` that use the servers of the session: each process that runs one starts all of them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the long tests, too (make test ALL=1)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests with real processes first: a parallel run that ends with them leaves the other cores idle."""
    items.sort(key=lambda item: item.get_closest_marker("process") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Run a file in one process, and in one process all files that share the servers of the session."""
    if config.getoption("dist") != "loadfile":
        return None
    scheduling = LoadFileScheduling(config, log)
    scheduling._split_scope = _scope_of
    return scheduling


def _scope_of(test: str) -> str:
    file = test.partition("::")[0]
    name = file.removeprefix("tests/api/test_").removesuffix(".py")
    return "tests/api" if name in _SHARED_SERVERS else file


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip long tests, unless ``--all`` or files are given; not even import them, which takes most of a minute."""
    names_files = any(".py" in argument or "/" in argument for argument in config.args)
    return (_is_long(collection_path) and not config.getoption("--all") and not names_files) or None


def _is_long(collected: Path) -> bool:
    path = collected.relative_to(Path(__file__).parent).as_posix()
    return any(path == long or path.startswith(f"{long}/") for long in _LONG)


@pytest.fixture(autouse=True)
def own_runtime_parameters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reset runtime parameters and known secrets after each test."""
    monkeypatch.setattr(masking, "SECRETS", masking.SecretRegistry())
    former = install(None)
    yield
    install(former)


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove variables that would be read as an argument or a parameter."""
    arguments = variable_names()
    for variable in list(os.environ):
        if variable in arguments or variable in _NAMES or variable.startswith(_PREFIXES):
            monkeypatch.delenv(variable)
