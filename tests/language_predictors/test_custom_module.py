"""Which custom.py is taken, and how it is imported."""

from pathlib import Path

import pytest

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.custom_module import CustomConstants, find_custom_file, read_constants
from tests.language_predictors.builders import write_model


def test_the_top_level_wins(tmp_path: Path) -> None:
    write_model(tmp_path, custom="", sub__custom="")
    assert find_custom_file(tmp_path) == tmp_path / "custom.py"


def test_a_nested_file_is_found_at_the_least_depth(tmp_path: Path) -> None:
    write_model(tmp_path, a__deep__custom="", z__custom="", b__deep__er__custom="")
    assert find_custom_file(tmp_path) == tmp_path / "z" / "custom.py"


def test_equally_near_files_are_named(tmp_path: Path) -> None:
    write_model(tmp_path, b__custom="", a__custom="", c__d__custom="")
    with pytest.raises(ModelLoadError, match=r"\(a.custom\.py, b.custom\.py\)"):
        find_custom_file(tmp_path)


def test_hidden_folders_and_packages_do_not_count(tmp_path: Path) -> None:
    for folder in (".venv", "venv/lib/site-packages/x", "__pycache__", "node_modules"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "custom.py").touch()
    (tmp_path / "custom.py").mkdir()
    assert find_custom_file(tmp_path) is None


@pytest.mark.parametrize(
    ("source", "is_safe"),
    [
        pytest.param("", True, id="silent"),
        pytest.param("THREAD_SAFE = False", False, id="not safe"),
        pytest.param("THREAD_SAFE = True", True, id="safe"),
        pytest.param("THREAD_SAFE = False\nTHREAD_SAFE = True", True, id="the last one counts"),
        pytest.param("def f():\n    THREAD_SAFE = False", True, id="not at the top level"),
        pytest.param("def f(:", True, id="broken"),
        pytest.param("x = '\0'", True, id="NUL"),
    ],
)
def test_a_model_may_ask_for_one_call_at_a_time(tmp_path: Path, source: str, is_safe: bool) -> None:
    file = tmp_path / "custom.py"
    file.write_text(source)
    assert read_constants(file).thread_safe is is_safe


@pytest.mark.parametrize(
    ("source", "size", "wait"),
    [
        pytest.param("", 0, 0.0, id="silent"),
        pytest.param("MAX_BATCH_SIZE = 64\nBATCH_WAIT_MS = 2.5", 64, 2.5, id="both"),
        pytest.param("MAX_BATCH_SIZE = '64'\nBATCH_WAIT_MS = None", 0, 0.0, id="no numbers"),
        pytest.param("MAX_BATCH_SIZE = True\nBATCH_WAIT_MS = 1e999", 0, 0.0, id="odd numbers"),
        pytest.param("import nothing_there\nMAX_BATCH_SIZE = 8", 8, 0.0, id="of a file that does not run"),
    ],
)
def test_a_model_may_ask_for_batches(tmp_path: Path, source: str, size: int, wait: float) -> None:
    file = tmp_path / "custom.py"
    file.write_text(source)
    assert read_constants(file) == CustomConstants(True, size, wait)
