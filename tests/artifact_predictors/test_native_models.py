"""Native files and estimators of the boosting libraries and ONNX: labels, columns, types, rejected models."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import xgboost
from catboost import CatBoost, CatBoostClassifier, Pool
from lightgbm import LGBMClassifier
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.artifact_predictors.trained_models import CANCER, CANCER_TARGET, IRIS, IRIS_TARGET, PROPERTIES, SAVE, TASKS
from tests.cases import each_case
from tests.language_predictors.builders import write_model

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


BINARY_TARGETS = [
    pytest.param([0, 1], ("0", "1"), id="int"),
    pytest.param([1, 0], ("1", "0"), id="int reversed"),
    pytest.param([0, 1], ("0.0", "1.0"), id="int for float labels"),
    pytest.param([False, True], ("False", "True"), id="bool"),
    pytest.param([True, False], ("True", "False"), id="bool reversed"),
    pytest.param(["no good", "good one"], ("no good", "good one"), id="blanks"),
    pytest.param(["да", "не"], ("да", "не"), id="unicode"),
    pytest.param(["не", "да"], ("не", "да"), id="unicode reversed"),
]


def booster_like(library: str) -> Any:
    if library == "catboost":
        return CatBoostClassifier(iterations=3, depth=2, verbose=0, thread_count=1, allow_writing_files=False)
    if library == "xgboost":
        return XGBClassifier(n_estimators=3, n_jobs=1)
    return LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1)


@pytest.mark.parametrize(("classes", "labels"), BINARY_TARGETS)
def test_binary_columns_are_negative_then_positive(
    load: Load, classes: list[Any], labels: tuple[str, ...], subtests: pytest.Subtests
) -> None:
    for library in ("catboost", "lightgbm"):
        with subtests.test(library=library):
            assert_binary_columns(load, library, classes, labels)


def assert_binary_columns(load: Load, library: str, classes: list[Any], labels: tuple[str, ...]) -> None:
    estimator = booster_like(library).fit(CANCER, np.array(classes)[CANCER_TARGET])
    predictor = load("binary", labels, estimator)
    assert predictor.name == library
    found = [str(item) for item in estimator.classes_]
    own = estimator.predict_proba(CANCER)[:, found.index(str(classes[1]))]
    predictions = predict_csv(predictor, CANCER)
    assert predictions.columns == labels
    assert np.array_equal(predictions.values[:, 1], own)
    assert np.corrcoef(own, CANCER_TARGET)[0, 1] > 0.8


@each_case("labels", [("0", "1"), ("1", "0"), ("False", "True"), ("no", "yes")])
def test_xgboost_numbers_its_binary_classes(load: Load, labels: tuple[str, ...]) -> None:
    estimator = booster_like("xgboost").fit(CANCER, CANCER_TARGET)
    values = predict_csv(load("binary", labels, estimator), CANCER).values
    own = estimator.predict_proba(CANCER)
    assert np.array_equal(values, own[:, ::-1] if labels == ("1", "0") else own)


@each_case(
    "wrap", [lambda model: model, lambda model: make_pipeline(StandardScaler(), model)], ids=["alone", "pipeline"]
)
def test_xgboost_takes_numbered_classes_in_the_order_of_the_labels(
    load: Load, wrap: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    estimator = wrap(booster_like("xgboost")).fit(IRIS, IRIS_TARGET)
    predictions = predict_csv(load("multiclass", ("z", "ä", "b"), estimator), IRIS)
    assert np.array_equal(predictions.values, estimator.predict_proba(IRIS))
    assert "classes are numbers: taking '0' for 'z', '1' for 'ä', '2' for 'b'" in caplog.text


def test_xgboost_predicts_several_labels(load: Load) -> None:
    estimator = booster_like("xgboost").fit(IRIS, PROPERTIES)
    predictions = predict_csv(load("multilabel", ("s", "l", "v"), estimator), IRIS)
    assert np.array_equal(predictions.values, estimator.predict_proba(IRIS))


@each_case("framework", ["xgboost", "catboost", "lightgbm", "onnx"])
def test_one_model_predicts_in_several_threads(load: Load, tmp_path: Path, framework: str) -> None:
    SAVE[framework](tmp_path, TASKS["multiclass"])
    predictor = load("multiclass", TASKS["multiclass"].labels)
    assert predictor.thread_safe
    whole = predict_csv(predictor, IRIS).values
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: predict_csv(predictor, IRIS).values, range(32)))
    assert all(np.array_equal(result, whole) for result in results)


@each_case("framework", ["xgboost", "lightgbm", "catboost"])
def test_columns_are_found_by_name(load: Load, tmp_path: Path, framework: str) -> None:
    saved = SAVE[framework](tmp_path, TASKS["binary"])
    predictor = load("binary", TASKS["binary"].labels)
    shuffled = CANCER.assign(more="text")[["more", *CANCER.columns[::-1]]]
    assert np.array_equal(predict_csv(predictor, shuffled).values, saved.own(CANCER))
    with pytest.raises(UnprocessableInput, match=r"lack 1 of the 30 columns of the model: mean.radius"):
        predict_csv(predictor, CANCER.iloc[:, 1:])


def test_lightgbm_finds_names_with_blanks_in_a_pickle(load: Load) -> None:
    estimator = booster_like("lightgbm").fit(CANCER, CANCER_TARGET)
    values = predict_csv(load("binary", ("0", "1"), estimator), CANCER[CANCER.columns[::-1]]).values
    assert np.array_equal(values, estimator.predict_proba(CANCER))


@each_case("framework", ["xgboost", "lightgbm", "onnx"])
def test_text_in_a_numeric_column_raises_unprocessable_input(load: Load, tmp_path: Path, framework: str) -> None:
    SAVE[framework](tmp_path, TASKS["multiclass"])
    predictor = load("multiclass", TASKS["multiclass"].labels)
    with pytest.raises(UnprocessableInput, match=r"hold none: sepal length \(cm\)"):
        predict_csv(predictor, IRIS.assign(**{"sepal length (cm)": "long"}))


@each_case("framework", ["xgboost", "lightgbm", "onnx"])
@each_case("labels", [("a", "b"), ("a", "b", "c", "d")])
def test_label_count_other_than_columns_is_rejected_at_load(
    load: Load, tmp_path: Path, framework: str, labels: tuple[str, ...]
) -> None:
    SAVE[framework](tmp_path, TASKS["multiclass"])
    with pytest.raises(ModelLoadError, match=f"predicts 3 columns but {len(labels)} class labels"):
        load("multiclass", labels)


def train(objective: str, target: Any = CANCER_TARGET, **more: Any) -> Any:
    return xgboost.train({"objective": objective, "nthread": 1, **more}, xgboost.DMatrix(CANCER, target), 3)


@each_case("objective", ["binary:logitraw", "binary:hinge"])
def test_objective_without_probabilities_is_rejected(load: Load, tmp_path: Path, objective: str) -> None:
    train(objective).save_model(tmp_path / "model.ubj")
    with pytest.raises(ModelLoadError, match="gives no probabilities: train it with binary:logistic"):
        load("binary", ("0", "1"))


def test_softmax_gives_probabilities(load: Load, tmp_path: Path) -> None:
    train("multi:softmax", num_class=2).save_model(tmp_path / "model.ubj")
    own = train("multi:softprob", num_class=2).predict(xgboost.DMatrix(CANCER))
    assert np.array_equal(predict_csv(load("multiclass", ("a", "b")), CANCER).values, own)


def test_a_file_of_an_xgboost_estimator_predicts_by_its_best_iteration(load: Load, tmp_path: Path) -> None:
    half = CANCER.iloc[::2], CANCER_TARGET.iloc[::2]
    estimator = XGBRegressor(n_estimators=60, early_stopping_rounds=2, learning_rate=0.9, n_jobs=1)
    estimator.fit(CANCER.iloc[1::2], CANCER_TARGET.iloc[1::2], eval_set=[half], verbose=False)
    estimator.save_model(tmp_path / "model.json")
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    assert np.array_equal(predict_csv(load("regression"), CANCER).values[:, 0], estimator.predict(CANCER))


CATEGORIES = CANCER.iloc[:, :2].assign(size=np.where(CANCER.iloc[:, 3] > 600, "large", "small"))


@each_case("framework", ["xgboost", "lightgbm", "catboost"])
def test_categories_keep_their_meaning_in_every_batch(load: Load, tmp_path: Path, framework: str) -> None:
    typed = CATEGORIES.astype({"size": "category"})
    if framework == "xgboost":
        booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(typed, CANCER_TARGET, enable_categorical=True), 3)
        booster.save_model(tmp_path / "model.json")
        own = booster.predict(xgboost.DMatrix(typed, enable_categorical=True))
    elif framework == "lightgbm":
        model = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(typed, CANCER_TARGET), 3)
        model.save_model(tmp_path / "model.txt")
        own = model.predict(typed)
    else:
        forest = CatBoost({"iterations": 3, "verbose": 0, "thread_count": 1, "allow_writing_files": False})
        forest.fit(Pool(CATEGORIES, CANCER_TARGET, cat_features=["size"])).save_model(str(tmp_path / "model.cbm"))
        own = forest.predict(CATEGORIES)
    predictor = load("regression")
    for rows in (slice(None), slice(0, 3), slice(19, 20)):
        assert np.array_equal(predict_csv(predictor, CATEGORIES.iloc[rows]).values[:, 0], own[rows])


def test_plain_catboost_model_predicts_probabilities(load: Load) -> None:
    model = CatBoost({"iterations": 3, "loss_function": "Logloss", "verbose": 0, "allow_writing_files": False})
    model.fit(CANCER, np.array(["b", "a"])[CANCER_TARGET])
    values = predict_csv(load("binary", ("b", "a"), model), CANCER).values
    assert np.array_equal(values[:, ::-1], model.predict(CANCER, prediction_type="Probability"))


def test_catboost_classes_must_be_the_labels(load: Load, tmp_path: Path) -> None:
    SAVE["catboost"](tmp_path, TASKS["multiclass"])
    with pytest.raises(ModelLoadError, match="are not the class labels"):
        load("multiclass", ("x", "y", "z"))


@each_case("framework", ["xgboost", "lightgbm", "catboost"])
def test_broken_native_file_error_is_one_sentence(load: Load, tmp_path: Path, framework: str) -> None:
    path = SAVE[framework](tmp_path, TASKS["binary"]).file
    path.write_bytes(path.read_bytes()[: 60 if framework == "catboost" else 400])
    with pytest.raises(ModelLoadError, match=rf"^{path.name} could not be loaded: [^\n]+\.$"):
        load("binary", TASKS["binary"].labels)


FLOATS = IRIS.to_numpy(np.float32)


@each_case("zipmap", [True, False], ids=["map", "tensor"])
@each_case("labels", [("b c", "z", "ä"), ("ä", "z", "b c")], ids=["sorted", "reversed"])
def test_onnx_class_names_decide_the_column_order(
    load: Load, tmp_path: Path, zipmap: bool, labels: tuple[str, ...]
) -> None:
    estimator = LogisticRegression(max_iter=1000).fit(FLOATS, np.array(["z", "b c", "ä"])[IRIS_TARGET])
    graph = to_onnx(estimator, FLOATS[:1], options={"zipmap": zipmap})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    values = predict_csv(load("multiclass", labels), IRIS).values
    order = [list(estimator.classes_).index(label) for label in labels]
    assert np.allclose(values, estimator.predict_proba(FLOATS)[:, order], atol=1e-6)


@each_case(("classes", "labels"), BINARY_TARGETS)
def test_onnx_binary_columns_are_negative_then_positive(
    load: Load, tmp_path: Path, classes: list[Any], labels: tuple[str, ...]
) -> None:
    target = np.array([int(item) if isinstance(item, bool) else item for item in classes])[CANCER_TARGET]
    data = StandardScaler().fit_transform(CANCER).astype(np.float32)
    graph = to_onnx(LogisticRegression().fit(data, target), data[:1], options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    predictions = predict_csv(load("binary", labels), pd.DataFrame(data, columns=CANCER.columns))
    assert predictions.columns == labels
    assert np.corrcoef(predictions.values[:, 1], CANCER_TARGET)[0, 1] > 0.8


def test_onnx_forest_whose_probabilities_exceed_1_by_rounding_predicts(load: Load, tmp_path: Path) -> None:
    forest = RandomForestClassifier(50, random_state=0).fit(CANCER.to_numpy(np.float32), CANCER_TARGET)
    graph = to_onnx(forest, CANCER.to_numpy(np.float32)[:1], options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    own = session.run(None, {"X": CANCER.to_numpy(np.float32)})[1]
    assert own.max() > 1
    values = predict_csv(load("binary", ("0", "1")), CANCER).values
    assert (values.min(), values.max()) == (0.0, 1.0)
    assert np.allclose(values, forest.predict_proba(CANCER.to_numpy(np.float32)), atol=1e-5)


def test_onnx_numbered_classes_follow_the_label_order(load: Load, tmp_path: Path) -> None:
    estimator = LogisticRegression(max_iter=1000).fit(FLOATS, IRIS_TARGET)
    graph = to_onnx(estimator, FLOATS[:1], options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    values = predict_csv(load("multiclass", ("x", "y", "a")), IRIS).values
    assert np.allclose(values, estimator.predict_proba(FLOATS), atol=1e-6)


@each_case(("size", "rows"), [(1, 150), (50, 150), (40, 150)])
def test_onnx_with_fixed_batch_size_predicts_multiples_of_it(load: Load, tmp_path: Path, size: int, rows: int) -> None:
    estimator = LogisticRegression(max_iter=1000).fit(FLOATS, IRIS_TARGET)
    graph = to_onnx(estimator, FLOATS[:1], options={"zipmap": False})
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    predictor = load("multiclass", ("0", "1", "2"))
    if rows % size:
        with pytest.raises(UnprocessableInput, match="takes 40 rows at a time, not 150"):
            predict_csv(predictor, IRIS)
    else:
        assert np.allclose(predict_csv(predictor, IRIS).values, estimator.predict_proba(FLOATS), atol=1e-6)


def test_onnx_may_have_one_input_per_column(load: Load, tmp_path: Path) -> None:
    short = pd.DataFrame(FLOATS[:, :2], columns=["a", "b"])
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(short.to_numpy(), IRIS_TARGET == 0)
    graph = to_onnx(pipeline, short.to_numpy()[:1], options={"zipmap": False})
    import onnx

    split = onnx.helper.make_node("Concat", ["a", "b"], ["X"], axis=1)
    graph.graph.node.insert(0, split)
    del graph.graph.input[:]
    column = onnx.TensorProto.FLOAT, [None, 1]
    graph.graph.input.extend(onnx.helper.make_tensor_value_info(name, *column) for name in ("a", "b"))
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    predictor = load("binary", ("False", "True"))
    values = predict_csv(predictor, short[["b", "a"]].assign(more=1)).values
    assert np.allclose(values, pipeline.predict_proba(short.to_numpy()), atol=1e-6)
    with pytest.raises(UnprocessableInput, match="lack 1 of the 2 columns of the model: b"):
        predict_csv(predictor, short[["a"]])


def test_skops_rejects_untrusted_types(load: Load, tmp_path: Path) -> None:
    import skops.io

    skops.io.dump(booster_like("lightgbm").fit(CANCER, CANCER_TARGET), tmp_path / "model.skops")
    with pytest.raises(ModelLoadError, match=r"does not trust \(.*LGBMClassifier.*SKOPS_TRUSTED in custom\.py"):
        load("binary", ("0", "1"))
    unknown = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    write_model(tmp_path, custom=f"SKOPS_TRUSTED = {unknown!r}\n")
    predictor = load("binary", ("0", "1"))
    assert predictor.name == "lightgbm"
    assert predict_csv(predictor, CANCER).values.shape == (len(CANCER), 2)
