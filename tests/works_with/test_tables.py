"""Tables of other libraries, and columns of pandas that know missing values."""

import numpy as np
import pandas as pd
import pytest
from order_case import LABELS, TRAIN, X, Y, classifier, regressor
from sklearn.utils.validation import _get_feature_names

NAMES = ["a", "b", "c"]
FRAME = pd.DataFrame(X[TRAIN], columns=NAMES)


@pytest.fixture(scope="module")
def expected():
    model = regressor(max_iter=2).fit(FRAME, Y[TRAIN])
    return model.predict(FRAME)


def test_polars(expected):
    pl = pytest.importorskip("polars")
    table = pl.DataFrame(X[TRAIN], schema=NAMES)
    model = regressor(max_iter=2).fit(table, pl.Series(Y[TRAIN]))
    np.testing.assert_array_equal(model.predict(table), expected)
    if _get_feature_names(table) is not None:  # scikit-learn 1.6 finds none in tables of polars 2
        assert model.feature_names_in_.tolist() == NAMES
    hidden = model.set_output(transform="polars").transform(table)
    assert isinstance(hidden, pl.DataFrame)
    groups = pl.Series(np.repeat(["x", "y"], 350))
    assert regressor(max_iter=1).fit(table, Y[TRAIN], groups=groups).predict(table, groups=groups).shape == (700,)


def test_pyarrow(expected):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({name: X[TRAIN, k] for k, name in enumerate(NAMES)})
    model = regressor(max_iter=2).fit(table, pa.array(Y[TRAIN]))
    np.testing.assert_array_equal(model.predict(table), expected)
    assert model.feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("dtype", ["Float64", "float64[pyarrow]"])
def test_nullable_types(dtype, expected):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    table = FRAME.astype(dtype)
    model = regressor(max_iter=2).fit(table, pd.Series(Y[TRAIN], dtype=dtype))
    np.testing.assert_array_equal(model.predict(table), expected)
    table.iloc[3, 1] = pd.NA
    with pytest.raises(ValueError, match="NaN"):
        model.fit(table, Y[TRAIN])


def test_nullable_integers_and_labels():
    counts = (FRAME * 10).round().astype("Int64")
    model = regressor(max_iter=2).fit(counts, Y[TRAIN])
    np.testing.assert_array_equal(model.predict(counts), model.predict(counts.astype(float)))
    labels = pd.Series(LABELS[TRAIN], dtype="string")
    found = classifier(max_iter=2).fit(FRAME, labels)
    assert found.classes_.tolist() == ["down", "up"]
    categories = classifier(max_iter=2).fit(FRAME, pd.Series(LABELS[TRAIN], dtype="category"))
    np.testing.assert_array_equal(found.predict_proba(FRAME), categories.predict_proba(FRAME))
