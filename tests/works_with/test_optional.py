"""Tuning, intervals, explanations, boosted trees and stores of models of other packages, where they are installed."""

import numpy as np
import pytest
from order_case import COLUMNS, STEPS, TEST, TRAIN, X, Y, regressor, windows
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import WeightedEnsembleRegressor
from sklstm.preprocessing import CollectionTransformer

pytestmark = pytest.mark.filterwarnings("default")  # of other packages


def test_optuna():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        model = regressor(max_iter=trial.suggest_int("max_iter", 2, 8), carry_context=True)
        return cross_val_score(model, X[TRAIN], Y[TRAIN], cv=TimeSeriesSplit(2)).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)
    values = [trial.value for trial in study.trials]
    assert study.best_value == max(values) > min(values)


# Intervals


NOISE = 0.05 * np.random.default_rng(1).normal(size=900)
Z = Y + NOISE


def width_and_coverage(bounds):
    low, high = bounds[:, 0, 0], bounds[:, 1, 0]
    return np.mean(high - low), np.mean((low <= Z[TEST]) & (Z[TEST] <= high))


def test_mapie_on_a_later_part():
    mapie = pytest.importorskip("mapie.regression")
    model = regressor().fit(X[:450], Z[:450])
    split = mapie.SplitConformalRegressor(model, confidence_level=0.9, prefit=True)
    split.conformalize(X[450:700], Z[450:700])
    width, coverage = width_and_coverage(split.predict_interval(X[TEST])[1])
    assert width < 0.5
    assert coverage > 0.8
    aci = mapie.TimeSeriesRegressor(model, method="aci", cv="prefit").fit(X[450:700], Z[450:700])
    width, coverage = width_and_coverage(aci.predict(X[TEST], confidence_level=0.9)[1])
    assert width < 0.5
    assert coverage > 0.8


def test_mapie_in_folds():
    """A number of folds shuffles rows, and the bootstrap draws them."""
    mapie = pytest.importorskip("mapie.regression")
    widths = {}
    for name, cv in {"blocks": KFold(5), "number": 5}.items():
        cross = mapie.CrossConformalRegressor(regressor(), confidence_level=0.9, cv=cv, method="base")
        cross.fit_conformalize(X[TRAIN], Z[TRAIN])
        widths[name] = width_and_coverage(cross.predict_interval(X[TEST])[1])[0]
    assert widths["blocks"] < 0.6
    assert widths["number"] > 3 * widths["blocks"]
    subsample = pytest.importorskip("mapie.subsample")
    bootstrap = subsample.BlockBootstrap(n_resamplings=6, length=10, overlapping=True, random_state=0)
    enbpi = mapie.TimeSeriesRegressor(regressor(), method="enbpi", cv=bootstrap, agg_function="mean")
    enbpi.fit(X[TRAIN], Z[TRAIN])
    bounds = enbpi.predict(X[TEST], confidence_level=0.9, ensemble=True)[1]
    assert width_and_coverage(bounds)[0] > 2 * widths["blocks"]


# Explanations


def test_shap_on_windows():
    shap = pytest.importorskip("shap")
    model = regressor().fit(X[TRAIN], Y[TRAIN])
    flat, background = windows(range(800, 808)).reshape(8, -1), windows(range(100, 115)).reshape(15, -1)

    def predict(rows):
        return model.predict(rows.reshape(-1, STEPS, COLUMNS))

    np.testing.assert_array_equal(predict(flat), model.predict(X)[800:808])
    explainer = shap.KernelExplainer(predict, background)
    values = explainer.shap_values(flat, nsamples=200, silent=True)
    np.testing.assert_allclose(values.sum(axis=1) + explainer.expected_value, predict(flat), atol=1e-6)
    of_columns = np.abs(values).reshape(8, STEPS, COLUMNS).sum(axis=(0, 1))
    assert of_columns[0] > 5 * of_columns[1:].max()


def test_shap_on_a_table_does_not_add_up():
    shap = pytest.importorskip("shap")
    model = regressor().fit(X[TRAIN], Y[TRAIN])
    explainer = shap.KernelExplainer(model.predict, X[100:115])
    values = explainer.shap_values(X[800:808], nsamples=50, silent=True)
    assert np.abs(values.sum(axis=1) + explainer.expected_value - model.predict(X)[800:808]).max() > 0.2


# Boosted trees


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_boosted_trees_in_an_ensemble(package):
    library = pytest.importorskip(package)
    trees = {"lightgbm": "LGBMRegressor", "xgboost": "XGBRegressor"}[package]
    quiet = {"verbose": -1} if package == "lightgbm" else {}
    members = [("trees", getattr(library, trees)(n_estimators=10, n_jobs=1, **quiet)), ("lstm", regressor())]
    mixed = WeightedEnsembleRegressor(members, weights="auto", cv=TimeSeriesSplit(2)).fit(X[TRAIN], Y[TRAIN])
    assert mixed.weights_[1] > 0.9
    assert mixed.score(X[TEST], Y[TEST]) > 0.9


# Stores


def test_skops_names_the_classes_of_this_package_alone(tmp_path):
    io = pytest.importorskip("skops.io")
    sets = windows(range(100, 140))
    model = make_pipeline(CollectionTransformer(StandardScaler()), regressor(max_iter=2)).fit(sets, sets[:, -1, 0])
    io.dump(model, tmp_path / "model.skops")
    names = io.get_untrusted_types(file=tmp_path / "model.skops")
    assert sorted(names) == ["sklstm.preprocessing.CollectionTransformer", "sklstm.regressor.DeepLSTMRegressor"]
    again = io.load(tmp_path / "model.skops", trusted=names)
    np.testing.assert_array_equal(again.predict(sets), model.predict(sets))


def test_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    model = regressor(max_iter=2).fit(X[TRAIN], Y[TRAIN])
    ways = {"skops": {"skops_trusted_types": ["sklstm.regressor.DeepLSTMRegressor"]}}
    ways["cloudpickle"] = {"serialization_format": "cloudpickle"}
    for name, way in ways.items():
        mlflow.sklearn.save_model(model, tmp_path / name, **way)
        for again in (mlflow.sklearn.load_model(str(tmp_path / name)), mlflow.pyfunc.load_model(str(tmp_path / name))):
            np.testing.assert_array_equal(again.predict(X[TEST]), model.predict(X[TEST]))
    with pytest.raises(mlflow.exceptions.MlflowException, match="untrusted types"):
        mlflow.sklearn.save_model(model, tmp_path / "plain")
