"""Conformal corrections of the bands between quantiles: by hand, their promises, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

from sklstm import DeepLSTMRegressor, DeepRNNRegressor, quantize
from sklstm._seeds import singles
from sklstm._targets.conformal import corrected, corrections, pairs_of, samples_needed

RNG = np.random.default_rng(5)
N = 400
X = RNG.normal(size=(N, 2))
Y = np.roll(X[:, 0], 1) + RNG.normal(size=N) * (0.5 + np.abs(X[:, 1]))
TRAIN, VAL = slice(0, 280), slice(280, N)
BASE = {
    "hidden_size": 6,
    "sequence_length": 4,
    "max_iter": 8,
    "learning_rate_init": 0.03,
    "loss": "quantile",
    "quantile": [0.1, 0.5, 0.9],
    "random_state": 0,
}


def fit(y=Y, kind=DeepRNNRegressor, **parameters):
    weights = {name: parameters.pop(name) for name in ("sample_weight", "sample_weight_val") if name in parameters}
    model = kind(**{**BASE, "conformal": True, **parameters})
    return model.fit(X[TRAIN], y[TRAIN], X_val=X[VAL], y_val=y[VAL], **weights)


def margin(scores, level, weights=None):
    """The smallest score such that those up to it weigh at least the level, a new one of mean weight counted beyond."""
    weights = np.ones(len(scores)) if weights is None else weights
    wanted = level * (weights.sum() + weights[weights > 0].mean())
    return min(s for s, w in zip(scores, weights, strict=True) if w > 0 and weights[scores <= s].sum() >= wanted - 1e-9)


def check_by_hand(model, y, weights=None):
    """The corrections are those of the uncorrected bands of the validation part."""
    plain = fit(y, type(model), **{**model.get_params(), "conformal": False})
    bands, wide = plain.predict_quantiles(X[VAL]), model.predict_quantiles(X[VAL])
    assert np.array_equal(plain.predict(X), model.predict(X))
    levels = model.quantile
    shape = bands.shape
    bands, y = bands.reshape(shape[0], -1, shape[-1]), y[VAL].reshape(len(bands), -1)
    scale = np.atleast_1d(model.target_scale_)
    correction = model.conformal_correction_.reshape(-1, shape[-1])
    for k in range(y.shape[1]):
        for low in range(len(levels) // 2):
            high = len(levels) - 1 - low
            scores = np.maximum(bands[:, k, low] - y[:, k], y[:, k] - bands[:, k, high]) / scale[k]
            expected = margin(scores, levels[high] - levels[low], weights)
            assert correction[k, high] == pytest.approx(expected, rel=1e-4, abs=1e-6)
            assert correction[k, low] == -correction[k, high]
    assert (correction[:, len(levels) // 2] == 0).all()
    expected = bands + correction * scale[:, np.newaxis]
    np.testing.assert_allclose(wide.reshape(expected.shape)[..., [0, -1]], expected[..., [0, -1]], rtol=1e-5, atol=1e-6)
    assert np.array_equal(wide[..., shape[-1] // 2], model.predict(X[VAL]))
    assert (np.diff(wide, axis=-1) >= 0).all()
    return wide


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quantile": [0.05, 0.25, 0.5, 0.75, 0.95]},
        {"dtype": "float64", "cell": "gru"},
        {"quantile": np.linspace(0.1, 0.9, 5, dtype=np.float32)},
        {"n_seeds": 3},
        {"training": "stateful", "shuffle": False},
    ],
)
def test_corrections_by_hand(options):
    wide = check_by_hand(fit(**options), Y)
    assert np.mean((wide[:, 0] <= Y[VAL]) & (Y[VAL] <= wide[:, -1])) >= options.get("quantile", [0.1, 0.9])[-1] - 0.1


def test_several_outputs_have_corrections_of_their_own():
    several = np.column_stack([Y, 100.0 * np.roll(Y, 3), np.full(N, 7.0)])
    model = fit(several)
    wide = model.predict_quantiles(X[VAL])
    assert model.conformal_correction_.shape == (3, 3)
    for k in range(2):
        inside = (wide[:, k, 0] <= several[VAL, k]) & (several[VAL, k] <= wide[:, k, 2])
        # One target lies on the end of its band, but for the rounding of float32.
        assert np.mean(inside) == pytest.approx(np.ceil(0.8 * 121) / 120, abs=0.009)
    assert (wide[:, 2] == 7.0).all()
    check_by_hand(fit(several[:, :2]), several[:, :2])
    assert model.conformal_correction_[0, 2] != model.conformal_correction_[1, 2]


@pytest.mark.parametrize("norm", ["last", "standard"])
def test_with_window_norm_the_correction_scales_with_the_window(norm):
    walk = np.cumsum(X, axis=0)
    y = np.roll(walk[:, 0], -1)
    options = {**BASE, "window_norm": norm, "target_column": 0}
    data = (walk[TRAIN], y[TRAIN])
    rest = {"X_val": walk[280:399], "y_val": y[280:399]}
    model = DeepRNNRegressor(**options, conformal=True).fit(*data, **rest)
    plain = DeepRNNRegressor(**options).fit(*data, **rest)
    added = (model.predict_quantiles(walk) - plain.predict_quantiles(walk))[:, [0, 2]]
    ratio = added / (model.conformal_correction_ * model.target_scale_)[[0, 2]]
    # The unit of a window: the deviation of the column, or its own.
    assert (np.std(ratio[:, 1]) > 0.1) == (norm == "standard")
    np.testing.assert_allclose(ratio[:, 0], ratio[:, 1], rtol=1e-5)
    bands = model.predict_quantiles(walk[280:399])
    inside = (bands[:, 0] <= y[280:399]) & (y[280:399] <= bands[:, 2])
    assert np.mean(inside) == pytest.approx(np.ceil(0.8 * 120) / 119, abs=0.009)


def test_weights_count():
    weights = np.where(np.arange(120) < 60, 0.1, 2.0)
    check_by_hand_weights = fit(sample_weight_val=weights)
    scores_of = fit(sample_weight_val=weights, conformal=False)
    bands = scores_of.predict_quantiles(X[VAL])
    scores = np.maximum(bands[:, 0] - Y[VAL], Y[VAL] - bands[:, 2]) / scores_of.target_scale_
    expected = margin(scores, 0.8, weights)
    assert check_by_hand_weights.conformal_correction_[2] == pytest.approx(expected, rel=1e-4)
    # Samples of weight zero are excluded.
    zeros = np.where(np.arange(120) < 60, 0.0, 3.0)
    half = DeepRNNRegressor(**BASE, conformal=True).fit(
        X[TRAIN], Y[TRAIN], X_val=X[VAL], y_val=Y[VAL], sample_weight_val=zeros
    )
    bands = DeepRNNRegressor(**BASE).fit(X[TRAIN], Y[TRAIN], X_val=X[VAL], y_val=Y[VAL], sample_weight_val=zeros)
    bands = bands.predict_quantiles(X[VAL])[60:]
    y = Y[VAL][60:]
    scores = np.maximum(bands[:, 0] - y, y - bands[:, 2]) / half.target_scale_
    assert half.conformal_correction_[2] == pytest.approx(margin(scores, 0.8), rel=1e-4)


def test_weights_of_outputs_count():
    several = np.column_stack([Y, -Y])
    weights = np.ones((120, 2))
    weights[:60, 1] = 0.0
    model = fit(several, sample_weight_val=weights)
    plain = fit(several, sample_weight_val=weights, conformal=False)
    bands = plain.predict_quantiles(X[VAL])
    for k, rows in enumerate((slice(0, 120), slice(60, 120))):
        y = several[VAL, k]
        scores = np.maximum(bands[:, k, 0] - y, y - bands[:, k, 2]) / model.target_scale_[k]
        assert model.conformal_correction_[k, 2] == pytest.approx(margin(scores[rows], 0.8), rel=1e-4)


def test_inner_bands_never_leave_outer_ones():
    """Nor does the median leave the inner ones, whatever the corrections."""
    answers = np.sort(RNG.normal(size=(50, 2, 5)), axis=-1)
    correction = np.tile([0.5, -3.0, 0.0, 3.0, -0.5], (2, 1))  # the outer band shrinks, the inner one grows
    result = corrected(answers, correction)
    assert (np.diff(result, axis=-1) >= 0).all()
    assert np.array_equal(result[..., 2], answers[..., 2])
    assert (result[..., 0] <= answers[..., 0] + 0.5).all()
    assert (result[..., 4] >= answers[..., 4] - 0.5).all()
    assert np.array_equal(corrected(answers, np.zeros((2, 5))), answers)
    assert np.array_equal(corrected(answers[3:4], correction), result[3:4])


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_new_samples_are_held_with_the_probability_of_the_level(level):
    """Exchangeable samples, bands that are far too narrow: the mean over many calibrations is that of the theory."""
    quantiles = (0.5 - level / 2, 0.5, 0.5 + level / 2)
    shares, n = [], 19
    for _ in range(400):
        scores = RNG.normal(size=n + 200)
        bands = np.zeros((n + 200, 1, 3))
        found = corrections(quantiles, bands[:n], scores[:n, np.newaxis], np.ones((n, 1)))
        assert found[0, 0] == -found[0, 2]
        shares.append(np.mean(np.abs(scores[n:]) <= found[0, 2]))
    assert np.mean(shares) == pytest.approx(np.ceil(level * (n + 1)) / (n + 1), abs=0.015)


def test_which_bands_there_are_and_how_many_samples_they_need():
    assert pairs_of((0.1, 0.25, 0.5, 0.75, 0.9)) == [(1, 3), (0, 4)]
    assert pairs_of((0.1, 0.5, 0.8)) is None
    assert pairs_of((0.1, 0.2, 0.5, 0.9)) is None
    assert pairs_of((0.5,)) is None
    assert [samples_needed(level) for level in (0.5, 0.8, 0.9, 0.98, 0.9 - 1e-9)] == [1, 4, 9, 49, 9]


# The fitted estimator


def test_streams_pickles_threads_and_rows_alone():
    model = fit(n_jobs=2)
    whole = model.predict_quantiles(X)
    assert np.array_equal(fit(n_jobs=1).predict_quantiles(X), whole)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_quantiles(X), whole)
    assert np.array_equal(model.predict_quantiles(X[50:51], context=X[:50]), whole[50:51])
    stream = model.stream(response_method="predict_quantiles")
    assert np.array_equal([stream.step(row) for row in X[:30]], whole[:30])
    assert not model.conformal_correction_.flags.writeable
    small = quantize(model, X, "int16")
    np.testing.assert_allclose(small.predict_quantiles(X), whole, atol=0.05)


def test_what_was_fitted_counts_until_the_network_changes():
    model = fit()
    before = model.predict_quantiles(X)
    model.set_params(conformal=False)
    assert np.array_equal(model.predict_quantiles(X), before)
    model.partial_fit(X[TRAIN], Y[TRAIN])
    assert not hasattr(model, "conformal_correction_")
    again = fit(warm_start=True)
    first = again.conformal_correction_
    again.fit(X[TRAIN], Y[TRAIN], X_val=X[VAL], y_val=Y[VAL])
    assert not np.array_equal(again.conformal_correction_, first)
    again.set_params(conformal=False).fit(X[TRAIN], Y[TRAIN], X_val=X[VAL], y_val=Y[VAL])
    assert not hasattr(again, "conformal_correction_")


def test_scorers_see_the_bands_without_correction():
    seen = []

    def scoring(estimator, rows, y):
        seen.append(estimator.predict_quantiles(rows))
        return -len(seen)

    model = fit(scoring=scoring)
    assert np.array_equal(seen[0], fit(scoring=lambda *_: 0.0, conformal=False).predict_quantiles(X[VAL]))
    assert not np.array_equal(seen[0], model.predict_quantiles(X[VAL]))


@pytest.mark.parametrize("value", [np.zeros(2), np.array([0.0, np.nan, 0.0]), "wide", np.zeros((1, 3))])
def test_a_damaged_correction_is_refused(value):
    model = copy.deepcopy(fit())
    model.conformal_correction_ = value
    with pytest.raises(ValueError, match=r"is damaged.*conformal_correction_"):
        model.predict_quantiles(X)


# `calibrate`


@pytest.mark.parametrize("options", [{}, {"window_norm": "last", "target_column": 0}, {"n_seeds": 2}])
def test_calibrating_by_the_validation_part_is_what_fit_does(options):
    model = fit(X[:, 0], **options)
    plain = fit(X[:, 0], **options, conformal=False)
    before = {name: array.copy() for name, array in plain.parameters_.items()}
    assert plain.calibrate(X[VAL], X[VAL, 0]) is plain
    np.testing.assert_allclose(plain.conformal_correction_, model.conformal_correction_, rtol=1e-5, atol=1e-6)
    assert all(np.array_equal(plain.parameters_[name], array) for name, array in before.items())
    assert plain.loss_curve_ == model.loss_curve_
    assert len(singles(plain)) == options.get("n_seeds", 1)


def test_calibrating_by_later_rows():
    """With windows of their own, groups, weights; a share of .8 of them is then inside."""
    model = fit()
    drifted = 5.0 * Y
    first = model.conformal_correction_[2]
    model.calibrate(X[VAL], drifted[VAL], context=X[TRAIN])
    assert model.conformal_correction_[2] > 3.0 * first
    bands = model.predict_quantiles(X[VAL], context=X[TRAIN])
    inside = (bands[:, 0] <= drifted[VAL]) & (drifted[VAL] <= bands[:, 2])
    assert np.mean(inside) == pytest.approx(np.ceil(0.8 * 121) / 120)
    weights = np.r_[np.zeros(60), np.ones(60)]
    missing = np.where(weights > 0, drifted[VAL], np.nan)
    model.calibrate(X[VAL], missing, context=X[TRAIN], sample_weight=1e200 * weights)
    weighted = model.conformal_correction_
    model.calibrate(X[340:], drifted[340:], context=X[:340])
    assert np.array_equal(model.conformal_correction_, weighted)
    groups = np.repeat(["a", "b"], 60)
    model.calibrate(X[VAL], drifted[VAL], groups=groups)
    of_groups = model.conformal_correction_[2]
    bands = model.predict_quantiles(X[VAL], groups=groups)
    assert of_groups == pytest.approx(model.conformal_correction_[2])
    assert np.mean((bands[:, 0] <= drifted[VAL]) & (drifted[VAL] <= bands[:, 2])) == pytest.approx(97 / 120)
    sequences = RNG.normal(size=(40, 5, 2))
    other = DeepLSTMRegressor(**BASE).fit(sequences[:20], sequences[:20, -1, 0])
    assert other.calibrate(list(sequences[20:]), sequences[20:, -1, 0]).conformal_correction_.shape == (3,)


def test_steps_of_sequences_are_samples():
    sequences = [RNG.normal(size=(length, 2)) for length in RNG.integers(3, 9, size=60)]
    y = [one[:, 0] + RNG.normal(size=len(one)) for one in sequences]
    y[55][1] = np.nan
    options = {**{name: value for name, value in BASE.items() if name != "sequence_length"}, "targets": "sequence"}
    rest = {"X_val": sequences[40:], "y_val": y[40:]}
    model = DeepRNNRegressor(**options, conformal=True).fit(sequences[:40], y[:40], **rest)
    plain = DeepRNNRegressor(**options).fit(sequences[:40], y[:40], **rest)
    bands, flat = np.concatenate(plain.predict_quantiles(sequences[40:])), np.concatenate(y[40:])
    present = np.isfinite(flat)
    scores = np.maximum(bands[:, 0] - flat, flat - bands[:, 2])[present] / model.target_scale_
    assert model.conformal_correction_[2] == pytest.approx(margin(scores, 0.8), rel=1e-4)
    plain.calibrate(sequences[40:], y[40:])
    np.testing.assert_allclose(plain.conformal_correction_, model.conformal_correction_, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": Y[:3], "X": X[:3]}, "needs at least 4 samples that were not trained on, found 3"),
        ({"sample_weight": np.r_[np.ones(3), np.zeros(117)]}, "needs at least 4 samples .* found 3"),
        ({"y": np.column_stack([Y[VAL]] * 2)}, r"y has shape \(120, 2\), but the targets of this model"),
        ({"y": Y[:10]}, "y has 10 entries|inconsistent numbers of samples|10"),
        ({"y": np.where(np.arange(120) == 3, np.nan, Y[VAL])}, "Input y contains NaN"),
        ({"sample_weight": np.ones(7)}, "sample_weight"),
    ],
)
def test_what_calibrate_refuses(arguments, message):
    model = fit()
    before = model.conformal_correction_
    with pytest.raises(ValueError, match=message):
        model.calibrate(**{"X": X[VAL], "y": Y[VAL], **arguments})
    assert model.conformal_correction_ is before


def test_calibrate_needs_bands():
    with pytest.raises(AttributeError, match="no attribute 'calibrate'"):
        DeepRNNRegressor(**{**BASE, "loss": "huber"}).calibrate(X, Y)
    for quantile in (0.9, [0.1, 0.5, 0.8]):
        model = DeepRNNRegressor(**{**BASE, "quantile": quantile}).fit(X, Y)
        with pytest.raises(ValueError, match="a conformal correction is one of bands"):
            model.calibrate(X, Y)


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "squared_error", "quantile": 0.5}, r"is one of bands between quantiles, found loss='squared_error'"),
        ({"quantile": 0.9}, r"is one of bands between quantiles, found quantile=0.9"),
        ({"quantile": [0.5]}, r"found quantile=0.5: set loss='quantile' and several"),
        ({"quantile": [0.1, 0.5, 0.8]}, r"quantile=\[0.1, 0.5, 0.8\] is not symmetric about 0.5: give 1 - q"),
        ({"early_stopping": False}, r"conformal=True needs a validation part, .* early_stopping=True, or bring"),
        (
            {"early_stopping": True, "validation_fraction": 0.01},
            r"from 0.1 to 0.9 needs at least 4 samples .*, found 3",
        ),
        (
            {"early_stopping": True, "quantile": [0.01, 0.5, 0.99]},
            r"from 0.01 to 0.99 needs at least 49 samples that were not trained on, found 28: .* validation_fraction",
        ),
    ],
)
def test_fits_that_have_no_correction(options, message):
    model = DeepRNNRegressor(**{**BASE, "conformal": True, **options})
    with pytest.raises(ValueError, match=message):
        model.fit(X[TRAIN], Y[TRAIN])
    assert not hasattr(model, "parameters_")


def test_too_few_samples_of_one_output():
    weights = np.ones((120, 2))
    weights[3:, 1] = 0.0
    with pytest.raises(ValueError, match="needs at least 4 samples that were not trained on, found 3"):
        fit(np.column_stack([Y, Y]), sample_weight_val=weights)


def test_partial_fit_has_no_validation_part():
    model = DeepRNNRegressor(**BASE, conformal=True)
    with pytest.raises(ValueError, match="conformal=True needs a validation part, which partial_fit does not have"):
        model.partial_fit(X, Y)


def test_a_linear_skip_does_not_see_the_samples_that_correct_the_bands():
    """Without `conformal` its last fit is of all samples, those of the validation part included."""
    options = {**BASE, "linear_skip": 4, "early_stopping": True, "validation_fraction": 0.3}
    y = np.where(np.arange(N) < 280, Y, 3.0 * np.roll(X[:, 1], 2))  # another relation in the last part
    skips = []
    for conformal in (False, True):
        model = DeepRNNRegressor(**options, conformal=conformal).fit(X, y)
        skips.append(model.parameters_["weight_skip"])
    assert not np.allclose(skips[0], skips[1], rtol=0.2)
    bands = model.predict_quantiles(X)[280:]
    assert np.mean((bands[:, 0] <= y[280:]) & (y[280:] <= bands[:, 2])) == pytest.approx(0.8, abs=0.02)


def test_groups_with_units_of_their_own():
    """The correction is in the unit of each group; `calibrate` reads it from the same units."""
    groups = np.repeat(["a", "b"], N // 2)
    factor = np.where(groups == "a", 1.0, 50.0)
    options = {**BASE, "early_stopping": True, "validation_fraction": 0.2, "group_scaling": "standard"}
    model = DeepRNNRegressor(**options, conformal=True).fit(X, factor * Y, groups=groups)
    plain = DeepRNNRegressor(**options).fit(X, factor * Y, groups=groups)
    added = (model.predict_quantiles(X, groups=groups) - plain.predict_quantiles(X, groups=groups))[:, 2]
    assert added[-1] / added[0] == pytest.approx(50.0, rel=0.5)
    last = np.r_[160:200, 360:400]  # the last fifth of each
    bands = model.predict_quantiles(X, groups=groups)[last]
    inside = np.mean((bands[:, 0] <= (factor * Y)[last]) & ((factor * Y)[last] <= bands[:, 2]))
    assert inside == pytest.approx(np.ceil(0.8 * 81) / 80, abs=0.013)
    context = np.r_[0:160, 200:360]
    plain.calibrate(
        X[last],
        (factor * Y)[last],
        groups=groups[last],
        context=X[context],
        context_groups=groups[context],
    )
    np.testing.assert_allclose(plain.conformal_correction_, model.conformal_correction_, rtol=1e-4)
