"""The input schema of a CatBoost model: category, text and embedding features, by position; all others are numbers.

CatBoost hashes the text of a category: ``1`` for a whole number. A truth value is ``1`` or ``0`` if training had a
column of booleans, ``True`` or ``False`` if it had texts: the hashes that the model stores show which. An empty cell is
the category of empty text, as for CatBoost itself when it reads a csv; in a frame, CatBoost takes no missing category.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from datarobot_drum.drum.artifact_predictors.frameworks import module_roots
from datarobot_drum.drum.input_schema.cells import BOOLEANS
from datarobot_drum.drum.input_schema.columns import ANY, NUMBER, Column, ColumnType, InputSchema

_FILLED_TEXT = Column(ColumnType.TEXT, fill="")
_BOOLEAN_TEXT = replace(_FILLED_TEXT, spellings={word: str(int(value)) for word, value in BOOLEANS.items()})

_UNCERTAIN_TEXT = replace(_FILLED_TEXT, note="True and False are taken for texts, not for truth values")

_HASHES_OF_BOOLEANS = frozenset({1121341681, -1438285038})
"""CatBoost's hashes of the texts ``1`` and ``0``."""
_HASHES_OF_WORDS = frozenset({1020970795, -1365330256})
"""CatBoost's hashes of the texts ``True`` and ``False``."""
_MULTIPLIER = 0x4906BA494954CB65


def input_schema_of(estimator: Any) -> InputSchema | None:
    """Return the columns of a trained model of CatBoost; None for any other object."""
    if "catboost" not in module_roots(estimator) or not estimator.is_fitted():
        return None
    names = estimator.feature_names_ or []
    columns = [NUMBER] * len(names)
    known = _known_hashes(estimator)
    for position in estimator.get_text_feature_indices():
        columns[position] = _FILLED_TEXT
    for position in estimator.get_cat_feature_indices():
        columns[position] = _FILLED_TEXT if known is not None else _UNCERTAIN_TEXT
    for position, hashes in (known or {}).items():
        if hashes & _HASHES_OF_BOOLEANS and not hashes & _HASHES_OF_WORDS:
            columns[position] = _BOOLEAN_TEXT
    for position in estimator.get_embedding_feature_indices():
        columns[position] = ANY
    # CatBoost numbers the columns of an array.
    is_named = list(names) != [str(position) for position in range(len(names))]
    return InputSchema(tuple(columns), tuple(names) if is_named else None, accepts_missing=True)


def _known_hashes(estimator: Any) -> Mapping[int, set[int]] | None:
    """Return which of the hashes of booleans the model knows of its category columns, by position.

    A column of which the model stores combinations with others only is absent. None for a model with text or embedding
    features, which CatBoost cannot write as JSON.
    """
    if not estimator.get_cat_feature_indices():
        return {}
    model = _read_as_json(estimator)
    if model is None:
        return None
    known: dict[int, set[int]] = defaultdict(set)
    positions = {}
    for feature in model["features_info"]["categorical_features"]:
        positions[feature["feature_index"]] = feature["flat_feature_index"]
        known[feature["flat_feature_index"]].update(feature.get("values", ()))  # of a feature that is one-hot encoded
    keys = {_table_key(value): value for value in _HASHES_OF_BOOLEANS | _HASHES_OF_WORDS}
    for name, table in model.get("ctr_data", {}).items():
        elements = json.loads(name)["identifier"]
        if len(elements) == 1 and "cat_feature_index" in elements[0]:
            cells = keys.keys() & set(map(str, table["hash_map"]))
            known[positions[elements[0]["cat_feature_index"]]].update(keys[cell] for cell in cells)
    return known


def _read_as_json(estimator: Any) -> Any:
    """Return the content of the model, None if CatBoost cannot write it as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        try:
            estimator.save_model(str(path), format="json")
        except Exception:  # CatBoostError, of a library that is not imported here
            return None
        return json.loads(path.read_bytes())


def _table_key(value: int) -> str:
    """Return the key of a category in the tables of target statistics."""
    return str(_MULTIPLIER * _MULTIPLIER * value % 2**64)
