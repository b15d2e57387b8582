"""What is learnt from data before training is learnt from the training part, after the split."""

import math
from fractions import Fraction

import numpy as np
import pytest
from estimator_case import parameters_equal
from sklearn.metrics import r2_score

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._scaling import column_scales, row_weights
from sklstm._sequences import Sequences, blocks_of_groups
from sklstm._shares import share_of

SETTINGS = {"hidden_size": 8, "sequence_length": 4, "max_iter": 4, "n_jobs": 1, "random_state": 0}
RNG = np.random.default_rng(2)
X = RNG.normal(size=(300, 2))
Y = X[:, 0] + np.roll(X[:, 1], 1)
N_TRAIN = 300 - 30 - 3


def test_a_reading_in_the_last_tenth():
    """1e6 in one row: target_scale_ was 40,791 and R^2 of the training rows -34,260."""
    y = Y.copy()
    y[290] = 1e6
    settings = {**SETTINGS, "max_iter": 60, "learning_rate_init": 0.01}
    automatic = DeepLSTMRegressor(**settings).fit(X, y)
    assert automatic.target_scale_ == pytest.approx(Y[:N_TRAIN].std(), rel=1e-12)
    by_hand = DeepLSTMRegressor(**settings).fit(X[:N_TRAIN], y[:N_TRAIN], X_val=X[270:], y_val=y[270:])
    assert (automatic.target_mean_, automatic.target_scale_) == (by_hand.target_mean_, by_hand.target_scale_)
    assert automatic.loss_curve_ == by_hand.loss_curve_


def test_the_training_part_fits_whatever_comes_later():
    y = Y.copy()
    y[290] = 1e6
    model = DeepLSTMRegressor(**{**SETTINGS, "max_iter": 80, "learning_rate_init": 0.01, "n_iter_no_change": 80})
    model.fit(X, y)
    # The best epoch is chosen by a validation part that nothing predicts: what training itself reached is the loss.
    assert model.loss_curve_[-1] < 0.01
    clean = model.fit(X, Y)
    assert r2_score(Y[:N_TRAIN], clean.predict(X)[:N_TRAIN]) > 0.97


@pytest.mark.parametrize("norm", ["last", "standard"])
def test_scales_of_windows(norm):
    later = X.copy()
    later[275:] *= 1e3
    models = [
        DeepLSTMRegressor(**SETTINGS, window_norm=norm, target_column=0).fit(table, table[:, 0]) for table in (X, later)
    ]
    assert models[0].loss_curve_ == models[1].loss_curve_
    assert models[0].target_scale_ == models[1].target_scale_


def test_factors_of_balanced_classes():
    y = (Y > 0.5).astype(int)
    later = y.copy()
    later[270:] = 1
    models = [DeepLSTMClassifier(**SETTINGS, class_weight="balanced").fit(X, labels) for labels in (y, later)]
    assert models[0].loss_curve_ == models[1].loss_curve_
    shares = np.bincount(y[:N_TRAIN])
    factors = dict(enumerate(N_TRAIN / (2 * shares)))
    by_hand = DeepLSTMClassifier(**SETTINGS, class_weight=factors).fit(X, y)
    assert models[0].loss_curve_ == by_hand.loss_curve_
    assert models[0].validation_scores_ == by_hand.validation_scores_


def test_automatic_batch_size(case):
    """267 samples to train on: 8; 300 would be 9."""
    target = case.target(Y)
    found, expected, other = (
        case.make(**{**SETTINGS, "batch_size": size}).fit(X, target).loss_curve_ for size in ("auto", 8, 9)
    )
    assert found == expected != other


def test_groups_and_gaps_have_no_share(case):
    """The rows that only the validation windows read, and those of no part, are not looked at."""
    groups = np.repeat([0, 1], 150)
    y = case.target(Y)
    frozen = {**SETTINGS, "early_stopping": True}
    if not case.is_classifier:
        other = y.copy()
        other[132:150] += 1e3  # the last 15 of the first group, and the gap before them
        models = [case.make(**frozen).fit(X, one, groups=groups) for one in (y, other)]
        assert models[0].target_mean_ == models[1].target_mean_
        assert models[0].loss_curve_ == models[1].loss_curve_


