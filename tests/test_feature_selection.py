"""The feature selector: its statistics, what it keeps, and each of its parameters."""

from math import sqrt

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklstm import LSTMFeatureSelector

STATISTICS = ["autocorrelation_", "noise_ratio_", "trend_strength_", "scores_"]
# For tests of one statistic or rule: no filter hides the ranking.
NO_FILTERS = {"min_autocorrelation": 0.0, "max_noise_ratio": np.inf}


def autoregressive(rng, n, p, coefficient):
    X = rng.standard_normal((n, p))
    for t in range(1, n):
        X[t] += coefficient * X[t - 1]
    return X


def lead(x, n_rows):
    """The series n_rows earlier; what runs over the edge comes in at the end."""
    return np.roll(x, -n_rows, axis=0)


def statistics_of_column(x, y, groups, max_lag, span):
    """The four statistics of one column, from the formulas of the docstring, row by row."""
    n = len(x)
    alpha = 2 / (span + 1)
    x_mean, y_mean = sum(x) / n, sum(y) / n
    x_square = sum((v - x_mean) ** 2 for v in x)
    y_square = sum((v - y_mean) ** 2 for v in y)
    r, c = [], []
    for k in range(max_lag + 1):
        pairs = [(t - k, t) for t in range(k, n) if groups[t - k] == groups[t]]
        r.append(sum((x[t] - x_mean) * (x[s] - x_mean) for s, t in pairs) / x_square)
        c.append(sum((x[s] - x_mean) * (y[t] - y_mean) for s, t in pairs))
    smooth = []
    for t in range(n):
        past = [i for i in range(t + 1) if groups[t - i] == groups[t]]
        weights = [(1 - alpha) ** i for i in past]
        smooth.append(sum(w * x[t - i] for w, i in zip(weights, past, strict=True)) / sum(weights))
    residual = [a - b for a, b in zip(x, smooth, strict=True)]
    variance = {}
    for name, series in (("x", x), ("s", smooth), ("e", residual)):
        mean = sum(series) / n
        variance[name] = sum((v - mean) ** 2 for v in series) / n
    return (
        max(abs(v) for v in r[1:]),
        variance["e"] / variance["s"],
        max(0.0, 1 - variance["e"] / variance["x"]),
        max(abs(v) for v in c) / sqrt(x_square * y_square),
    )


@pytest.fixture
def table():
    """Columns 1 and 4 have memory and lead the target, 0 and 5 have memory only, 2 and 3 none."""
    rng = np.random.default_rng(0)
    n = 3000
    X = rng.standard_normal((n, 6))
    X[:, [0, 1, 4, 5]] = autoregressive(rng, n, 4, 0.8)
    y = lead(X[:, 1], -2) + 0.7 * lead(X[:, 4], -5) + 0.1 * rng.standard_normal(n)
    return X, y


# The checks fit pure noise; that it is kept with a warning is not what they are about.
@pytest.mark.filterwarnings("ignore:No column passes the filters:UserWarning")
@parametrize_with_checks(
    [LSTMFeatureSelector(), LSTMFeatureSelector(5, **NO_FILTERS)],
    expected_failed_checks=lambda selector: {
        "check_sample_weight_equivalence_on_dense_data": "a row that is there twice is another step in time"
    },
)
def test_scikit_learn_accepts_the_selector(estimator, check):
    check(estimator)


