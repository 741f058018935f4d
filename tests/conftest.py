"""What every test gets: runtime parameters and known secrets of its own."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from datarobot_drum.drum.arguments import variables
from datarobot_drum.runtime_parameters import masking
from datarobot_drum.runtime_parameters.store import install

# A busy machine is no failure: what takes too long is measured elsewhere.
settings.register_profile("drum", deadline=None)
settings.load_profile("drum")

_PREFIXES = ("DRUM_", "MLOPS_")
_NAMES = ("CUSTOM_MODEL_WORKERS", "UVICORN_WORKERS", "URL_PREFIX", "TARGET_NAME")


_SHARED = {"echo_trio", "raw_trio", "broken_trio"}
"""Servers of a whole run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In a parallel run a file stays in one process, and so do all files whose tests share servers."""
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
