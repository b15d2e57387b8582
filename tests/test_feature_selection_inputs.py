"""The feature selector and what users hand it: kinds of tables, pipelines, and bad input."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMRegressor, LSTMFeatureSelector


@pytest.fixture
def table():
    """Columns with memory; 1 and 4 make the target."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 6))
    for t in range(1, 3000):
        X[t] += 0.8 * X[t - 1]
    return X, X[:, 1] + 0.7 * X[:, 4] + 0.1 * rng.standard_normal(3000)


@pytest.mark.parametrize("n", [2, 3, 10, 32, 33])
def test_few_rows(n):
    rng = np.random.default_rng(18)
    X = rng.standard_normal((n, 3)).cumsum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # two rows of a column pass no filter
        selector = LSTMFeatureSelector(2).fit(X, X[:, 0])
    assert selector.transform(X).shape == (n, 2)
    # The divisor n at every lag keeps chance correlations at large lags below that at lag 0.
    np.testing.assert_allclose(selector.scores_[0], 1.0)


def test_one_feature(table):
    X, y = table
    selector = LSTMFeatureSelector().fit(X[:, 1:2], y)
    assert selector.support_.tolist() == [True]


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool, object])
def test_columns_of_other_types_are_converted(table, dtype):
    X, y = table
    X = (100 * (X > 0.3)).astype(dtype)
    expected = LSTMFeatureSelector().fit(X.astype(np.float64), y)
    np.testing.assert_array_equal(LSTMFeatureSelector().fit(X, y).scores_, expected.scores_)


@pytest.mark.parametrize("order", ["C", "F"])
def test_read_only_memory_map_in_little_memory(tmp_path, order):
    shape, path = (200_000, 40), tmp_path / "table.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float32, shape, fortran_order=order == "F")
    X[:] = np.random.default_rng(19).standard_normal(shape, dtype=np.float32)
    X[1:, :20] += X[:-1, :20]  # the first half gets a memory
    y = np.array(X[:, 3])
    expected = LSTMFeatureSelector().fit(np.array(X, order="C"), y)
    X.flush()
    X = np.load(path, mmap_mode="r")
    tracemalloc.start()
    found = LSTMFeatureSelector().fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * X.nbytes
    assert found.scores_.tobytes() == expected.scores_.tobytes()
    assert found.get_support(indices=True).tolist() == list(range(20))


def test_strided_views_are_not_copied():
    wide = np.random.default_rng(20).standard_normal((80_000, 12), dtype=np.float32)
    X = wide[::-2, 1::2]
    y = np.array(X[:, 0])
    options = {"min_autocorrelation": 0.0, "max_noise_ratio": np.inf, "max_lag": 3, "n_jobs": 1}
    expected = LSTMFeatureSelector(**options).fit(X.copy(), y)
    tracemalloc.start()
    found = LSTMFeatureSelector(**options).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.scores_.tobytes() == expected.scores_.tobytes()
    assert peak < 0.8 * X.size * X.itemsize  # the target in double precision is a third of it


def test_data_frames_keep_their_names(table):
    X, y = table
    frame = pd.DataFrame(X, columns=list("abcdef"), index=pd.date_range("2020", periods=len(X)))
    selector = LSTMFeatureSelector(2).set_output(transform="pandas").fit(frame, pd.Series(y))
    assert selector.feature_names_in_.tolist() == list("abcdef")
    assert selector.get_feature_names_out().tolist() == ["b", "e"]
    pd.testing.assert_frame_equal(selector.transform(frame), frame[["b", "e"]])
    pd.testing.assert_frame_equal(selector.fit_transform(frame, y), frame[["b", "e"]])


def test_pickle_and_clone(table):
    X, y = table
    selector = LSTMFeatureSelector(2).fit(X, y)
    again = pickle.loads(pickle.dumps(selector))
    np.testing.assert_array_equal(again.transform(X), selector.transform(X))
    np.testing.assert_array_equal(again.ranking_, selector.ranking_)
    assert not hasattr(clone(selector), "support_")


