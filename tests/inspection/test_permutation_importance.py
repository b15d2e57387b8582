"""Permutation importance: where only one column at one lag matters, it alone is important; blocks and groups hold."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm._inspection.blocks import cut_blocks, shuffled_rows
from sklstm.inspection import permutation_importance

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 3))
Y = np.roll(X[:, 1], 2)
GROUPS = np.repeat(["a", "b", "c"], [250, 250, 100])


class Past(RegressorMixin, BaseEstimator):
    """Answers with the second column two rows before; keeps the tables that it was asked about."""

    sequence_length = 10

    def __init__(self):
        self.seen, self.given = [], []

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X, groups=None, context=None):
        self.seen.append(np.array(X))
        self.given.append((groups, context))
        return np.roll(np.asarray(X)[:, 1], 2)

    def score(self, X, y, sample_weight=None, groups=None, context=None):
        return -float(np.average((self.predict(X, groups, context) - y) ** 2, weights=sample_weight))


@pytest.fixture(scope="module")
def model():
    options = {"hidden_size": 8, "sequence_length": 5, "random_state": 0, "learning_rate_init": 0.01, "n_jobs": 1}
    return DeepRNNRegressor(**options).fit(X[:400], Y[:400])


def test_one_column_matters():
    result = permutation_importance(Past(), X, Y, random_state=0, n_repeats=4)
    assert result.importances.shape == (3, 4)
    assert_array_equal(result.importances[[0, 2]], np.zeros((2, 4)))
    assert result.baseline_score == 0.0
    assert_allclose(result.importances[1], 2.0, atol=0.5)  # variance of the difference of two rows
    assert_array_equal(result.importances_mean, result.importances.mean(axis=1))
    assert_array_equal(result.importances_std, result.importances.std(axis=1))
    assert result.block_length == 10


@pytest.mark.parametrize("length", [1, 7, 60])
def test_blocks_stay_whole_and_in_their_group(length):
    spy, table = Past(), np.column_stack([np.arange(600), np.arange(600), np.arange(600)]).astype(float)
    permutation_importance(spy, table, Y, random_state=0, n_repeats=2, block_length=length, groups=GROUPS)
    assert all(given[0] is GROUPS for given in spy.given)
    assert_array_equal(spy.seen[0], table)
    for k, seen in enumerate(spy.seen[1:]):
        changed = k // 2
        for column in set(range(3)) - {changed}:
            assert_array_equal(seen[:, column], table[:, column])
        rows = seen[:, changed].astype(int)
        assert (rows != np.arange(600)).any()
        for begin, end in ((0, 250), (250, 500), (500, 600)):
            own = rows[begin:end]
            assert_array_equal(np.sort(own), np.arange(begin, end))
            # From a row on to the next of the same block, but at the borders of the blocks.
            n_borders = (np.diff(own) != 1).sum()
            assert n_borders <= -(-(end - begin) // length) + 1
            assert end - begin < 2 * length or n_borders > 0


def test_a_group_without_room_for_two_blocks_stays_as_it_is():
    spy = Past()
    permutation_importance(spy, X, Y, random_state=0, n_repeats=2, block_length=60, groups=GROUPS)
    for seen in spy.seen:
        assert_array_equal(seen[500:], X[500:])


def test_no_room_at_all():
    with pytest.raises(ValueError, match=r"block_length=301: no group has room for two blocks"):
        permutation_importance(Past(), X, Y, block_length=301)
    with pytest.raises(ValueError, match=r"X has 1 row: no group has room for two blocks"):
        permutation_importance(Past(), X[:1], Y[:1])


def test_the_order_is_never_the_old_one():
    for seed in range(20):
        generator = np.random.RandomState(seed)
        rows = shuffled_rows(cut_blocks(np.array([0, 4]), 2, generator), generator, "")
        assert (rows != np.arange(4)).any()


def test_default_blocks():
    assert permutation_importance(Past(), X[:20], Y[:20], n_repeats=1, random_state=0).block_length == 5
    pipeline = make_pipeline(StandardScaler(), Past()).fit(X, Y)
    assert permutation_importance(pipeline, X, Y, n_repeats=1, random_state=0).block_length == 10


def test_scoring_weights_and_seed():
    weights = np.zeros(600)
    weights[100:] = 1.0
    common = {"random_state": 0, "n_repeats": 2}
    one = permutation_importance(Past(), X, Y, sample_weight=weights, **common)
    again = permutation_importance(Past(), X, Y, sample_weight=weights, **common)
    assert_array_equal(one.importances, again.importances)
    assert (one.importances[1] != permutation_importance(Past(), X, Y, **common).importances[1]).all()
    same = permutation_importance(Past(), X, Y, sample_weight=weights, scoring="neg_mean_squared_error", **common)
    assert_allclose(same.importances, one.importances, rtol=1e-12, atol=1e-15)
    own = permutation_importance(Past(), X, Y, scoring=lambda e, X, y: -np.abs(e.predict(X) - y).max(), **common)
    assert own.importances_mean[1] > 1


def test_frames_keep_their_kind():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    expected = permutation_importance(Past(), X, Y, random_state=0, n_repeats=2).importances
    kinds = []

    class Named(Past):
        def predict(self, X, groups=None, context=None):
            kinds.append((type(X), list(X.columns)))
            return super().predict(X, groups, context)

    table = pandas.DataFrame(X, columns=list("abc"))
    before = table.copy()
    assert_array_equal(permutation_importance(Named(), table, Y, random_state=0, n_repeats=2).importances, expected)
    assert table.equals(before)
    other = polars.DataFrame(X, schema=list("abc"))
    assert_array_equal(permutation_importance(Named(), other, Y, random_state=0, n_repeats=2).importances, expected)
    assert {kind for kind, _ in kinds} == {pandas.DataFrame, polars.DataFrame}
    assert all(names == ["a", "b", "c"] for _, names in kinds)


def test_a_network_by_column_and_by_lag(model):
    test = slice(400, 600)
    by_column = permutation_importance(model, X[test], Y[test], random_state=0)
    assert by_column.importances_mean[1] > 1.0
    assert np.abs(by_column.importances_mean[[0, 2]]).max() < 0.05
    by_lag = permutation_importance(model, X[test], Y[test], random_state=0, lag_blocks=1)
    assert by_lag.importances.shape == (3, 5, 5)
    assert_array_equal(by_lag.lags, np.tile(np.arange(5)[:, np.newaxis], 2))
    mean = by_lag.importances_mean.copy()
    assert mean[1, 2] > 1.0
    mean[1, 2] = 0.0
    assert np.abs(mean).max() < 0.05
    assert_allclose(by_lag.baseline_score, by_column.baseline_score, rtol=1e-9)


@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_absolute_error"])
def test_edges_of_lags(model, scoring):
    result = permutation_importance(
        model, X[400:], Y[400:], random_state=0, lag_blocks=[0, 2, 3], n_repeats=2, scoring=scoring
    )
    assert_array_equal(result.lags, [[0, 1], [2, 2]])
    assert result.importances_mean[1, 1] > 20 * abs(result.importances_mean[1, 0])


def test_all_lags_at_once_are_the_windows_of_others(model):
    """All columns of a window from another sample: by hand, one column after the other."""
    result = permutation_importance(
        model, X[400:440], Y[400:440], random_state=3, lag_blocks=[0, 5], n_repeats=1, block_length=4
    )
    generator = np.random.RandomState(3)
    order = shuffled_rows(cut_blocks(np.array([0, 40]), 4, generator), generator, "")
    windows = [X[max(400, row - 4) : row + 1] for row in range(400, 440)]
    for column in range(3):
        changed = [window.copy() for window in windows]
        for row, other in enumerate(order):
            n = min(len(windows[row]), len(windows[other]))
            changed[row][-n:, column] = windows[other][-n:, column]
        expected = model.score(X[400:440], Y[400:440]) - model.score(changed, Y[400:440])
        assert_allclose(result.importances[column, 0, 0], expected, rtol=1e-4)


def test_lags_stay_in_their_group(model):
    """The windows of a group hold numbers of that group alone."""
    seen = []
    table = X[400:].copy()
    table[100:] += 100.0
    groups = np.repeat([0, 1], 100)
    spy = DeepRNNRegressor(4, sequence_length=5, random_state=0, max_iter=1, n_jobs=1).fit(
        table, Y[400:], groups=groups
    )

    def scoring(estimator, X, y):
        predicted = estimator.predict(X)
        seen.append(predicted)
        return 0.0

    permutation_importance(spy, table, Y[400:], groups=groups, lag_blocks=5, scoring=scoring, n_repeats=2)
    middle = (seen[0][:100].max() + seen[0][100:].min()) / 2
    below = seen[0][:100].max() < middle
    assert all(((one[:100] < middle) == below).all() for one in seen)


def test_context(model):
    test, before = slice(400, 600), slice(390, 400)
    for lag_blocks in (None, [0, 3, 5]):
        options = {"lag_blocks": lag_blocks, "n_repeats": 1, "random_state": 0}
        result = permutation_importance(model, X[test], Y[test], context=X[before], **options)
        assert_allclose(result.baseline_score, model.score(X[test], Y[test], context=X[before]), rtol=1e-6)


def test_sets_of_sequences():
    sequences = [X[8 * k : 8 * k + 5 + k % 3] for k in range(75)]
    y = np.array([sequence[-3, 1] for sequence in sequences])
    options = {"hidden_size": 8, "random_state": 0, "learning_rate_init": 0.02, "n_jobs": 1, "early_stopping": False}
    model = DeepRNNRegressor(**options).fit(sequences, y)
    result = permutation_importance(model, sequences, y, random_state=0)
    assert result.block_length is None
    assert result.importances_mean.argmax() == 1
    by_lag = permutation_importance(model, sequences, y, random_state=0, lag_blocks=1)
    assert by_lag.importances.shape == (3, 7, 5)
    assert np.unravel_index(by_lag.importances_mean.argmax(), (3, 7)) == (1, 2)
    array = np.stack([sequence[-5:] for sequence in sequences])
    three = permutation_importance(model, array, y, random_state=0)
    assert three.importances_mean.argmax() == 1
    with pytest.raises(ValueError, match="block_length=3 goes with a 2-D table X"):
        permutation_importance(model, array, y, block_length=3)
    with pytest.raises(ValueError, match="X holds a single sequence: no group has room"):
        permutation_importance(model, array[:1], y[:1])


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "roc_auc"])
def test_classifiers(scoring):
    labels = np.where(Y > 0, "up", "down")
    options = {"hidden_size": 8, "sequence_length": 4, "random_state": 0, "learning_rate_init": 0.01, "n_jobs": 1}
    model = DeepRNNClassifier(**options).fit(X[:400], labels[:400])
    common = {"scoring": scoring, "n_repeats": 2, "random_state": 0}
    by_column = permutation_importance(model, X[400:], labels[400:], **common)
    by_lag = permutation_importance(model, X[400:], labels[400:], lag_blocks=1, **common)
    assert by_column.importances_mean.argmax() == 1
    assert np.unravel_index(by_lag.importances_mean.argmax(), (3, 4)) == (1, 2)
    assert_allclose(by_lag.baseline_score, by_column.baseline_score, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lag_blocks": [0]}, r"lag_blocks=\[0\], expected a number of lags for each block, or two edges"),
        ({"lag_blocks": [0, 6]}, r"expected edges that increase, from 0 to at most the 5 rows of the longest window"),
        ({"lag_blocks": [2, 1]}, "expected edges that increase"),
        ({"lag_blocks": [0.5, 2]}, "two edges or more, integers"),
        ({"n_repeats": 0}, "The 'n_repeats' parameter of permutation_importance must be an int in the range"),
        ({"block_length": 0}, "The 'block_length' parameter of permutation_importance must be an int"),
        ({"scoring": "nonsense"}, "scoring"),
    ],
    ids=str,
)
def test_wrong_arguments(model, options, message):
    with pytest.raises(ValueError, match=message):
        permutation_importance(model, X[400:], Y[400:], **options)


def test_models_whose_windows_cannot_be_changed():
    stateful = DeepRNNRegressor(3, training="stateful", shuffle=False, max_iter=1, early_stopping=False).fit(X, Y)
    with pytest.raises(ValueError, match="lag_blocks needs one window for each prediction, found training='stateful'"):
        permutation_importance(stateful, X, Y, lag_blocks=1)
    assert permutation_importance(stateful, X, Y, n_repeats=1).importances.shape == (3, 1)
    with pytest.raises(TypeError, match="permutation_importance with lag_blocks: model is a Past"):
        permutation_importance(Past(), X, Y, lag_blocks=1)
    ahead = DeepRNNRegressor(3, decoder="recurrent", known_columns=[0], max_iter=1, early_stopping=False)
    ahead.fit(X[:-2], np.stack([Y[:-2], Y[:-2]], axis=1), future=X[-2:])
    with pytest.raises(ValueError, match="decoder='recurrent' reads known_columns of the rows ahead"):
        permutation_importance(ahead, X, Y, lag_blocks=1)


def test_decoders_read_the_rows_ahead():
    """Of a table whose last column is read two rows ahead, and of sequences, whose future goes with them."""
    later = np.stack([X[1:-1, 2], X[2:, 2]], axis=1)
    options = {"decoder": "recurrent", "known_columns": [2], "learning_rate_init": 0.02, "random_state": 0, "n_jobs": 1}
    model = DeepRNNRegressor(6, sequence_length=3, max_iter=4, **options).fit(X[:-2], later, future=X[-2:])
    result = permutation_importance(model, X[:-2], later, future=X[-2:], n_repeats=2, random_state=0)
    assert result.importances_mean.argmax() == 2
    assert_allclose(result.baseline_score, model.score(X[:-2], later, future=X[-2:]))
    sequences, y, future = (
        X[:500].reshape(100, 5, 3)[:, :3],
        X[:500, 2].reshape(100, 5)[:, 3:],
        X[:500].reshape(100, 5, 3),
    )
    model = DeepRNNRegressor(6, max_iter=20, **options).fit(sequences, y, future=future[:, 3:])
    of_arrays, of_lists = (
        permutation_importance(model, kind(sequences), y, future=kind(future[:, 3:]), n_repeats=2, random_state=0)
        for kind in (np.array, list)
    )
    assert of_arrays.importances_mean.argmax() == 2
    assert of_arrays.importances_mean[2] > 0.5 * of_arrays.baseline_score > 0.2
    assert_array_equal(of_lists.importances, of_arrays.importances)
    plain = DeepRNNRegressor(3, max_iter=1, early_stopping=False).fit(X, Y)
    with pytest.raises(ValueError, match="future goes with lag_blocks=None"):
        permutation_importance(plain, X, Y, lag_blocks=1, future=X[:2])
