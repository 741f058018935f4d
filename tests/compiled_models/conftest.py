"""Fixtures of compiled models."""

from collections.abc import Iterator

import pytest

from tests.compiled_models.compiled_folders import close_predictors


@pytest.fixture(autouse=True)
def closed_predictors() -> Iterator[None]:
    """Close the predictors of each test."""
    yield
    close_predictors()
