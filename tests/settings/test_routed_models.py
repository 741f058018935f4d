"""``models:`` of model-metadata.yaml: what is read, and what does not start."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from datarobot_drum.drum.exceptions import DrumError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import ModelSettings, build_model_settings
from tests.cases import each_case

ONE = {"name": "one", "path": "one", "targetType": "regression", "targetName": "y"}
TWO = {"name": "two", "path": "two", "targetType": "unstructured"}


def build(folder: Path, models: Any, **arguments: Any) -> ModelSettings:
    for name in ("one", "two", "one/inner"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "file").touch()
    (folder / "link").unlink(missing_ok=True)
    (folder / "link").symlink_to(folder.parent)
    (folder / "model-metadata.yaml").write_text(yaml.safe_dump({"models": models}), encoding="utf-8")
    return build_model_settings(Arguments(code_dir=str(folder), **arguments))


def test_a_command_works_on_the_named_model(tmp_path: Path) -> None:
    found = build(tmp_path, [ONE, TWO], model="two")
    assert (found.served_name, found.code_dir, found.target_type.value) == ("two", tmp_path / "two", "unstructured")
    assert build(tmp_path, [ONE, {**TWO, "default": True}]).served_name == "two"
    assert build(tmp_path, [ONE]).served_name == "one"


@each_case(
    ("models", "arguments", "message"),
    [
        ([ONE, TWO], {}, "give --model one or two"),
        ([ONE, TWO], {"model": "three"}, "There is no model 'three'; the folder has 'one', 'two'."),
        ([], {}, "must be a list of models"),
        ("one", {}, "must be a list of models"),
        ([{**ONE, "path": "../one"}], {}, "must be a subfolder of the code dir"),
        ([{**ONE, "path": "/etc"}], {}, "must be a subfolder of the code dir"),
        ([{**ONE, "path": "."}], {}, "must be a subfolder of the code dir"),
        ([{**ONE, "path": "link"}], {}, "must be a subfolder of the code dir"),
        ([{**ONE, "path": "file"}], {}, "file is not a folder"),
        ([{**ONE, "path": "missing"}], {}, "missing is not a folder"),
        ([{"name": "one"}], {}, "needs a path"),
        ([{"path": "one"}], {}, "needs a name"),
        ([{**ONE, "name": "a/b"}], {}, "needs a name of at most 100 letters"),
        ([{**ONE, "colour": 1}], {}, "has unknown keys (colour)"),
        ([{**ONE, "default": "yes, please"}], {}, "default must be true or false"),
        ([ONE, {**TWO, "name": "ONE"}], {}, "must differ, not only in case: 'one', 'ONE'"),
        ([ONE, {**TWO, "path": "one/inner"}], {}, "must be separate"),
        ([{**ONE, "default": True}, {**TWO, "default": True}], {}, "Only one of models"),
        ([{"name": "one", "path": "one"}], {}, "The model 'one' of model-metadata.yaml: --target-type is missing"),
        ([ONE], {"positive_class_label": "a"}, "--positive-class-label does not fit several models"),
    ],
)
def test_a_wrong_list_does_not_start(tmp_path: Path, models: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DrumError) as caught:
        build(tmp_path, models, **arguments)
    assert message in str(caught.value)


def test_code_beside_the_list_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "custom.py").touch()
    with pytest.raises(DrumError, match=r"custom\.py beside it is not loaded: move it to a model"):
        build(tmp_path, [ONE])


def test_the_name_of_a_model_needs_a_list(tmp_path: Path) -> None:
    (tmp_path / "model-metadata.yaml").write_text("targetType: unstructured\n", encoding="utf-8")
    with pytest.raises(DrumError, match="lists no models"):
        build_model_settings(Arguments(code_dir=str(tmp_path), model="one"))