# --- statistics


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("max_lag", "span"), [(1, 1.0), (4, 3.0), (9, 10.0), (200, 25.0)])
def test_statistics_equal_the_formulas(max_lag, span, dtype):
    rng = np.random.default_rng(max_lag)
    X = autoregressive(rng, 90, 5, 0.6).astype(dtype) + dtype(100)
    y = rng.standard_normal(90) + X[:, 2]
    groups = np.repeat([3, 1, 2], [40, 1, 49])
    selector = LSTMFeatureSelector(max_lag=max_lag, ewma_span=span).fit(X, y, groups=groups)
    for j in range(5):
        x = X[:, j].astype(np.float64).tolist()
        expected = statistics_of_column(x, y.tolist(), groups, max_lag, span)
        found = [getattr(selector, name)[j] for name in STATISTICS]
        # The formulas are taken around a mean of 100: the oracle itself loses four digits.
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_moving_average_is_that_of_pandas():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(autoregressive(rng, 500, 4, 0.5), columns=list("abcd"))
    groups = np.repeat([0, 1, 2], [100, 350, 50])
    smooth = frame.groupby(groups).transform(lambda s: s.ewm(span=7.5).mean())
    expected = (frame - smooth).var() / smooth.var()
    selector = LSTMFeatureSelector(ewma_span=7.5, **NO_FILTERS).fit(frame, groups=groups)
    np.testing.assert_allclose(selector.noise_ratio_, expected, rtol=1e-11)


@pytest.mark.parametrize("span", [3.0, 10.0, 30.0])
def test_white_noise_has_the_noise_ratio_that_the_docstring_quotes(span):
    X = np.random.default_rng(2).standard_normal((200_000, 2))
    selector = LSTMFeatureSelector(ewma_span=span, **NO_FILTERS).fit(X)
    # 200,000 rows leave an error of about sqrt(span / 200,000), 1.2 % at most.
    np.testing.assert_allclose(selector.noise_ratio_, (span - 1) ** 2 / (span + 1), rtol=0.04)


def test_a_trend_is_strong_and_noise_has_none():
    rng = np.random.default_rng(3)
    X = np.stack([np.linspace(0, 1, 2000), rng.standard_normal(2000)], axis=1)
    selector = LSTMFeatureSelector(**NO_FILTERS).fit(X)
    assert selector.trend_strength_[0] > 0.99
    assert selector.trend_strength_[1] < 0.3


