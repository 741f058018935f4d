"""Trained models of LightGBM, XGBoost and CatBoost, with the library's own predictions for typed rows."""

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pandas as pd
import xgboost

from tests.input_schema.tables import BOOLEANS, NUMBERS, WHOLE_NUMBERS, Feature, training_table

CODE = Feature("area code", "text", ("01", "02", "10", "1", "7"), ("", "2", "1.0", "010", "NA"))
WORD = Feature("word", "text", ("True", "False", "NA", "1e5", "nan", "Köln"), ("", "true", "100000.0", "x", "null"))
TOWN = Feature("town", "text", ("Bonn", "Kiel", "Ulm"), ("", "7", "bonn", " Bonn", "a,b", 'say "no"'))
NOTE = Feature("note", "text", ("good day", "bad day", "snow on the hill"), ("", "good", "7", "NA", "True"))
WHOLE = Feature("whole", "integer", (1, 2, 10, 300), ("", "7", "2.0", "x", "NA", "1.5", "0010"))
LARGE = Feature("large", "integer", (2**53, 2**53 + 1, 2**53 + 2), ("", "5"))
SHARE = Feature("share", "float", (0.5, 1.5, 2.0), ("", "0.50", "2", "7", "x"))
YES = Feature("yes", "boolean", (True, False), ("", "true", "FALSE", "maybe"))
FLAG = Feature("flag", "flag", (True, False), BOOLEANS)
SIZE = Feature("size", "number", (0.5, 1.0, 2.0, 3.5, 1e5), NUMBERS)
KIND = Feature("kind", "number", (0, 1, 2, 3, 4, 5), WHOLE_NUMBERS)

Train = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class TrainedModel:
    """A file that ``save`` writes into a folder, and the library's predictions for a table of objects.

    With ``is_positional``, the model does not know the names of its columns.
    """

    features: tuple[Feature, ...]
    save: Callable[[Path], object]
    predict: Callable[[pd.DataFrame], np.ndarray]
    is_positional: bool = False


