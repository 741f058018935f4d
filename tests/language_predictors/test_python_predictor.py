"""Complete model folders, loaded and called through the predictor interface."""

import builtins
import io
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from datarobot_drum.drum.exceptions import CustomHTTPError, ModelLoadError, PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

Load = Callable[..., BasePredictor]

DIABETES, DIABETES_TARGET = load_diabetes(return_X_y=True, as_frame=True)
CANCER, CANCER_TARGET = load_breast_cancer(return_X_y=True, as_frame=True)


@pytest.fixture
def load() -> Iterator[Load]:
    """Load predictors, and close them after the test."""
    loaded: list[BasePredictor] = []

    def create_and_load(code_dir: Path, *args: Any, **kwargs: Any) -> BasePredictor:
        predictor = create_predictor(model_settings(code_dir, *args, **kwargs))
        loaded.append(predictor)
        predictor.load()
        return predictor

    yield create_and_load
    for predictor in reversed(loaded):
        predictor.close()


def predict_body(predictor: BasePredictor, content: bytes = b"a\n1\n2\n", kind: str = "csv") -> Predictions:
    payload = StructuredPayload(io.BytesIO(content), PayloadFormat(kind))
    return predictor.predict(predictor.read_input(payload))


def dump(code_dir: Path, model: Any, name: str = "model.pkl") -> Path:
    (code_dir / name).write_bytes(pickle.dumps(model))
    return code_dir


SCORE = """
import pandas as pd
def score(data, model, **kwargs):
    return pd.DataFrame({'Predictions': data['a'] * 2})
"""


def test_artifact_alone_predicts_bit_for_bit(tmp_path: Path, load: Load) -> None:
    estimator = DecisionTreeRegressor(random_state=0).fit(DIABETES, DIABETES_TARGET)
    predictor = load(dump(tmp_path, estimator))
    predictions = predict_body(predictor, DIABETES.to_csv(index=False).encode())
    assert (predictor.name, predictor.language, predictor.thread_safe) == ("scikit-learn", "python", True)
    assert predictions.values[:, 0].tobytes() == estimator.predict(DIABETES).tobytes()


def test_artifact_columns_follow_the_labels(tmp_path: Path, load: Load) -> None:
    estimator = LogisticRegression(max_iter=10_000).fit(CANCER, np.array(["mal", "ben"])[CANCER_TARGET])
    predictor = load(dump(tmp_path, estimator), "binary", ("mal", "ben"))
    content = CANCER.to_csv(index=False)
    predictions = predict_body(predictor, content.encode())
    assert predictions.columns == ("mal", "ben")
    # The last bit of a matrix product depends on the memory layout: compare with the same table.
    own = estimator.predict_proba(pd.read_csv(io.StringIO(content), **EXACT_FLOATS))
    assert np.array_equal(predictions.values[:, ::-1], own)


@each_case("hook", ["", "def transform(data, model):\n    return data * 2\n"], ids=["plain", "transform"])
def test_estimator_receives_matrix_market_input(tmp_path: Path, load: Load, hook: str) -> None:
    matrix = sparse.random(20, 3, density=0.5, random_state=0, format="csr")
    estimator = LinearRegression().fit(matrix, np.arange(20.0))
    write_model(dump(tmp_path, estimator), **({"custom": hook} if hook else {}))
    body = "%%MatrixMarket matrix array real general\n20 3\n" + "\n".join(
        map(repr, matrix.toarray().T.ravel().tolist())
    )
    predictions = predict_body(load(tmp_path), body.encode(), "mtx")
    assert np.array_equal(predictions.values[:, 0], estimator.predict(matrix * 2 if hook else matrix))


def test_hooks_are_called_in_order_with_the_documented_arguments(tmp_path: Path, load: Load) -> None:
    source = """
        import pandas as pd
        calls = []
        def init(**kwargs): calls.append(("init", kwargs))
        def load_model(code_dir):
            calls.append(("load_model", code_dir)); return "model"
        def read_input_data(input_binary_data):
            calls.append(("read_input_data", input_binary_data)); return pd.DataFrame({"a": [1.0]})
        def transform(data, model):
            calls.append(("transform", list(data), model)); return data.rename(columns={"a": "b"})
        def score(data, model, **kwargs):
            calls.append(("score", list(data), model, kwargs)); return pd.DataFrame({"Predictions": [1.0]})
        def post_process(predictions, model):
            calls.append(("post_process", list(predictions), model)); return predictions.assign(extra=str(calls))
    """
    predictor = load(write_model(tmp_path, custom=source), target_name="y")
    assert predictor.reads_raw_input
    predictions = predict_body(predictor, b"\xff\0")
    assert predictions.extra is not None
    assert eval(predictions.extra["extra"][0]) == [
        ("init", {"code_dir": str(tmp_path)}),
        ("load_model", str(tmp_path)),
        ("read_input_data", b"\xff\0"),
        ("transform", ["a"], "model"),
        ("score", ["b"], "model", {"target_name": "y"}),
        ("post_process", ["Predictions"], "model"),
    ]
    again = predict_body(predictor).extra
    assert again is not None
    assert again["extra"][0].count("'init'") == again["extra"][0].count("'load_model'") == 1