def test_score_is_the_best_over_outputs():
    rng = np.random.default_rng(4)
    X = autoregressive(rng, 400, 3, 0.5)
    Y = np.stack([X[:, 0] + rng.standard_normal(400), rng.standard_normal(400), X[:, 2]], axis=1)
    one_by_one = [LSTMFeatureSelector(**NO_FILTERS).fit(X, y).scores_ for y in Y.T]
    together = LSTMFeatureSelector(**NO_FILTERS).fit(X, Y).scores_
    np.testing.assert_allclose(together, np.max(one_by_one, axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    "encode",
    [
        lambda k: k,
        lambda k: np.array(["up", "down", "flat"])[k],
        lambda k: np.array(["up", "down", "flat"], dtype=object)[k],
        lambda k: pd.Series(["up", "down", "flat"]).iloc[k].astype("category"),
        lambda k: np.array(["up", "down", "flat"])[k][:, None].tolist(),
    ],
    ids=["integers", "strings", "objects", "categories", "one column"],
)
def test_class_labels_are_one_indicator_each(encode):
    rng = np.random.default_rng(5)
    X = autoregressive(rng, 400, 3, 0.5)
    k = np.digitize(lead(X[:, 1], -1), [-0.5, 0.5])
    indicators = (k[:, None] == np.arange(3)).astype(float)
    expected = LSTMFeatureSelector(**NO_FILTERS).fit(X, indicators).scores_
    found = LSTMFeatureSelector(**NO_FILTERS).fit(X, encode(k)).scores_
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.argmax() == 1


@pytest.mark.parametrize("y_type", [bool, np.int8, np.float32, object])
def test_two_classes_score_the_same_as_numbers_and_as_labels(y_type):
    rng = np.random.default_rng(6)
    X = autoregressive(rng, 300, 3, 0.5)
    y = (X[:, 1] > 0).astype(y_type)
    scores = [
        LSTMFeatureSelector(target_type=target_type, **NO_FILTERS).fit(X, y).scores_
        for target_type in ("auto", "continuous", "classes")
    ]
    np.testing.assert_allclose(scores[1:], [scores[0]] * 2, rtol=1e-12)


def test_target_type_decides_about_integers():
    rng = np.random.default_rng(7)
    X = autoregressive(rng, 3000, 2, 0.5)
    middle = (np.abs(X[:, 1]) < 0.5).astype(int)  # class 1 of three: no order helps to see it
    y = np.where(middle, 1, 2 * rng.integers(0, 2, 3000))
    as_auto, as_classes, as_numbers = (
        LSTMFeatureSelector(target_type=target_type, **NO_FILTERS).fit(X**2, y).scores_
        for target_type in ("auto", "classes", "continuous")
    )
    np.testing.assert_array_equal(as_auto, as_classes)
    assert as_classes[1] > 0.4
    assert as_numbers[1] < 0.1
    counts = rng.integers(0, 21, 3000)  # one value too many to be classes
    scores = [
        LSTMFeatureSelector(target_type=target_type, **NO_FILTERS).fit(X, counts).scores_
        for target_type in ("auto", "continuous")
    ]
    np.testing.assert_array_equal(*scores)


# --- leakage


def test_only_the_past_of_a_column_counts():
    rng = np.random.default_rng(8)
    y = rng.standard_normal(5000)
    X = np.stack([lead(y, k) for k in (0, 1, 7, 31, 32, -1, -7)], axis=1)
    scores = LSTMFeatureSelector(**NO_FILTERS).fit(X, y).scores_
    # Columns that run ahead of y by 0 .. 31 rows hold its present in their past.
    np.testing.assert_allclose(scores[:4], 1.0, atol=0.02)
    # Beyond the largest lag, or behind y, which is knowing y already: noise.
    assert scores[4:].max() < 0.06


def test_shifting_the_target_forward_is_not_credited(table):
    X, y = table
    past_only = LSTMFeatureSelector().fit(X, y).scores_[1]
    # The column's own memory of 0.8 per row is all that is left: 0.8^8 of the correlation.
    ahead = LSTMFeatureSelector().fit(X, lead(y, 10)).scores_[1]
    assert past_only > 0.7
    assert ahead < 0.25


def test_no_pair_of_rows_crosses_groups():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((4000, 1))
    y = lead(X[:, 0], -1)
    in_pairs = np.repeat(np.arange(2000), 2)
    shifted = np.append(-1, in_pairs[:-1])  # the same pairs, one row later
    y_of_pairs = np.where(np.arange(4000) % 2, y, rng.standard_normal(4000))
    joined, inside, across = (
        LSTMFeatureSelector(**NO_FILTERS).fit(X, y_of_pairs, groups=groups).scores_[0]
        for groups in (None, in_pairs, shifted)
    )
    assert joined > 0.4
    np.testing.assert_allclose(inside, joined, atol=0.05)
    assert across < 0.1


def test_one_row_per_group_leaves_no_temporal_structure():
    rng = np.random.default_rng(10)
    X = autoregressive(rng, 300, 4, 0.9)
    selector = LSTMFeatureSelector(2)
    with pytest.warns(UserWarning, match="No column passes the filters"):
        selector.fit(X, X[:, 3], groups=np.arange(300))
    assert not selector.autocorrelation_.any()
    np.testing.assert_allclose(selector.scores_[3], 1.0)
    assert selector.ranking_[3] == 1


# --- selection


def test_finds_the_columns_that_lead_the_target(table):
    X, y = table
    selector = LSTMFeatureSelector(2).fit(X, y)
    assert selector.get_support(indices=True).tolist() == [1, 4]
    assert selector.ranking_[[1, 4]].tolist() == [1, 2]
    assert selector.transform(X).tolist() == X[:, [1, 4]].tolist()
    keep_all = LSTMFeatureSelector().fit(X, y)
    assert keep_all.get_support(indices=True).tolist() == [0, 1, 4, 5]


def test_finds_them_among_two_hundred_columns_of_several_series():
    rng = np.random.default_rng(11)
    X = rng.standard_normal((3000, 200)).astype(np.float32)
    useful = rng.choice(200, 8, replace=False)
    groups = np.repeat(["a", "b", "c"], [1000, 1500, 500])
    y = np.zeros(3000)
    for label in "abc":
        rows = groups == label
        X[np.ix_(rows, useful)] = autoregressive(rng, rows.sum(), 8, 0.9)
        y[rows] = lead(X[np.ix_(rows, useful)], -3).sum(axis=1)
    selector = LSTMFeatureSelector(8).fit(X, y, groups=groups)
    assert selector.get_support(indices=True).tolist() == sorted(useful.tolist())


def test_level_of_a_group_is_information():
    rng = np.random.default_rng(21)
    label = np.repeat(rng.integers(0, 2, 100), 20)  # one class per series of 20 rows
    X = rng.standard_normal((2000, 3))
    X[:, 1] += 2 * label
    groups = np.repeat(np.arange(100), 20)
    selector = LSTMFeatureSelector(1).fit(X, label, groups=groups)
    assert selector.support_.tolist() == [False, True, False]
    assert selector.scores_[1] > 0.6


def test_ranking_puts_failures_after_passes_and_constants_last(table):
    X, y = table
    X = np.column_stack([np.full(len(X), 7.0), X, lead(y, 40)])
    X[:, 3] += 0.2 * y  # a noise column, well correlated, that still fails the filters
    selector = LSTMFeatureSelector(min_autocorrelation=0.3).fit(X, y)
    assert sorted(selector.ranking_) == list(range(1, 9))
    passes = (selector.autocorrelation_ >= 0.3) & (selector.noise_ratio_ <= 5.0)
    assert passes[[1, 2, 5, 6]].all()
    assert not passes[[0, 3, 4]].any()
    assert selector.ranking_[passes].max() == passes.sum()
    assert selector.ranking_[0] == 8
    assert selector.ranking_[3] < selector.ranking_[4]
    for part in (passes, ~passes & (np.arange(8) > 0)):
        by_rank = np.flatnonzero(part)[np.argsort(selector.ranking_[part])]
        assert (np.diff(selector.scores_[by_rank]) <= 0).all()
    np.testing.assert_array_equal(selector.support_, passes)


def test_equal_columns_keep_their_order(table):
    X, y = table
    selector = LSTMFeatureSelector(1).fit(X[:, [1, 1, 1]], y)
    assert selector.ranking_.tolist() == [1, 2, 3]
    assert selector.support_.tolist() == [True, False, False]


def test_constant_columns_have_values_that_no_filter_passes():
    X = np.array([[3.0, 0.1, 1e-200, t % 5] for t in range(50)])
    X[3, 2] = 2e-200  # not constant, but the squares are zero in double precision
    selector = LSTMFeatureSelector(**NO_FILTERS).fit(X, np.arange(50.0))
    assert selector.support_.tolist() == [False, False, False, True]
    assert selector.autocorrelation_[:3].tolist() == [0, 0, 0]
    assert selector.noise_ratio_[:3].tolist() == [np.inf] * 3
    assert selector.trend_strength_[:3].tolist() == [0, 0, 0]
    assert selector.scores_[:3].tolist() == [0, 0, 0]
    assert selector.ranking_[:3].tolist() == [2, 3, 4]


def test_without_target_the_autocorrelation_ranks():
    rng = np.random.default_rng(12)
    X = np.column_stack([autoregressive(rng, 2000, 1, c) for c in (0.5, 0.9, 0.3, 0.7)])
    selector = LSTMFeatureSelector(2).fit(X)
    assert selector.ranking_.tolist() == [3, 1, 4, 2]
    np.testing.assert_array_equal(selector.scores_, selector.autocorrelation_)


@pytest.mark.parametrize("y", [np.full(2000, 3.0), ["same"] * 2000, np.zeros((2000, 2))])
def test_constant_target_warns_and_ranks_by_autocorrelation(y):
    rng = np.random.default_rng(13)
    X = np.column_stack([autoregressive(rng, 2000, 1, c) for c in (0.5, 0.9)])
    with pytest.warns(UserWarning, match="y is constant: columns are ranked by autocorrelation"):
        selector = LSTMFeatureSelector().fit(X, y)
    assert selector.ranking_.tolist() == [2, 1]


def test_nothing_passes_keeps_the_best_and_warns():
    rng = np.random.default_rng(14)
    X = np.column_stack([rng.standard_normal((2000, 5)), np.ones(2000)])
    y = X[:, 3] + 0.5 * X[:, 1] + 0.1 * rng.standard_normal(2000)
    message = r"No column passes the filters \(min_autocorrelation=0.1, .*the 2 best-ranked are"
    with pytest.warns(UserWarning, match=message):
        selector = LSTMFeatureSelector(2).fit(X, y)
    assert selector.get_support(indices=True).tolist() == [1, 3]
    with pytest.warns(UserWarning, match="the 5 best-ranked are kept"):
        selector = LSTMFeatureSelector().fit(X, y)
    assert not selector.support_[5]  # a constant column is never kept


# --- parameters


@pytest.mark.parametrize(
    ("n_features_to_select", "n_kept"),
    [(1, 1), (3, 3), (4, 4), (5, 4), (50, 4), (None, 4), (0.5, 3), (0.2, 1), (0.01, 1), (1.0, 4)],
)
def test_n_features_to_select(table, n_features_to_select, n_kept):
    selector = LSTMFeatureSelector(n_features_to_select).fit(*table)
    assert selector.support_.sum() == n_kept
    assert (selector.ranking_[selector.support_] <= n_kept).all()


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 0.85])
def test_min_autocorrelation(threshold):
    rng = np.random.default_rng(15)
    X = np.column_stack([autoregressive(rng, 3000, 1, c) for c in (0.0, 0.3, 0.6, 0.9)])
    selector = LSTMFeatureSelector(min_autocorrelation=threshold, max_noise_ratio=np.inf).fit(X)
    np.testing.assert_array_equal(selector.support_, selector.autocorrelation_ >= threshold)
    assert selector.support_.sum() == {0.0: 4, 0.1: 3, 0.5: 2, 0.85: 1}[threshold]


