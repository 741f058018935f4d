"""Pickled results of statsmodels: rows equal what the results themselves predict."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from tests.artifact_predictors.loaded_models import Load, predict_csv

api = pytest.importorskip("statsmodels.api", reason="needs datarobot-drum[statsmodels]")
formulas = pytest.importorskip("statsmodels.formula.api")

RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame({"x": RANDOM.normal(size=60), "z": RANDOM.normal(size=60), "zip": ["01", "1", "NA"] * 20})
TARGET = 2 * ROWS["x"] + RANDOM.normal(size=60)
TRAINING = ROWS.assign(y=TARGET, won=(TARGET > 0).astype(int), unused="x")


def with_constant(rows: pd.DataFrame) -> pd.DataFrame:
    frame: pd.DataFrame = api.add_constant(rows[["x", "z"]])
    return frame


def test_a_formula_takes_its_columns(load: Load, tmp_path: Path) -> None:
    results = formulas.ols("y ~ np.log(x**2 + 1) + C(zip) + z", TRAINING).fit()
    results.save(str(tmp_path / "model.pkl"))
    predictor = load("regression")
    assert (predictor.name, predictor.thread_safe) == ("statsmodels", True)
    assert predictor.input_schema.names == ("x", "z", "zip")
    own = results.predict(ROWS).to_numpy()
    assert np.array_equal(predict_csv(predictor, ROWS[["zip", "z", "x"]]).values[:, 0], own)
    alone = [predict_csv(predictor, ROWS.iloc[[row]]).values[0, 0] for row in range(12)]
    assert np.allclose(alone, own[:12], rtol=1e-14)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(ROWS.drop(columns="z"), "z", id="missing column"),
        pytest.param(ROWS.assign(zip="9"), "does not take these samples: .*'9'", id="unknown category"),
        pytest.param(ROWS.assign(z=None), r"no missing or unknown values, and there is one: z \(row 1\)", id="gap"),
        pytest.param(ROWS.assign(z="much"), r"z \(row 1: 'much'\)", id="text"),
    ],
)
def test_rows_that_the_formula_does_not_take_are_rejected(
    load: Load, tmp_path: Path, rows: pd.DataFrame, message: str
) -> None:
    formulas.ols("y ~ C(zip) + z", TRAINING).fit().save(str(tmp_path / "model.pkl"))
    with pytest.raises(UnprocessableInput, match=message):
        predict_csv(load("regression"), rows)


@pytest.mark.parametrize("remove_data", [True, False])
def test_the_constant_may_be_left_out(load: Load, tmp_path: Path, remove_data: bool) -> None:
    results = api.OLS(TARGET, with_constant(ROWS)).fit()
    own = results.predict(with_constant(ROWS)).to_numpy()
    results.save(str(tmp_path / "model.pkl"), remove_data=remove_data)
    predictor = load("regression")
    # Without the data, results have no names: columns are taken in their order.
    assert predictor.input_schema.names == (None if remove_data else ("const", "x", "z"))
    for rows in (ROWS[["x", "z"]] if remove_data else ROWS[["z", "x"]], with_constant(ROWS)):
        # The last digit depends on the layout of the matrix in memory.
        assert np.allclose(predict_csv(predictor, rows).values[:, 0], own, rtol=1e-14)
    with pytest.raises(UnprocessableInput, match=r"no missing numbers, and there is one: \S \(row 1\)"):
        predict_csv(predictor, ROWS[["x", "z"]].assign(x=None))


def test_arrays_are_taken_by_position(load: Load, tmp_path: Path) -> None:
    results = api.OLS(TARGET.to_numpy(), with_constant(ROWS).to_numpy()).fit()
    (tmp_path / "model.pkl.gz").write_bytes(gzip.compress(pickled(results)))
    predictor = load("regression")
    own = results.predict(with_constant(ROWS).to_numpy())
    assert np.allclose(predict_csv(predictor, ROWS[["x", "z"]]).values[:, 0], own, rtol=1e-14)
    with pytest.raises(UnprocessableInput, match="have 1 columns; the model takes 3"):
        predict_csv(predictor, ROWS[["x"]])


def pickled(results: Any) -> bytes:
    import pickle

    return pickle.dumps(results)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: formulas.logit("won ~ x + z", TRAINING).fit(disp=0),
        lambda: formulas.glm("won ~ x + z", TRAINING, family=api.families.Binomial()).fit(),
    ],
    ids=["logit", "glm"],
)
def test_a_probability_is_that_of_the_positive_class(load: Load, tmp_path: Path, fit: Any) -> None:
    results = fit()
    results.save(str(tmp_path / "model.pkl"))
    values = predict_csv(load("binary", ("no", "yes")), ROWS).values
    assert np.array_equal(values[:, 1], results.predict(ROWS).to_numpy())


def test_classes_are_matched_by_name(load: Load, tmp_path: Path) -> None:
    town = ROWS["zip"].map({"01": "Ulm", "1": "Kiel", "NA": "Bonn"})
    results = api.MNLogit(town, with_constant(ROWS)).fit(disp=0)
    results.save(str(tmp_path / "model.pkl"))
    predictions = predict_csv(load("multiclass", ("Ulm", "Bonn", "Kiel")), ROWS[["x", "z"]])
    own = np.asarray(results.predict(with_constant(ROWS)))  # in alphabetical order
    assert np.array_equal(predictions.values, own[:, [2, 0, 1]])


@pytest.mark.parametrize(
    ("fit", "target_type", "message"),
    [
        pytest.param(
            lambda: formulas.logit("won ~ x", TRAINING).fit(disp=0),
            "regression",
            "give --target-type binary",
            id="logit",
        ),
        pytest.param(lambda: formulas.ols("y ~ x", TRAINING).fit(), "binary", "OLS is a regressor", id="ols"),
        pytest.param(lambda: api.tsa.ARIMA(TARGET.to_numpy()).fit(), "regression", "periods or hazards", id="arima"),
        pytest.param(
            lambda: formulas.poisson("won ~ x", TRAINING, exposure=np.full(60, 2.0)).fit(disp=0),
            "regression",
            "trained with an exposure, which is no column",
            id="exposure",
        ),
    ],
)
def test_models_that_rows_do_not_serve_are_rejected(
    load: Load, tmp_path: Path, fit: Any, target_type: str, message: str
) -> None:
    fit().save(str(tmp_path / "model.pkl"))
    with pytest.raises(ModelLoadError, match=message):
        load(target_type, ("no", "yes") if target_type == "binary" else ())


def test_policy_refuses_the_pickle(load: Any, tmp_path: Path) -> None:
    formulas.ols("y ~ x", TRAINING).fit().save(str(tmp_path / "model.pkl"))
    with pytest.raises(ModelLoadError, match="DRUM_PICKLE_POLICY=refuse rejects"):
        load("regression", pickle_policy=PicklePolicy.REFUSE)