def test_step_of_a_pipeline_before_the_network(table):
    X, y = table
    model = make_pipeline(
        StandardScaler(),
        LSTMFeatureSelector(2),
        DeepLSTMRegressor(4, sequence_length=8, max_iter=2, random_state=0),
    )
    assert model.fit(X[:300], y[:300]).predict(X[300:350]).shape == (50,)
    np.testing.assert_array_equal(model[:-1].transform(X), model[0].transform(X)[:, [1, 4]])


def test_grid_search_over_the_selector(table):
    X, y = table
    model = Pipeline([("select", LSTMFeatureSelector()), ("ridge", Ridge())])
    search = GridSearchCV(model, {"select__n_features_to_select": [1, 2]}, cv=TimeSeriesSplit(3))
    assert search.fit(X, y).best_estimator_[0].get_support(indices=True).tolist() == [1, 4]


def test_groups_are_routed_through_a_pipeline(table):
    X, y = table
    groups = np.arange(len(X)) // 2
    no_filters = {"min_autocorrelation": 0.0, "max_noise_ratio": np.inf}
    expected = LSTMFeatureSelector(**no_filters).fit(X, y, groups=groups)
    without = LSTMFeatureSelector(**no_filters).fit(X, y)
    with config_context(enable_metadata_routing=True):
        selector = LSTMFeatureSelector(**no_filters).set_fit_request(groups=True)
        model = make_pipeline(StandardScaler(), selector, Ridge()).fit(X, y, groups=groups)
    np.testing.assert_allclose(model[1].autocorrelation_, expected.autocorrelation_, rtol=1e-10)
    assert (without.autocorrelation_ > 1.5 * expected.autocorrelation_).all()


# --- bad input


def replaced(array, index, value):
    array = array.copy()
    array[index] = value
    return array


