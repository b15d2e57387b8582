"""What the feature selector sees in an index, in names and in containers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from sklstm import LSTMFeatureSelector
from sklstm.exceptions import TimeOrderWarning

NO_FILTERS = {"min_autocorrelation": 0.0, "max_noise_ratio": np.inf}
RNG = np.random.default_rng(0)
TIMES = pd.date_range("2024-01-01", periods=400, freq="h")
VALUES = RNG.standard_normal((400, 3)).cumsum(axis=0)
X = pd.DataFrame(VALUES, columns=list("abc"), index=TIMES)
Y = pd.Series(np.roll(VALUES[:, 1], 2), index=TIMES)


def test_rows_out_of_order_are_told():
    with pytest.warns(TimeOrderWarning, match="the newest comes first"):
        LSTMFeatureSelector().fit(X[::-1], Y[::-1])
    shuffled, _, y, _ = train_test_split(X, Y, random_state=0)
    with pytest.warns(TimeOrderWarning, match="Was it shuffled"):
        LSTMFeatureSelector(**NO_FILTERS).fit(shuffled, y)
    with pytest.warns(TimeOrderWarning, match="y is not in time order"):
        LSTMFeatureSelector(**NO_FILTERS).fit(shuffled.to_numpy(), y)
    frames = [X[:50], X[50:100][::-1], X[100:]]
    with pytest.warns(TimeOrderWarning, match=r"X\[1\] is not in time order"):
        LSTMFeatureSelector(**NO_FILTERS).fit(frames, np.arange(3.0))


def test_rows_in_order_are_not():
    LSTMFeatureSelector().fit(X, Y)
    LSTMFeatureSelector().fit(X.drop(TIMES[100:150]), Y.drop(TIMES[100:150]))  # a hole: the network tells
    twice, y = pd.concat([X, X]), pd.concat([Y, Y])
    LSTMFeatureSelector().fit(twice, y, groups=np.repeat(["n", "s"], 400))
    with pytest.warns(TimeOrderWarning, match="tell the series by groups"):
        LSTMFeatureSelector().fit(twice, y)


def test_what_belongs_to_other_rows_is_refused():
    later = TIMES + pd.Timedelta(days=300)
    for name, other in {"y": Y, "sample_weight": pd.Series(1.0, TIMES), "groups": pd.Series(0, TIMES)}.items():
        given = {"y": Y.to_numpy(), name: other.set_axis(later)}
        with pytest.raises(ValueError, match=f"X and {name} share no row"):
            LSTMFeatureSelector().fit(X, **given)


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_tables_and_lists_of_other_packages(kind):
    package = pytest.importorskip(kind)
    if kind == "polars":

        def make(frame):
            return package.DataFrame({name: frame[name].to_numpy() for name in frame})
    else:

        def make(frame):
            return package.RecordBatch.from_pandas(frame, preserve_index=False)

    selector = LSTMFeatureSelector(1).fit(make(X), Y.to_numpy())
    assert selector.feature_names_in_.tolist() == list("abc")
    assert selector.transform(make(X)).shape == (400, 1)
    parts = [X[at : at + 20] for at in range(0, 400, 20)]
    targets = [part.iloc[-3, 1] for part in parts]
    of_list = LSTMFeatureSelector(1, **NO_FILTERS).fit(list(map(make, parts)), targets)
    assert of_list.feature_names_in_.tolist() == list("abc")
    expected = LSTMFeatureSelector(1, **NO_FILTERS).fit(parts, targets)
    np.testing.assert_array_equal(of_list.scores_, expected.scores_)
    assert of_list.scores_.argmax() == 1
    assert [part.shape for part in of_list.transform(list(map(make, parts[:2])))] == [(20, 1)] * 2


def test_what_is_no_container_is_refused():
    polars = pytest.importorskip("polars")
    for wrong, message in [
        (polars.DataFrame(VALUES).lazy(), r"X.collect\(\)"),
        ({"a": VALUES}, "X is a dict"),
        ({"a": VALUES}.values(), r"list\(X\)"),
        (pd.DataFrame({"a": [np.zeros(3), np.ones(3)]}), "cells that hold series"),
    ]:
        with pytest.raises(TypeError, match=message):
            LSTMFeatureSelector().fit(wrong, np.zeros(2))
        with pytest.raises(TypeError, match=message):
            LSTMFeatureSelector().fit(VALUES, Y.to_numpy()).transform(wrong)


def test_axes_that_are_swapped_are_told():
    sequences = VALUES.reshape(20, 20, 3)
    selector = LSTMFeatureSelector(**NO_FILTERS).fit(sequences, np.arange(20.0))
    with pytest.raises(ValueError, match=r"expecting 3 features.*pass X.transpose\(0, 2, 1\)"):
        selector.transform(sequences.transpose(0, 2, 1))
    smooth = np.sin(np.arange(20 * 40) / 9).reshape(20, 1, 40) + 3 * RNG.standard_normal((20, 6, 1))
    with pytest.warns(UserWarning, match=r"is the last axis time.*X.transpose\(0, 2, 1\)"):
        LSTMFeatureSelector(**NO_FILTERS).fit(smooth, np.arange(20.0))


def test_one_target_per_row_of_a_sequence_is_refused():
    sequences = [VALUES[:20], VALUES[20:40]]
    with pytest.raises(ValueError, match="each with an entry for every step"):
        LSTMFeatureSelector().fit(sequences, [np.arange(20), np.arange(20)])
