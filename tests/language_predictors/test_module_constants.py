"""Constants of custom.py, read without running it."""

from pathlib import Path

import pytest

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.cases import each_case
from tests.language_predictors.builders import model_settings


def read_concurrency_limit(folder: Path, source: str) -> int | None:
    (folder / "custom.py").write_text(source)
    return create_predictor(model_settings(folder)).concurrency_limit


@each_case(
    ("source", "limit"),
    [
        pytest.param("", None, id="silent"),
        pytest.param("THREAD_SAFE = False", 1, id="not safe"),
        pytest.param("THREAD_SAFE = True", None, id="safe"),
        pytest.param("THREAD_SAFE = False\nTHREAD_SAFE = True", None, id="the last one counts"),
        pytest.param("def f():\n    THREAD_SAFE = False", None, id="not at the top level"),
        pytest.param("def f(:", None, id="broken"),
        pytest.param("x = '\0'", None, id="NUL"),
        pytest.param("MAX_CONCURRENCY = 3", 3, id="three at once"),
        pytest.param("MAX_CONCURRENCY: int = 3", 3, id="with a type"),
        pytest.param("A = MAX_CONCURRENCY = 3", 3, id="two names"),
        pytest.param("MAX_CONCURRENCY: int", None, id="a type alone"),
        pytest.param("MAX_CONCURRENCY = 3\nTHREAD_SAFE = False", 1, id="not safe is stronger"),
    ],
)
def test_constants_set_the_concurrency_limit(tmp_path: Path, source: str, limit: int | None) -> None:
    assert read_concurrency_limit(tmp_path, source) == limit


@each_case("value", ["0", "-1", "2.0", "True", "'2'", "os.cpu_count()"])
def test_invalid_max_concurrency_is_rejected(tmp_path: Path, value: str) -> None:
    with pytest.raises(
        ModelLoadError, match=r"^custom\.py, line 2: MAX_CONCURRENCY must be a whole number of at least 1"
    ):
        read_concurrency_limit(tmp_path, f"import os\nMAX_CONCURRENCY = {value}\n")


def test_computed_thread_safety_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"^custom\.py, line 1: THREAD_SAFE must be True or False, written out"):
        read_concurrency_limit(tmp_path, "THREAD_SAFE = bool([])\n")


@each_case(
    ("source", "size", "wait"),
    [
        pytest.param("", 0, 0.0, id="silent"),
        pytest.param("MAX_BATCH_SIZE = 64\nBATCH_WAIT_MS = 2.5", 64, 2.5, id="both"),
        pytest.param("MAX_BATCH_SIZE = '64'\nBATCH_WAIT_MS = None", 0, 0.0, id="no numbers"),
        pytest.param("MAX_BATCH_SIZE = True\nBATCH_WAIT_MS = 1e999", 0, 0.0, id="odd numbers"),
        pytest.param("import nothing_there\nMAX_BATCH_SIZE = 8", 8, 0.0, id="of a file that does not run"),
    ],
)
def test_constants_set_the_batch_settings(tmp_path: Path, source: str, size: int, wait: float) -> None:
    (tmp_path / "custom.py").write_text(source)
    predictor = create_predictor(model_settings(tmp_path))
    assert (predictor.max_batch_size, predictor.batch_wait_ms) == (size, wait)