def test_warm_start_keeps_scales(case):
    model = case.make(**SETTINGS, warm_start=True).fit(X, case.target(Y))
    again = case.make(**SETTINGS, warm_start=True).fit(X, case.target(Y))
    assert parameters_equal(model, again)
    if not case.is_classifier:
        scale = model.target_scale_
        assert model.fit(X, case.target(5 * Y)).target_scale_ == scale


# Weights of rows


@pytest.mark.parametrize("seed", range(10))
def test_weights_of_rows(seed):
    """The mean weight of the samples that read a row."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(4), rng.integers(1, 30, 4))
    sequences = Sequences.from_windows(np.zeros((len(groups), 1)), int(rng.integers(1, 9)), blocks_of_groups(groups))
    weights = rng.uniform(0.1, 1.0, len(groups))
    present = rng.uniform(size=len(groups)) < 0.4
    present[0] = True
    if seed % 2:
        sequences = Sequences.from_series(sequences.table, sequences.blocks)
    sequences, weights = sequences.keep(present), weights[present]
    expected = np.zeros(len(groups))
    for row in range(len(groups)):
        reads = (sequences.starts <= row) & (row < sequences.starts + sequences.lengths)
        expected[row] = weights[reads].mean() if reads.any() else 0.0
    np.testing.assert_allclose(row_weights(sequences, weights), expected, rtol=1e-12, atol=1e-15)
    assert (row_weights(sequences, np.full(len(weights), 0.7)) == (expected > 0)).all()


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e-170, 1e160, 1e306])
def test_scales_in_any_unit(unit):
    """Weighted mean and deviation in exact arithmetic; rows of weight zero are not looked at."""
    rng = np.random.default_rng(0)
    table = rng.normal(3.0, 2.0, size=(200, 3)) * unit
    table[:, 1] = 0.1 * unit
    weights = np.where(rng.uniform(size=200) < 0.3, 0.0, rng.uniform(size=200))
    table[weights == 0] = 1.7e308
    mean, scale = column_scales(table, weights)
    for column in range(3):
        values = [(Fraction(v), Fraction(w)) for v, w in zip(table[:, column], weights, strict=True) if w > 0]
        total = sum(w for _, w in values)
        exact = sum(v * w for v, w in values) / total
        variance = sum((v - exact) ** 2 * w for v, w in values) / total / Fraction(unit) ** 2
        assert mean[column] == pytest.approx(float(exact), rel=1e-14, abs=0)
        assert scale[column] == pytest.approx(float(variance) ** 0.5 * unit, rel=1e-12, abs=0)
    assert (mean[1], scale[1]) == (0.1 * unit, 0.0)


def test_scales_of_long_columns():
    """Several blocks of rows, and a level against which the deviation is small."""
    table = 1e8 + RNG.normal(size=(40_000, 2)) * [1.0, 1e-3]
    mean, scale = column_scales(table, np.ones(40_000))
    exact = [math.fsum(column) / 40_000 for column in table.T]
    np.testing.assert_allclose(mean, exact, rtol=2e-16)
    squares = [math.fsum((column - middle) ** 2) / 40_000 for column, middle in zip(table.T, exact, strict=True)]
    np.testing.assert_allclose(scale, np.sqrt(squares), rtol=1e-9)


# Shares


@pytest.mark.parametrize("n", [1, 3, 10, 100, 700, 12_345])
def test_shares_are_exact(n):
    for percent in range(1, 100):
        exact = Fraction(percent, 100) * n
        for fraction in (percent / 100, np.float32(percent / 100), 1 - (1 - percent / 100)):
            assert share_of(fraction, n) == -(-exact.numerator // exact.denominator)
            assert share_of(fraction, n, math.floor) == exact.numerator // exact.denominator


def test_seven_hundredths_of_a_hundred():
    assert np.ceil(0.07 * 100) == 8
    assert share_of(0.07, 100) == 7
    first, last = Sequences.from_windows(np.zeros((100, 1)), 1).split_last(0.07)
    assert (len(first), len(last)) == (93, 7)
    _, last = Sequences.split_last_of_classes(0.07, np.zeros(100))
    assert len(last) == 7