def test_binary_score_hook_receives_the_labels(tmp_path: Path, load: Load) -> None:
    source = """
        import pandas as pd
        def score(data, model, positive_class_label, negative_class_label, class_labels):
            assert class_labels == [negative_class_label, positive_class_label]
            return pd.DataFrame({positive_class_label: [0.25, 0.5], negative_class_label: [0.75, 0.5]})
    """
    predictions = predict_body(load(write_model(tmp_path, custom=source), "binary", ("no", "yes")))
    assert predictions.columns == ("yes", "no")
    assert predictions.values.tolist() == [[0.25, 0.75], [0.5, 0.5]]


def test_score_hook_receives_the_artifact(tmp_path: Path, load: Load) -> None:
    source = "import pandas as pd\ndef score(data, model): return pd.DataFrame({'p': [model['bias']] * len(data)})\n"
    predictor = load(write_model(dump(tmp_path, {"bias": 7.5}), custom=source))
    assert predictor.name == "custom"
    assert predict_body(predictor).values.tolist() == [[7.5], [7.5]]


def test_estimator_from_load_model_predicts_as_an_artifact(tmp_path: Path, load: Load) -> None:
    source = """
        from sklearn.tree import DecisionTreeClassifier
        import pandas as pd
        def load_model(code_dir):
            return DecisionTreeClassifier().fit(pd.DataFrame({"a": [1, 2]}), ["yes", "no"])
        def post_process(predictions, model):
            return predictions[["yes", "no"]].assign(classes=",".join(model.classes_))
    """
    predictor = load(write_model(tmp_path, custom=source), "binary", ("no", "yes"))
    predictions = predict_body(predictor)
    assert predictor.name == "scikit-learn"
    assert predictions.columns == ("yes", "no")
    assert predictions.values.tolist() == [[1, 0], [0, 1]]
    assert predictions.extra is not None
    assert predictions.extra["classes"].tolist() == ["no,yes"] * 2


def test_text_generation_returns_text_under_the_target_name(tmp_path: Path, load: Load) -> None:
    source = """
        import pandas as pd
        def score(data, model, target_name): return pd.DataFrame({target_name: ["hi"] * len(data)})
    """
    predictions = predict_body(load(write_model(tmp_path, custom=source), "textgeneration", target_name="reply"))
    assert (predictions.columns, predictions.values.tolist()) == (("reply",), [["hi"], ["hi"]])


def test_score_hook_may_receive_any_object_from_read_input_data(tmp_path: Path, load: Load) -> None:
    source = """
        import pandas as pd
        def read_input_data(data): return {"text": data.decode()}
        def score(data, model): return pd.DataFrame({"p": [len(data["text"])]})
    """
    assert predict_body(load(write_model(tmp_path, custom=source)), b"1234567").values.tolist() == [[7.0]]


