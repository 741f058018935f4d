"""A fixture that loads the model of a test and closes it afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.artifact_predictors.loaded_models import Load


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    load = Load(tmp_path)
    yield load
    for predictor in load.loaded:
        predictor.close()
