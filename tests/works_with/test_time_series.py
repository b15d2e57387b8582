"""Libraries of time series: sktime, aeon, river."""

import numpy as np
import pandas as pd
import pytest
from order_case import X, Y, classifier, regressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import WeightedEnsembleRegressor

pytestmark = pytest.mark.filterwarnings("default")  # of other packages
WAVE = np.sin(np.arange(400) / 4) + 0.05 * np.random.default_rng(0).normal(size=400)


def as_sequences(flat, n_columns=1):
    """Return the windows of sktime, one flat row each, columns one after the other, as sequences."""
    return flat.reshape(len(flat), n_columns, -1).transpose(0, 2, 1)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "multioutput"])
def test_sktime_reduction(strategy):
    compose = pytest.importorskip("sktime.forecasting.compose")
    y = pd.Series(WAVE, index=pd.date_range("2024", periods=400, freq="h"))
    network = make_pipeline(FunctionTransformer(as_sequences), regressor(max_iter=20))
    horizon = [1, 2, 3, 4]
    forecaster = compose.make_reduction(network, window_length=12, strategy=strategy).fit(y[:390], fh=horizon)
    errors = np.abs(np.ravel(forecaster.predict()) - WAVE[390:394])
    # As a table, the one window of `predict` would be a single row, with no rows before it.
    plain = compose.make_reduction(regressor(max_iter=20), window_length=12, strategy=strategy)
    single_row = np.abs(np.ravel(plain.fit(y[:390], fh=horizon).predict()) - WAVE[390:394])
    assert errors.max() < 0.4
    assert errors.mean() < single_row.mean()


@pytest.mark.parametrize("library", ["sktime", "aeon"])
def test_collections_are_channels_first(library):
    datasets = pytest.importorskip(f"{library}.datasets")
    options = {"return_type": "numpy3D"} if library == "sktime" else {}
    curves, labels = datasets.load_basic_motions(split="train", **options)
    assert curves.shape == (40, 6, 100)
    steps = curves.transpose(0, 2, 1)
    model = classifier(max_iter=5).fit(steps, labels)
    assert model.n_features_in_ == 6
    with pytest.raises(ValueError, match=r"pass X.transpose\(0, 2, 1\)"):
        model.predict(curves)


def test_frames_of_sktime():
    datatypes = pytest.importorskip("sktime.datatypes")
    curves = X[:600].reshape(20, 30, 3)
    frames = datatypes.convert_to(curves.transpose(0, 2, 1), "df-list")
    labels = np.where(curves[:, -1, 0] > 0, "up", "down")
    model = classifier(max_iter=2).fit(frames, labels)
    np.testing.assert_array_equal(
        model.predict_proba(frames), classifier(max_iter=2).fit(curves, labels).predict_proba(curves)
    )


def test_aeon_transformers_before_a_network():
    collection = pytest.importorskip("aeon.transformations.collection")
    curves = X[:600].reshape(20, 30, 3).transpose(0, 2, 1)
    labels = np.where(curves[:, 0, -1] > 0, "up", "down")
    steps_last = FunctionTransformer(np.transpose, kw_args={"axes": (0, 2, 1)})
    model = make_pipeline(collection.Normalizer(), steps_last, classifier(max_iter=2)).fit(curves, labels)
    assert model.predict(curves).shape == (20,)


@pytest.mark.filterwarnings("error::sklstm.exceptions.TimeOrderWarning")
def test_river_in_blocks():
    """One row at a time is a window of one row; blocks keep their windows."""
    compat = pytest.importorskip("river.compat")
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    in_blocks = compat.convert_sklearn_to_river(regressor())
    for _ in range(10):
        for start in range(0, 700, 100):
            in_blocks.learn_many(frame[start : start + 100], pd.Series(Y[start : start + 100]))
    predicted = np.asarray(in_blocks.predict_many(frame[700:]))
    assert np.mean((predicted - Y[700:]) ** 2) < 0.3 * Y.var()
    one_by_one = compat.convert_sklearn_to_river(regressor())
    errors = []
    for row, target in zip(frame[:300].to_dict("records"), Y[:300], strict=True):
        errors.append(one_by_one.predict_one(row) - target)
        one_by_one.learn_one(row, target)
    assert np.mean(np.square(errors[100:])) > 0.8 * Y.var()


def test_river_models_in_an_ensemble():
    compat = pytest.importorskip("river.compat")
    linear_model = pytest.importorskip("river.linear_model")
    river = compat.convert_river_to_sklearn(linear_model.LinearRegression())
    members = [("river", river), ("lstm", regressor(max_iter=2)), ("linear", LinearRegression())]
    assert WeightedEnsembleRegressor(members).fit(X[:100], Y[:100]).predict(X[:100]).shape == (100,)