@each_case(
    ("hooks", "reason"),
    [
        pytest.param("def read_input_data(d): return None", "read_input_data returned None", id="read None"),
        pytest.param("def read_input_data(d): return {}", "read_input_data returned a dict", id="read no frame"),
        pytest.param("def transform(d, m): return None", "transform returned None", id="transform None"),
        pytest.param("def transform(d, m): return d[:1]", "1 rows of predictions for 2 rows of input", id="rows lost"),
        pytest.param("def score(d, m): return 1.5", "score returned a float: it must return", id="score scalar"),
        pytest.param("def score(d, m): return d[['a']][:1]", "score returned 1 rows", id="score rows"),
        pytest.param("def post_process(p, m): return None", "post_process returned None", id="post None"),
        pytest.param("def score(d, m): raise ValueError('no\\nway')", "^ValueError: no\nway$", id="raises"),
        pytest.param("def score(d, m): raise SystemExit(3)", "^SystemExit: 3$", id="exits"),
        pytest.param("def score(d, m): raise StopIteration", "^StopIteration$", id="StopIteration"),
        pytest.param("def read_input_data(d): raise OSError('disk')", "^OSError: disk$", id="reading raises"),
        pytest.param("def transform(d, m): assert False, 'no'", "^AssertionError: no$", id="transform raises"),
        pytest.param("def post_process(p, m): 1/0", "^ZeroDivisionError", id="post raises"),
    ],
)
def test_failing_hook_raises_prediction_error(tmp_path: Path, load: Load, hooks: str, reason: str) -> None:
    dump(tmp_path, LinearRegression().fit(pd.DataFrame({"a": [1, 2]}), [1, 2]))
    predictor = load(write_model(tmp_path, custom=hooks))
    with pytest.raises(PredictionError, match=reason) as failed:
        predict_body(predictor)
    assert failed.value.status == 500
    assert "Traceback" not in failed.value.message


def test_prediction_error_chains_its_cause(tmp_path: Path, load: Load) -> None:
    predictor = load(write_model(tmp_path, custom="def score(d, m): raise LookupError('x')"))
    with pytest.raises(PredictionError) as failed:
        predict_body(predictor)
    assert isinstance(failed.value.__cause__, LookupError)


def test_failing_estimator_raises_prediction_error(tmp_path: Path, load: Load) -> None:
    broken = LinearRegression().fit(pd.DataFrame({"a": [1, 2]}), [1, 2])
    broken.coef_ = None
    predictor = load(dump(tmp_path, broken))
    with pytest.raises(PredictionError, match="Error: "):
        predict_body(predictor)


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_wrong_number_of_columns_raises_unprocessable_input(tmp_path: Path, load: Load) -> None:
    predictor = load(dump(tmp_path, LinearRegression().fit([[1, 2, 3, 4, 5], [2, 3, 4, 5, 6]], [1, 2])))
    with pytest.raises(UnprocessableInput, match="have 1 columns; the model takes 5"):
        predict_body(predictor)


def test_columns_missing_from_the_request_raise_unprocessable_input(tmp_path: Path, load: Load) -> None:
    predictor = load(dump(tmp_path, LinearRegression().fit(pd.DataFrame({"b": [1, 2]}), [1, 2])))
    with pytest.raises(UnprocessableInput, match="lack 1 of the 1 columns of the model: b"):
        predict_body(predictor)


def test_columns_missing_after_a_hook_raise_prediction_error(tmp_path: Path, load: Load) -> None:
    dump(tmp_path, LinearRegression().fit(pd.DataFrame({"b": [1, 2]}), [1, 2]))
    predictor = load(write_model(tmp_path, custom="def transform(data, model): return data"))
    with pytest.raises(PredictionError, match="lack 1 of the 1 columns of the model: b"):
        predict_body(predictor)


def test_hook_may_raise_a_custom_http_error(tmp_path: Path, load: Load) -> None:
    source = """
        from datarobot_drum.drum.exceptions import CustomHTTPError
        def score(data, model): raise CustomHTTPError("tea", 418)
    """
    with pytest.raises(CustomHTTPError) as raised:
        predict_body(load(write_model(tmp_path, custom=source)))
    assert raised.value.status == 418


