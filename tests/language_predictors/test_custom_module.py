"""The search for custom.py in a model folder."""

from pathlib import Path

import pytest

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.custom_module import find_custom_file
from tests.language_predictors.builders import write_model


def test_top_level_custom_file_precedes_nested_ones(tmp_path: Path) -> None:
    write_model(tmp_path, custom="", sub__custom="")
    assert find_custom_file(tmp_path) == tmp_path / "custom.py"


def test_nearest_nested_custom_file_is_found(tmp_path: Path) -> None:
    write_model(tmp_path, a__deep__custom="", z__custom="", b__deep__er__custom="")
    assert find_custom_file(tmp_path) == tmp_path / "z" / "custom.py"


def test_equally_near_custom_files_are_named_in_the_error(tmp_path: Path) -> None:
    write_model(tmp_path, b__custom="", a__custom="", c__d__custom="")
    with pytest.raises(ModelLoadError, match=r"\(a.custom\.py, b.custom\.py\)"):
        find_custom_file(tmp_path)


def test_hidden_and_package_folders_are_skipped(tmp_path: Path) -> None:
    for folder in (".venv", "venv/lib/site-packages/x", "__pycache__", "node_modules"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "custom.py").touch()
    (tmp_path / "custom.py").mkdir()
    assert find_custom_file(tmp_path) is None