def with_dtypes(features: Sequence[Feature], values: pd.DataFrame, ordered: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table of objects with the types of the training table."""
    return pd.DataFrame({feature.name: _with_dtype(feature, values[feature.name], ordered) for feature in features})


def _with_dtype(feature: Feature, values: pd.Series, ordered: Sequence[str]) -> pd.Series:
    if feature.kind in ("number", "flag"):
        return values.astype(float)
    dtype = {"text": "str", "integer": np.int64, "float": float, "boolean": bool}[feature.kind]
    categories = pd.Index(sorted(feature.values), dtype=dtype)
    known = values.where(values.isin(categories))  # pandas is about to refuse other values
    return known.astype(pd.CategoricalDtype(categories, ordered=feature.name in ordered))


LIGHTGBM = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 1, "min_data_per_group": 1, "cat_smooth": 0.0}
XGBOOST = {"nthread": 1, "max_depth": 8}
CATBOOST = {"iterations": 40, "learning_rate": 0.3, "thread_count": 1, "verbose": 0, "allow_writing_files": False}


def lightgbm_file() -> TrainedModel:
    features = (SIZE, CODE, KIND, WHOLE, YES, FLAG, WORD, SHARE, LARGE)
    table, target = training_table(features)
    typed = with_dtypes(features, table)
    categorical = [feature.name for feature in (CODE, KIND, WHOLE, YES, WORD, SHARE, LARGE)]
    data = lightgbm.Dataset(typed, target, categorical_feature=categorical)
    booster = lightgbm.train(LIGHTGBM, data, 20)
    return TrainedModel(
        features,
        lambda folder: booster.save_model(folder / "model.txt"),
        lambda rows: booster.predict(with_dtypes(features, rows)),
    )


def lightgbm_ordered_file() -> TrainedModel:
    features = (SIZE, CODE, TOWN, WHOLE)
    table, target = training_table(features)
    booster = lightgbm.train(LIGHTGBM, lightgbm.Dataset(with_dtypes(features, table, ["town"]), target), 20)
    return TrainedModel(
        features,
        lambda folder: booster.save_model(folder / "model.txt"),
        lambda rows: booster.predict(with_dtypes(features, rows, ["town"])),
    )


def lightgbm_estimator() -> TrainedModel:
    features = (CODE, TOWN, WHOLE, SIZE, FLAG)
    table, target = training_table(features)
    estimator = lightgbm.LGBMRegressor(n_estimators=20, n_jobs=1, verbose=-1, min_child_samples=1)
    estimator.fit(with_dtypes(features, table), target)
    return TrainedModel(features, lambda folder: _pickle(estimator, folder), _own(estimator, features))


def xgboost_json() -> TrainedModel:
    return _xgboost("model.json", (SIZE, CODE, WHOLE, FLAG, TOWN, LARGE))


def xgboost_ubjson() -> TrainedModel:
    return _xgboost("model.ubj", (WORD, KIND, TOWN))


def _xgboost(name: str, features: tuple[Feature, ...], **more: str) -> TrainedModel:
    table, target = training_table(features)
    matrix = xgboost.DMatrix(with_dtypes(features, table), target, enable_categorical=True)
    booster = xgboost.train({**XGBOOST, **more}, matrix, 20)

    def predict(rows: pd.DataFrame) -> np.ndarray:
        matrix = xgboost.DMatrix(with_dtypes(features, rows), enable_categorical=True)
        return np.asarray(booster.predict(matrix))

    return TrainedModel(features, lambda folder: booster.save_model(folder / name), predict)


def xgboost_dart() -> TrainedModel:
    return _xgboost("model.json", (TOWN, SIZE), booster="dart")


def xgboost_estimator() -> TrainedModel:
    features = (CODE, SIZE, WHOLE, FLAG, WORD)
    table, target = training_table(features)
    estimator = xgboost.XGBRegressor(n_estimators=20, n_jobs=1, enable_categorical=True)
    estimator.fit(with_dtypes(features, table), target)
    return TrainedModel(features, lambda folder: _pickle(estimator, folder), _own(estimator, features))


def xgboost_without_categories() -> TrainedModel:
    """A file of a version before 3.1, with the categories declared by the owner."""
    features = (TOWN, SIZE, WHOLE)
    table, target = training_table(features)
    matrix = xgboost.DMatrix(with_dtypes(features, table), target, enable_categorical=True)
    booster = xgboost.train(XGBOOST, matrix, 20)

    def save(folder: Path) -> None:
        document = json.loads(bytes(booster.save_raw("json")))
        del document["learner"]["gradient_booster"]["model"]["cats"]
        (folder / "model.json").write_text(json.dumps(document | {"version": [2, 1, 4]}))
        declared = {feature.name: {"type": "category", "categories": list(feature.values)} for feature in (TOWN, WHOLE)}
        (folder / "model-metadata.yaml").write_text(json.dumps({"inputSchema": declared}))

    def predict(rows: pd.DataFrame) -> np.ndarray:
        matrix = xgboost.DMatrix(with_dtypes(features, rows), enable_categorical=True)
        return np.asarray(booster.predict(matrix))

    return TrainedModel(features, save, predict)


def catboost_file() -> TrainedModel:
    # Other texts are categories of their own, as they are written.
    whole, yes = replace(WHOLE, cells=("", "7")), replace(YES, cells=("",))
    model, own = _catboost((SIZE, CODE, whole, yes, WORD, FLAG))
    return TrainedModel(own.features, lambda folder: model.save_model(str(folder / "model.cbm")), own.predict)


def catboost_pickle() -> TrainedModel:
    model, own = _catboost((TOWN, SIZE, LARGE))
    return TrainedModel(own.features, lambda folder: _pickle(model, folder), own.predict)


def catboost_with_text() -> TrainedModel:
    return _catboost((NOTE, SIZE), text=("note",))[1]


def _catboost(features: tuple[Feature, ...], text: Sequence[str] = ()) -> tuple[catboost.CatBoost, TrainedModel]:
    table, target = training_table(features)
    categories = [feature.name for feature in features if feature.kind not in ("number", "flag")]
    model = catboost.CatBoostRegressor(
        **CATBOOST, cat_features=[name for name in categories if name not in text], text_features=list(text) or None
    )

    def typed(rows: pd.DataFrame) -> pd.DataFrame:
        columns = {
            feature.name: rows[feature.name].map(lambda cell: "" if cell is None else str(cell)).astype(object)
            if feature.name in categories
            else rows[feature.name].astype(float)
            for feature in features
        }
        return pd.DataFrame(columns)

    model.fit(typed(table), target)
    return model, TrainedModel(
        features, lambda folder: model.save_model(str(folder / "model.cbm")), lambda rows: model.predict(typed(rows))
    )


def _own(estimator: object, features: tuple[Feature, ...]) -> Callable[[pd.DataFrame], np.ndarray]:
    predict: Callable[[pd.DataFrame], np.ndarray] = estimator.predict  # type: ignore[attr-defined]
    return lambda rows: predict(with_dtypes(features, rows))


def _pickle(model: object, folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(model))


MODELS: Mapping[str, Callable[[], TrainedModel]] = {
    "LightGBM file": lightgbm_file,
    "LightGBM file with ordered categories": lightgbm_ordered_file,
    "LightGBM estimator": lightgbm_estimator,
    "XGBoost JSON": xgboost_json,
    "XGBoost UBJSON": xgboost_ubjson,
    "XGBoost dart": xgboost_dart,
    "XGBoost estimator": xgboost_estimator,
    "XGBoost file without categories": xgboost_without_categories,
    "CatBoost file": catboost_file,
    "CatBoost pickle": catboost_pickle,
    "CatBoost with text": catboost_with_text,
}
