"""The feature selector on sets of sequences, and with weights of samples."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.pipeline import make_pipeline

from sklstm import DeepLSTMRegressor, LSTMFeatureSelector
from sklstm._selection_inputs import weights_of_rows

STATISTICS = ["autocorrelation_", "noise_ratio_", "trend_strength_", "scores_"]
NO_FILTERS = {"min_autocorrelation": 0.0, "max_noise_ratio": np.inf}


def walks(rng, n, p):
    X = rng.standard_normal((n, p))
    for t in range(1, n):
        X[t] += 0.8 * X[t - 1]
    return X


@pytest.fixture
def sequences():
    """300 sequences of 12 steps; the target follows column 2, four steps before the end."""
    X = np.stack([walks(np.random.default_rng(i), 12, 4) for i in range(300)])
    return X, X[:, -5, 2] + 0.1 * np.random.default_rng(0).standard_normal(300)


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    X = walks(rng, 2000, 4)
    return X, np.roll(X[:, 2], 3) + 0.1 * rng.standard_normal(2000)


# --- sets of sequences


def test_sequences_are_ranked_by_what_came_before_their_end(sequences):
    X, y = sequences
    selector = LSTMFeatureSelector(1).fit(X, y)
    assert selector.n_features_in_ == 4
    assert selector.support_.tolist() == [False, False, True, False]
    expected = np.abs([np.corrcoef(X[:, -5, j], y)[0, 1] for j in range(4)])
    np.testing.assert_allclose(selector.scores_[2], expected[2], rtol=1e-9)
    assert (selector.scores_ >= expected - 1e-12).all()
    assert selector.scores_[[0, 1, 3]].max() < 0.3


def test_a_list_is_ranked_like_the_array(sequences):
    X, y = sequences
    of_array = LSTMFeatureSelector(2).fit(X, y)
    of_list = LSTMFeatureSelector(2).fit(list(X), y)
    for name in [*STATISTICS, "ranking_"]:
        assert getattr(of_list, name).tobytes() == getattr(of_array, name).tobytes()


def test_statistics_of_columns_are_those_of_a_table_with_groups(sequences):
    X, y = sequences
    lengths = np.random.default_rng(2).integers(3, 13, 300)
    ragged = [sequence[-n:] for sequence, n in zip(X, lengths, strict=True)]
    groups = np.repeat(np.arange(300), lengths)
    as_list = LSTMFeatureSelector(**NO_FILTERS).fit(ragged, y)
    as_table = LSTMFeatureSelector(**NO_FILTERS).fit(np.concatenate(ragged), groups=groups)
    for name in STATISTICS[:3]:
        np.testing.assert_allclose(getattr(as_list, name), getattr(as_table, name), rtol=1e-10)


def test_a_pattern_that_all_sequences_share_does_not_hide_the_target(sequences):
    X, y = sequences
    pattern = 50 * np.sin(np.arange(12))[:, None] * np.array([0, 0, 1, 0])
    plain, with_pattern = (LSTMFeatureSelector(1).fit(Z, y) for Z in (X, X + pattern))
    np.testing.assert_allclose(with_pattern.scores_[2], plain.scores_[2], rtol=1e-9)
    assert with_pattern.support_[2]


def test_few_long_sequences_give_no_large_scores_by_chance():
    rng = np.random.default_rng(3)
    X = [walks(rng, n, 3) for n in [5] * 200 + [30] * 2]  # two points are always on a line
    selector = LSTMFeatureSelector(**NO_FILTERS).fit(X, rng.standard_normal(202))
    assert selector.scores_.max() < 0.3


def test_labels_of_sequences(sequences):
    X, y = sequences
    labels = np.where(y > 0.5, "up", np.where(y < -0.5, "down", "flat"))
    found = LSTMFeatureSelector(**NO_FILTERS).fit(X, labels)
    as_numbers = (labels[:, None] == np.unique(labels)).astype(float)
    expected = LSTMFeatureSelector(**NO_FILTERS).fit(X, as_numbers)
    np.testing.assert_allclose(found.scores_, expected.scores_, rtol=1e-10)
    assert found.scores_.argmax() == 2


def test_transform_gives_the_kind_that_came(sequences):
    X, y = sequences
    selector = LSTMFeatureSelector(2, **NO_FILTERS).fit(X, y)
    kept = np.flatnonzero(selector.support_)
    np.testing.assert_array_equal(selector.transform(X), X[:, :, kept])
    ragged = [X[0], X[1, :3].astype(np.float32), X[2, :1]]
    answer = selector.transform(ragged)
    assert isinstance(answer, list)
    for one, sequence in zip(answer, ragged, strict=True):
        assert one.dtype == sequence.dtype
        np.testing.assert_array_equal(one, sequence[:, kept])
    np.testing.assert_array_equal(selector.transform(X[0]), X[0][:, kept])
    np.testing.assert_array_equal(selector.fit_transform(X, y), X[:, :, kept])
    back = selector.inverse_transform(X[:, :, kept])
    np.testing.assert_array_equal(back, np.where(selector.support_, X, 0.0))
    for one, sequence in zip(selector.inverse_transform(answer), ragged, strict=True):
        np.testing.assert_array_equal(one, np.where(selector.support_, sequence, 0.0))


def test_step_of_a_pipeline_on_sequences(sequences):
    X, y = sequences
    network = DeepLSTMRegressor(3, max_iter=2, random_state=0)
    model = make_pipeline(LSTMFeatureSelector(1), network).fit(list(X), y)
    assert model[-1].n_features_in_ == 1
    np.testing.assert_array_equal(model.predict(list(X)), model[-1].predict(X[:, :, 2:3]))


def test_bad_sets(sequences):
    X, y = sequences
    selector = LSTMFeatureSelector()
    for bad, target, message in [
        (X, y[:-1], r"inconsistent numbers of samples: X has 300, y has 299"),
        (np.where(X[7, 3, 1] == X, np.nan, X), y, "Input X contains NaN"),
        ([*X[:3], X[3, :, :2]], y[:4], r"X\[3\] has 2 features, but LSTMFeatureSelector is expecting 4"),
        ([X[0], X[1, :0]], y[:2], r"X\[1\] is an empty sequence"),
        (np.ones_like(X), y, "Every column of X is constant"),
        (X[:1, :1], y[:1], "1 row in all"),
    ]:
        with pytest.raises(ValueError, match=message):
            selector.fit(bad, target)
        assert not [name for name in vars(selector) if name.endswith("_")]
    with pytest.raises(ValueError, match="groups goes with a 2-D table"):
        selector.fit(X, y, groups=np.arange(300))
    selector.fit(X, y)
    for bad in (X[:, :, :3], [X[0], X[1, :, :3]]):
        with pytest.raises(ValueError, match="has 3 features, but LSTMFeatureSelector is expecting 4"):
            selector.transform(bad)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        selector.transform(np.full((2, 3, 4), np.nan))


# --- weights of samples


def test_samples_of_weight_zero_at_the_end_are_not_there(table):
    X, y = table
    expected = LSTMFeatureSelector().fit(X[:1500], y[:1500])
    spoilt, placeholder = X.copy(), y.copy()
    spoilt[1500:], placeholder[1500:] = 1e6 * spoilt[1500:], np.nan
    for weight in (1.0, 0.3, 1e-320):
        weights = np.where(np.arange(2000) < 1500, weight, 0.0)
        found = LSTMFeatureSelector().fit(spoilt, placeholder, sample_weight=weights)
        for name in STATISTICS:
            assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


def test_groups_of_weight_zero_are_not_there(table):
    X, y = table
    groups = np.repeat([0, 1, 2, 3], 500)
    for out in ([1], [0, 3], [0, 2]):
        there = ~np.isin(groups, out)
        expected = LSTMFeatureSelector().fit(X[there], y[there], groups=groups[there])
        spoilt = np.where(there[:, None], X, 1e9)
        found = LSTMFeatureSelector().fit(spoilt, np.where(there, y, np.nan), groups=groups, sample_weight=there)
        for name in STATISTICS:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10)


def test_targets_of_weight_zero_are_not_looked_at(table):
    X, y = table
    weights = (np.arange(2000) % 24 == 0).astype(float)
    expected = LSTMFeatureSelector(1).fit(X, y, sample_weight=weights)
    assert expected.support_.tolist() == [False, False, True, False]
    rows = np.arange(24, 2000, 24)  # each has the row 3 before it
    by_hand = np.corrcoef(X[rows - 3, 2], y[rows])[0, 1] * len(rows) / (len(rows) + 1)
    np.testing.assert_allclose(expected.scores_[2], by_hand, rtol=1e-10)
    for placeholder in (0.0, 1e9, np.nan):
        found = LSTMFeatureSelector(1).fit(X, np.where(weights > 0, y, placeholder), sample_weight=weights)
        np.testing.assert_array_equal(found.scores_, expected.scores_)
    labels = np.where(y > 0, "up", "down")
    expected = LSTMFeatureSelector(1).fit(X, labels, sample_weight=weights)
    found = LSTMFeatureSelector(1).fit(X, np.where(weights > 0, labels, "unknown"), sample_weight=weights)
    np.testing.assert_array_equal(found.scores_, expected.scores_)


def test_a_column_that_is_constant_where_the_labels_are_is_kept_for_its_past():
    # The output of a solar cell at midnight is 0: what counts is that of the day before.
    rng = np.random.default_rng(4)
    hour, day = np.arange(24 * 80) % 24, np.arange(24 * 80) // 24
    level = rng.standard_normal(80)
    sun = np.maximum(0.0, np.sin((hour - 6) * np.pi / 12)) * (2 + level[day])
    X = np.column_stack([sun, walks(rng, len(hour), 2)])
    y = np.where(hour == 0, np.r_[0.0, level][day], np.nan)
    selector = LSTMFeatureSelector(1, **NO_FILTERS).fit(X, y, sample_weight=(hour == 0) & (day > 0))
    assert selector.support_.tolist() == [True, False, False]
    assert selector.scores_[0] > 0.95


def test_sequences_of_weight_zero_are_not_there(sequences):
    X, y = sequences
    there = np.arange(300) % 3 > 0
    expected = LSTMFeatureSelector().fit(X[there], y[there])
    found = LSTMFeatureSelector().fit(
        np.where(there[:, None, None], X, 1e9), np.where(there, y, 1e9), sample_weight=there
    )
    for name in STATISTICS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10)
    twice = LSTMFeatureSelector().fit(np.concatenate([X, X[there]]), np.r_[y, y[there]])
    found = LSTMFeatureSelector().fit(X, y, sample_weight=1.0 + there)
    for name in STATISTICS:
        np.testing.assert_allclose(getattr(found, name), getattr(twice, name), rtol=1e-10)


def test_equal_weights_are_no_weights(table):
    X, y = table
    expected = LSTMFeatureSelector().fit(X, y)
    for weight in (0.3, 1e-322, 1e306):
        found = LSTMFeatureSelector().fit(X, y, sample_weight=np.full(2000, weight))
        for name in STATISTICS:
            assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


@pytest.mark.parametrize("reach", [0, 1, 2, 5, 31])
def test_rows_count_as_the_samples_that_read_them(reach):
    rng = np.random.default_rng(reach)
    there = (rng.random(60) < 0.2).astype(float)
    blocks = np.array([0, 7, 8, 40, 60])
    for weights in (there, there * rng.uniform(0, 1, 60) * 10.0 ** rng.integers(-30, 1, 60)):
        found = weights_of_rows(weights, blocks, reach)
        for row in range(60):
            end = blocks[blocks > row][0]
            readers = [w for w in weights[row : min(row + reach + 1, end)] if w > 0]
            np.testing.assert_allclose(found[row], np.mean(readers) if readers else 0.0, rtol=1e-14)


def test_weights_are_routed_through_a_pipeline(table):
    X, y = table
    weights = (np.arange(2000) < 700).astype(float)
    expected = LSTMFeatureSelector().fit(X, y, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        selector = LSTMFeatureSelector().set_fit_request(sample_weight=True)
        network = DeepLSTMRegressor(2, sequence_length=2, max_iter=1, early_stopping=False)
        network.set_fit_request(sample_weight=True)
        model = make_pipeline(selector, network).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model[0].scores_, expected.scores_)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(2000), "sample_weight is zero for every sample"),
        (-np.ones(2000), "sample_weight holds negative values"),
        (np.ones(1999), r"sample_weight has shape \(1999,\), expected \(2000,\)"),
        (np.ones((2000, 2)), r"sample_weight has shape \(2000, 2\), expected \(2000,\).*one selector for each"),
        (np.full(2000, np.nan), "Input sample_weight contains NaN"),
    ],
)
def test_bad_weights(table, weights, message):
    selector = LSTMFeatureSelector()
    with pytest.raises(ValueError, match=message):
        selector.fit(*table, sample_weight=weights)
    assert not hasattr(selector, "n_features_in_")


# --- magnitudes and sizes


@pytest.mark.parametrize("unit", [1e-300, 1e-154, 1e154, 1e300])
def test_the_unit_of_the_target_does_not_matter(table, unit):
    X, y = table
    expected = LSTMFeatureSelector().fit(X, y)
    found = LSTMFeatureSelector().fit(X, y * unit)
    np.testing.assert_allclose(found.scores_, expected.scores_, rtol=1e-10)
    both = LSTMFeatureSelector().fit(X, np.column_stack([y * unit, X[:, 0]]))
    np.testing.assert_allclose(both.scores_[2], expected.scores_[2], rtol=1e-10)


@pytest.mark.parametrize("value", [0.1, 1e154, 1e-300])
def test_a_constant_target_is_told_whatever_its_value(table, value):
    with pytest.warns(UserWarning, match="y is constant"):
        selector = LSTMFeatureSelector().fit(table[0], np.full(2000, value))
    np.testing.assert_array_equal(selector.scores_, selector.autocorrelation_)


@pytest.mark.parametrize("max_lag", [59, 60, 10**9, 2**70])
def test_lags_beyond_the_rows_cost_nothing(table, max_lag):
    X, y = table[0][:60], table[1][:60]
    expected = LSTMFeatureSelector(max_lag=59, **NO_FILTERS).fit(X, y)
    found = LSTMFeatureSelector(max_lag=max_lag, **NO_FILTERS).fit(X, y)
    for name in STATISTICS:
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rows on their own pass no filter
        alone = LSTMFeatureSelector(max_lag=max_lag).fit(X, y, groups=np.arange(60))
    assert not alone.autocorrelation_.any()


@pytest.mark.parametrize(
    ("share", "n_columns", "n_kept"), [(0.07, 100, 7), (0.29, 100, 29), (1 / 3, 3, 1), (0.35, 10, 3), (0.06, 10, 1)]
)
def test_a_share_of_the_columns_is_exact(share, n_columns, n_kept):
    X = walks(np.random.default_rng(5), 400, n_columns)
    assert LSTMFeatureSelector(share, **NO_FILTERS).fit(X).support_.sum() == n_kept


def test_frames_in_a_list_keep_their_names(sequences):
    X, y = sequences
    frames = [pd.DataFrame(sequence, columns=list("abcd")) for sequence in X]
    selector = LSTMFeatureSelector(1).set_output(transform="pandas").fit(frames, y)
    assert selector.feature_names_in_.tolist() == list("abcd")
    assert selector.get_feature_names_out().tolist() == ["c"]
    answer = selector.transform(frames[:2])
    pd.testing.assert_frame_equal(answer[1], frames[1][["c"]])
    with pytest.raises(ValueError, match=r"X\[1\][\s\S]*feature names should match"):
        selector.transform([frames[0], frames[1][list("dcba")]])
    with pytest.raises(ValueError, match=r"X\[1\][\s\S]*feature names should match"):
        LSTMFeatureSelector().fit([frames[0], frames[1][list("dcba")], *frames[2:]], y)


def test_the_largest_lag_is_that_from_the_first_row_to_the_last():
    selector = LSTMFeatureSelector(**NO_FILTERS).fit([[1.0], [0.0], [0.0], [0.0]], [0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(selector.scores_, 3 / 4)  # at lag 3; 1/2 at lag 2


def test_a_column_that_all_sequences_share_has_no_score(sequences):
    X, y = sequences
    X = X.copy()
    X[:, :, 0] = 0.3 + 0.1 * np.sin(np.arange(12))  # as the hour of the day: varies in time, not over samples
    assert LSTMFeatureSelector(**NO_FILTERS).fit(X, y).scores_[0] == 0.0


def test_rows_at_the_ends_of_groups_that_no_sample_reads_may_hold_anything(table):
    X, y = table
    groups = np.repeat([0, 1], 1000)
    there = np.arange(2000) % 1000 < 600
    expected = LSTMFeatureSelector().fit(X[there], y[there], groups=groups[there])
    found = LSTMFeatureSelector().fit(np.where(there[:, None], X, 1e200), y, groups=groups, sample_weight=there)
    np.testing.assert_allclose(found.scores_, expected.scores_, rtol=1e-10)