def test_keyboard_interrupt_is_not_translated(tmp_path: Path, load: Load) -> None:
    predictor = load(write_model(tmp_path, custom="def score(d, m): raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        predict_body(predictor)


@each_case(
    ("source", "reason"),
    [
        pytest.param(
            "x = 1\ndef score(:\n", r"custom\.py cannot be imported: custom\.py, line 2: SyntaxError", id="syntax"
        ),
        pytest.param("\nimport nosuch.thing", r"custom\.py, line 2: the module nosuch is not installed", id="module"),
        pytest.param("import helper", r"helper\.py, line 2: ZeroDivisionError: division by zero", id="in a helper"),
        pytest.param("import broken", r"broken\.py, line 1: SyntaxError", id="syntax of a helper"),
        pytest.param("exit(1)", r"line 1: SystemExit: 1", id="exits"),
        pytest.param("x = '\0'", "cannot be imported", id="NUL"),
        pytest.param(
            "def load_model(d): return {}", "a dict, which has no predict.*add a score hook", id="no estimator"
        ),
        pytest.param(
            "def load_model(d): raise OSError('a\\nb')",
            r"load_model failed: custom\.py, line 1: OSError: a b\. The traceback is shown with --show-stacktrace\.$",
            id="raises",
        ),
        pytest.param(
            "def init(code_dir): raise SystemExit",
            r"init failed: custom\.py, line 1: SystemExit\. The traceback",
            id="init",
        ),
        pytest.param(
            "from datarobot_drum.drum.exceptions import CustomHTTPError as E\ndef load_model(d): raise E('no', 418)",
            "load_model failed: .*no",
            id="own response",
        ),
    ],
)
def test_load_error_is_one_sentence(tmp_path: Path, load: Load, source: str, reason: str) -> None:
    write_model(tmp_path, helper="\n1 / 0\n", broken="def\n")
    (tmp_path / "custom.py").write_text(source)
    path, modules = [*sys.path], {*sys.modules}
    with pytest.raises(ModelLoadError, match=reason) as failed:
        load(tmp_path)
    assert "\n" not in str(failed.value)
    assert sys.path == path
    assert not {"custom", "helper", "broken"} & ({*sys.modules} - modules)


@each_case(
    ("files", "reason"),
    [
        pytest.param([], r"no model in .*custom\.py or a model artifact there \(\.pkl, \.joblib, ", id="nothing"),
        pytest.param(["a.pkl", "b.pkl"], r"several artifacts \(a\.pkl, b\.pkl\)", id="two artifacts"),
        pytest.param(["a/custom.py", "b/custom.py"], r"several custom\.py", id="two custom.py"),
    ],
)
def test_invalid_model_folders_are_rejected_before_load(tmp_path: Path, files: list[str], reason: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ModelLoadError, match=reason):
        create_predictor(model_settings(tmp_path))


def test_several_artifacts_require_load_model(tmp_path: Path, load: Load) -> None:
    dump(dump(tmp_path, 1, "a.pkl"), 2, "b.pkl")
    write_model(tmp_path, custom=SCORE)
    with pytest.raises(ModelLoadError, match="several artifacts"):
        load(tmp_path)
    write_model(tmp_path, custom=SCORE + "\ndef load_model(code_dir): return 1\n")
    assert predict_body(load(tmp_path)).values.tolist() == [[2.0], [4.0]]


@each_case("language", ["r", "java"])
def test_unknown_language_is_rejected(tmp_path: Path, language: str) -> None:
    with pytest.raises(ModelLoadError, match=f"'{language}'.*python"):
        create_predictor(model_settings(tmp_path, language=language))


@each_case("statement", ["import helper", "from . import helper", "from custom import helper"])
@each_case("folder", ["", "deep__er__"], ids=["top", "nested"])
def test_modules_beside_custom_py_are_importable(tmp_path: Path, load: Load, statement: str, folder: str) -> None:
    source = (
        f"{statement}\nimport pandas as pd\ndef score(d, m): return pd.DataFrame({{'p': [helper.VALUE] * len(d)}})\n"
    )
    write_model(tmp_path, **{f"{folder}custom": source, f"{folder}helper": "VALUE = 4.0\n"})
    assert predict_body(load(tmp_path)).values.tolist() == [[4.0], [4.0]]


@each_case("module", ["custom", "classes"])
def test_pickles_of_classes_in_the_model_folder_are_loaded(tmp_path: Path, load: Load, module: str) -> None:
    source = "class Constant:\n    def predict(self, data): return [self.value] * len(data)\n"
    write_model(tmp_path, **{"custom": "import sys\n", module: source})
    program = (
        f"import pickle, {module}; m = {module}.Constant(); m.value = 3.5; pickle.dump(m, open('model.pkl', 'wb'))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert predict_body(load(tmp_path)).values.tolist() == [[3.5], [3.5]]


def test_two_models_import_their_own_modules(tmp_path: Path, load: Load) -> None:
    source = """
        import helper
        import pandas as pd
        def score(data, model):
            import late
            from own.deep import VALUE
            return pd.DataFrame({"p": [helper.VALUE + late.VALUE + VALUE] * len(data)})
    """
    predictors = []
    for value in (1, 2):
        folder = tmp_path / str(value)
        late, deep = f"VALUE = {value}0\n", f"import late\nVALUE = late.VALUE * 10 + {value}000\n"
        write_model(folder, custom=source, helper=f"VALUE = {value}\n", late=late, own____init__="", own__deep=deep)
        predictors.append(load(folder))
    first, second = predictors
    for _ in range(2):
        assert predict_body(second).values.tolist() == [[2222.0], [2222.0]]
        assert predict_body(first).values.tolist() == [[1111.0], [1111.0]]
    second.close()
    assert sys.modules["helper"].VALUE == 1
    assert str(tmp_path / "1") in sys.path
    assert str(tmp_path / "2") not in sys.path
    first.close()
    first.close()
    assert not {"custom", "helper", "late", "own", "own.deep"} & {*sys.modules}


def test_every_open_model_imports_its_own_modules_in_threads(tmp_path: Path, load: Load) -> None:
    source = """
        import pandas as pd
        def score(data, model):
            import late
            return pd.DataFrame({"p": [late.VALUE] * len(data)})
    """
    models = [write_model(tmp_path / str(value), custom=source, late=f"VALUE = {value}\n") for value in range(4)]
    predictors = [load(model) for model in models]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda value: predict_body(predictors[value % 4]).values[0, 0], range(200)))
    assert found == [value % 4 for value in range(200)]


def test_models_close_in_any_order(tmp_path: Path, load: Load) -> None:
    path = [*sys.path]
    first, second, third = (load(write_model(tmp_path / name, custom=SCORE)) for name in "abc")
    second.close()
    first.close()
    assert sys.path == [str(tmp_path / "c"), *path]
    assert predict_body(third).values.tolist() == [[2.0], [4.0]]
    third.close()
    assert sys.path == path
    assert "custom" not in sys.modules


def test_import_is_not_patched_with_one_model_open(tmp_path: Path, load: Load) -> None:
    before = builtins.__import__
    load(write_model(tmp_path, custom=SCORE))
    assert builtins.__import__ is before


def test_close_restores_a_module_of_the_same_name(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = type(sys)("custom")
    monkeypatch.setitem(sys.modules, "custom", foreign)
    predictor = load(write_model(tmp_path, custom=SCORE))
    assert sys.modules["custom"] is not foreign
    predictor.close()
    assert sys.modules["custom"] is foreign


def test_models_load_and_predict_in_threads(tmp_path: Path) -> None:
    results: dict[int, Any] = {}

    def run(value: int) -> None:
        source = SCORE.replace("* 2", f"* {value}")
        predictor = create_predictor(model_settings(write_model(tmp_path / str(value), custom=source)))
        predictor.load()
        results[value] = predict_body(predictor).values.tolist()
        predictor.close()

    threads = [threading.Thread(target=run, args=(value,)) for value in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {value: [[value * 1.0], [value * 2.0]] for value in range(8)}


def test_predictor_attributes_are_known_before_load(tmp_path: Path) -> None:
    write_model(tmp_path, custom="THREAD_SAFE = False\nraise RuntimeError\n")
    predictor = create_predictor(model_settings(tmp_path))
    assert (predictor.name, predictor.thread_safe, predictor.reads_raw_input) == ("custom", False, False)
    assert predictor.liveness_probe() == predictor.readiness_probe() == {"message": "OK"}
    assert predictor.payload_formats["csv"] == pd.__version__
    assert set(predictor.payload_formats) == {"csv", "mtx", "json", "jsonlines", "arrow", "parquet"}
    with pytest.raises(PredictionError, match="not loaded"):
        predict_body(predictor)


def test_unreadable_samples_raise_unprocessable_input(tmp_path: Path, load: Load) -> None:
    predictor = load(write_model(tmp_path, custom=SCORE))
    with pytest.raises(UnprocessableInput):
        predict_body(predictor, b"a,b\n")


def test_label_warning_is_logged_once_at_load(tmp_path: Path, load: Load, caplog: pytest.LogCaptureFixture) -> None:
    dump(tmp_path, LogisticRegression().fit(pd.DataFrame({"a": [1, 2]}), [0, 1]))
    with caplog.at_level(logging.WARNING):
        predictor = load(tmp_path, "binary", ("no", "yes"))
        assert len(caplog.messages) == 1
        assert predict_body(predictor).columns == ("no", "yes")
        assert len(caplog.messages) == 1


def test_create_predictor_imports_no_heavy_library(tmp_path: Path) -> None:
    write_model(tmp_path, custom=SCORE)
    program = """
import sys
from pathlib import Path
from types import SimpleNamespace
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.settings.target_types import TargetType
settings = SimpleNamespace(
    code_dir=Path(sys.argv[1]), language=None, target_type=TargetType.REGRESSION, engine=None, metadata=None,
    strict_type_schema=True, models=(),
)
create_predictor(settings)
print(sorted({"sklearn", "joblib", "pandas", "numpy", "scipy"} & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