BAD_TABLES = {
    "NaN": (lambda X: replaced(X, (7, 2), np.nan), ValueError, "Input X contains NaN"),
    "infinity": (lambda X: replaced(X, (7, 2), -np.inf), ValueError, "Input X contains infinity"),
    "huge": (lambda X: X * 1e200, ValueError, "X holds numbers whose squares overflow"),
    "complex": (lambda X: X + 1j, ValueError, "X must hold real numbers"),
    "sparse": (sparse.csr_array, TypeError, "Sparse data was passed for X"),
    "masked": (np.ma.masked_array, ValueError, "X is a masked array"),
    "strings": (lambda X: np.full(X.shape, "x", object), ValueError, "X: could not convert"),
    "one axis": (lambda X: X[:, 0], ValueError, "X: Expected 2D array, got 1D array"),
    "four axes": (lambda X: X[:, None, None], ValueError, "X: Found array with dim 4"),
    "no rows": (lambda X: X[:0], ValueError, r"X: Found array with 0 sample\(s\)"),
    "one row": (lambda X: X[:1], ValueError, r"X: Found array with 1 sample\(s\)"),
    "no columns": (lambda X: X[:, :0], ValueError, r"X: Found array with 0 feature\(s\)"),
    "constant": (np.ones_like, ValueError, "Every column of X is constant"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table_in_fit(table, case):
    spoil, error, message = BAD_TABLES[case]
    X = spoil(table[0])
    selector = LSTMFeatureSelector()
    with pytest.raises(error, match=message):
        selector.fit(X, table[1][: X.shape[0]])
    assert not [name for name in vars(selector) if name.endswith("_")]


# What transform has no reason to refuse is left out: it picks columns, whatever is in them.
@pytest.mark.parametrize(
    "case",
    ["NaN", "infinity", "complex", "masked", "one axis", "four axes", "no rows", "no columns"],
)
def test_bad_table_in_transform(table, case):
    spoil, error, message = BAD_TABLES[case]
    selector = LSTMFeatureSelector().fit(*table)
    with pytest.raises(error, match=message):
        selector.transform(spoil(table[0]))


def test_transform_takes_what_fit_has_seen(table):
    X, y = table
    frame = pd.DataFrame(X, columns=list("abcdef"))
    selector = LSTMFeatureSelector().fit(frame, y)
    with pytest.raises(ValueError, match="X has 5 features, but LSTMFeatureSelector is expecting"):
        LSTMFeatureSelector().fit(X, y).transform(X[:, :5])
    with pytest.raises(ValueError, match="The feature names should match"):
        selector.transform(frame.rename(columns={"a": "z"}))


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_not_fitted(table, method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(LSTMFeatureSelector(), method)(table[0])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LSTMFeatureSelector().get_support()


BAD_TARGETS = {
    "NaN": (lambda y: replaced(y, 5, np.nan), "Input y contains NaN"),
    "infinity": (lambda y: replaced(y, 5, np.inf), "Input y contains infinity"),
    "complex": (lambda y: y + 1j, "y must hold real numbers"),
    "masked": (np.ma.masked_array, "y is a masked array"),
    "too short": (lambda y: y[:-1], "inconsistent numbers of samples: X has 3000, y has 2999"),
    "three axes": (lambda y: y[:, None, None], "y: Found array with dim 3"),
    "dates": (lambda y: np.arange(3000).astype("M8[D]"), "y must hold numbers or class labels"),
    "missing label": (
        lambda y: np.array(["a", None] * 1500, dtype=object),
        "must be all strings or all numbers",
    ),
    "two columns of labels": (
        lambda y: np.array([["a", "b"]] * 3000),
        r"Class labels in y must be one column, got the shape \(3000, 2\)",
    ),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_target(table, case):
    spoil, message = BAD_TARGETS[case]
    selector = LSTMFeatureSelector()
    with pytest.raises(ValueError, match=message):
        selector.fit(table[0], spoil(table[1]))
    assert not hasattr(selector, "n_features_in_")


def test_target_that_is_not_of_the_type_asked_for(table):
    X, y = table
    with pytest.raises(ValueError, match="y holds class labels, but target_type='continuous'"):
        LSTMFeatureSelector(target_type="continuous").fit(X, np.where(y > 0, "up", "down"))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        LSTMFeatureSelector(target_type="classes").fit(X, y)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a"] * 10 + ["b"] * 2980 + ["a"] * 10, "label .*a.* comes in 2 separate blocks"),
        (np.zeros(2999), "groups has 2999 labels, but X has 3000 rows"),
        (np.zeros((3000, 2)), "groups must be 1-D, one label per row of X"),
    ],
)
def test_bad_groups(table, groups, message):
    selector = LSTMFeatureSelector()
    with pytest.raises(ValueError, match=message):
        selector.fit(*table, groups=groups)
    assert not hasattr(selector, "n_features_in_")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n_features_to_select", [0, -1, 0.0, 1.5, -0.5, "all"]),
        ("min_autocorrelation", [-0.1, 1.1, np.nan, None, "0.1"]),
        ("max_noise_ratio", [-1.0, np.nan, None, "5"]),
        ("max_lag", [0, -1, 1.5, None]),
        ("ewma_span", [0.5, 0, np.inf, np.nan, None]),
        ("target_type", ["binary", None, 1]),
        ("n_jobs", [1.5, "2"]),
    ],
)
def test_bad_parameters(table, name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of LSTMFeatureSelector must"):
            LSTMFeatureSelector(**{name: value}).fit(*table)


def test_zero_jobs_are_refused(table):
    with pytest.raises(ValueError, match="n_jobs=0 has no meaning"):
        LSTMFeatureSelector(n_jobs=0).fit(*table)


def test_a_fit_that_fails_leaves_the_last_one_untouched(table):
    X, y = table
    selector = LSTMFeatureSelector(2).fit(X, y)
    before = pickle.dumps(selector)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        selector.fit(replaced(X[:, :3], (0, 0), np.nan), y)
    assert pickle.dumps(selector) == before


def test_small_numbers_are_not_called_constant():
    X = np.random.default_rng(3).normal(size=(60, 3)) * [0.0, 1e-200, 1e-200]
    with pytest.raises(ValueError, match="X holds numbers whose squares vanish, the first in column 1; scale it first"):
        LSTMFeatureSelector().fit(X)