@pytest.mark.parametrize("threshold", [0.5, 2.0, 5.0, np.inf])
def test_max_noise_ratio(threshold):
    rng = np.random.default_rng(16)
    X = np.column_stack([autoregressive(rng, 3000, 1, c) for c in (0.0, 0.3, 0.6, 0.95)])
    selector = LSTMFeatureSelector(min_autocorrelation=0.0, max_noise_ratio=threshold).fit(X)
    np.testing.assert_array_equal(selector.support_, selector.noise_ratio_ <= threshold)
    assert selector.support_.sum() == {0.5: 1, 2.0: 2, 5.0: 3, np.inf: 4}[threshold]


def test_max_lag_is_how_far_back_is_looked():
    rng = np.random.default_rng(17)
    season = np.tile(rng.standard_normal(50), 60)
    X = (season + 0.1 * rng.standard_normal(3000))[:, None]
    y = lead(rng.standard_normal(3000), 0)
    X = np.column_stack([X, lead(y, 12)])
    found = {max_lag: LSTMFeatureSelector(max_lag=max_lag, **NO_FILTERS).fit(X, y) for max_lag in (11, 12, 49, 50)}
    assert found[49].autocorrelation_[0] < 0.6
    assert found[50].autocorrelation_[0] > 0.95
    assert found[11].scores_[1] < 0.1
    assert found[12].scores_[1] > 0.95


def test_ewma_span_is_the_span_of_the_average():
    X = np.sin(2 * np.pi * np.arange(3000) / 60)[:, None]
    ratios = [LSTMFeatureSelector(ewma_span=span, **NO_FILTERS).fit(X).noise_ratio_[0] for span in (1, 5, 30, 300)]
    assert ratios[0] == 0.0  # the average of one row is the row
    assert ratios == sorted(ratios)
    assert ratios[1] < 0.2
    assert ratios[3] > 5


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 4, 8, -1])
def test_any_n_jobs_gives_the_same_bits(table, n_jobs):
    X, y = np.tile(table[0], (7, 6)), np.tile(table[1], 7)
    expected = LSTMFeatureSelector().fit(X, y)
    found = LSTMFeatureSelector(n_jobs=n_jobs).fit(X, y)
    for name in [*STATISTICS, "ranking_"]:
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
