"""Functions of custom.py whose names are nearly those of hooks."""

import pytest

from datarobot_drum.drum.language_predictors.misspelt_hooks import misspelt_hooks


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("scor", "score"), ("loadModel", "load_model"), ("Score", "score"), ("post_proces", "post_process")],
)
def test_a_function_that_is_no_hook_names_the_nearest_one(name: str, nearest: str) -> None:
    assert list(misspelt_hooks([name, "other"])) == [
        f"custom.py defines {name}, which is no hook and is not called (did you mean {nearest}?)"
    ]


@pytest.mark.parametrize("names", [["scored", "score"], ["_scor"], ["predict", "main", "score_rows"], []])
def test_helpers_are_no_misspellings(names: list[str]) -> None:
    assert list(misspelt_hooks(names)) == []
