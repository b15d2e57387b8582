"""What an ensemble sees in an index, in names and in kinds of input; its members get no index of y."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor

from ensemble.members import MeanOfSequence, Returns
from sklstm import DeepLSTMRegressor, WeightedEnsembleRegressor
from sklstm.exceptions import TimeOrderWarning

TIMES = pd.date_range("2024-01-01", periods=120, freq="h")
VALUES = np.random.default_rng(0).standard_normal((120, 3))
X = pd.DataFrame(VALUES, columns=list("abc"), index=TIMES)
Y = pd.Series(VALUES @ [1.0, 2.0, 3.0], index=TIMES)
TREES = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=2, random_state=0))]
LSTM = [("lstm", DeepLSTMRegressor(2, sequence_length=3, max_iter=1, random_state=0)), ("ridge", Ridge())]


def ensemble(members=TREES, **params):
    return WeightedEnsembleRegressor(members, **params)


def test_the_search_looks_at_the_order_of_the_rows():
    with pytest.warns(TimeOrderWarning, match="the newest comes first"):
        ensemble(weights="auto").fit(X[::-1], Y[::-1])
    shuffled, _, y, _ = train_test_split(X, Y, random_state=0)
    with pytest.warns(TimeOrderWarning, match="X is not in time order.*Was it shuffled"):
        ensemble(weights="auto").fit(shuffled, y)
    with pytest.warns(TimeOrderWarning, match="y is not in time order"):
        ensemble(weights="auto").fit(shuffled.to_numpy(), y)
    ensemble(weights="auto").fit(X, Y)
    ensemble().fit(shuffled, y)  # without a search these members take each row for itself
    twice, y = pd.concat([X, X]), pd.concat([Y, Y])
    ensemble(weights="auto").fit(twice, y, groups=np.repeat([0, 1], 120))


def test_members_that_look_back_want_rows_in_order():
    shuffled, _, y, _ = train_test_split(X, Y, random_state=0)
    with pytest.warns(TimeOrderWarning, match="X is not in time order"):
        ensemble(LSTM).fit(shuffled, y)
    with pytest.warns(TimeOrderWarning, match="y is not in time order"):
        ensemble(LSTM).fit(shuffled.to_numpy(), y)
    ensemble([("lstm", DeepLSTMRegressor(2, sequence_length=1, max_iter=1))]).fit(shuffled, y)


def test_folds_of_rows_in_order_tell_nothing():
    carrying = [("lstm", DeepLSTMRegressor(2, sequence_length=3, max_iter=1, carry_context=True)), ("ridge", Ridge())]
    for members in (LSTM, carrying):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = ensemble(members, weights="auto", cv=3).fit(X, Y)
            model.fit(X, Y, sample_weight=np.arange(120) % 2)
            model.fit(X, Y, groups=np.repeat([0, 1], 60))


def test_what_belongs_to_other_rows_is_refused():
    later = TIMES + pd.Timedelta(days=300)
    for name, other in {"y": Y, "sample_weight": pd.Series(1.0, TIMES), "groups": pd.Series(0, TIMES)}.items():
        given = {"y": Y.to_numpy(), name: other.set_axis(later)}
        with pytest.raises(ValueError, match=f"X and {name} share no row"):
            ensemble().fit(X, **given)
        with pytest.raises(ValueError, match=f"X and {name} share no row"):
            ensemble().fit(X, Y).score(X, **given)
    with pytest.warns(TimeOrderWarning, match="y has the rows of X in another order"):
        ensemble().fit(X, Y[::-1])


def test_one_table_is_no_set_of_sequences():
    sequences = [VALUES[:20], VALUES[20:50], VALUES[50:]]
    members = [("mean", MeanOfSequence()), ("zero", Returns(lambda X: np.zeros(len(X))))]
    model = ensemble(members).fit(sequences, np.arange(3.0))
    with pytest.raises(ValueError, match=r"X\[np.newaxis\]"):
        model.predict(VALUES[:20])
    np.testing.assert_array_equal(model.predict(VALUES[np.newaxis, :20]), model.predict([VALUES[:20]]))
    held = np.empty(3, dtype=object)
    held[:] = sequences
    np.testing.assert_array_equal(model.predict(held), model.predict(sequences))
    with pytest.raises(ValueError, match="each with an entry for every step"):
        ensemble(members).fit(sequences[:1] * 2, [np.arange(20), np.arange(20)])


def test_names_in_lists_are_compared():
    frames = [X[:20], X[20:50], X[50:]]
    members = [("mean", MeanOfSequence())]
    model = ensemble(members).fit(frames, np.arange(3.0))
    assert model.feature_names_in_.tolist() == list("abc")
    with pytest.raises(ValueError, match=r"X\[1\][\s\S]*feature names should match"):
        model.predict([frames[0], frames[1][list("cba")]])
    with pytest.raises(ValueError, match=r"X\[2\][\s\S]*feature names should match"):
        ensemble(members).fit([*frames[:2], frames[2].rename(columns={"a": "z"})], np.arange(3.0))
    model.fit([frame.to_numpy() for frame in frames], np.arange(3.0))
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_tables_of_other_packages(kind):
    package = pytest.importorskip(kind)
    if kind == "polars":
        table, y = package.DataFrame({name: X[name].to_numpy() for name in X}), package.Series(Y.to_numpy())
    else:
        table, y = package.RecordBatch.from_pandas(X, preserve_index=False), Y.to_numpy()
    model = ensemble(LSTM, weights="auto", cv=2).fit(table, y, sample_weight=np.arange(120) % 3 > 0)
    assert model.feature_names_in_.tolist() == list("abc")
    assert model.estimators_[0].feature_names_in_.tolist() == list("abc")
    expected = ensemble(LSTM, weights="auto", cv=2).fit(X, Y, sample_weight=np.arange(120) % 3 > 0)
    np.testing.assert_allclose(model.predict(table), expected.predict(X), rtol=1e-6)
    if kind == "polars":
        parts = [table[:20], table[20:50], table[50:]]
        of_list = ensemble([("lstm", DeepLSTMRegressor(2, max_iter=1))]).fit(parts, package.Series([0.0, 1.0, 2.0]))
        assert of_list.feature_names_in_.tolist() == list("abc")
        assert of_list.predict(parts).shape == (3,)
        with pytest.raises(TypeError, match=r"X.collect\(\)"):
            ensemble().fit(table.lazy(), y)
    with pytest.raises(TypeError, match="X is a dict"):
        ensemble().fit({"a": VALUES}, Y)
