"""Targets and weights of any size: constants are answered exactly, units do not matter, what is wrong is named."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from estimator_case import parameters_equal

from sklstm import DeepLSTMRegressor

RNG = np.random.default_rng(3)
X = RNG.normal(size=(240, 3))
SIGNAL = X[:, 0] + np.roll(X[:, 1], 1)
SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 3, "n_jobs": 1, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("error")


def make(**options):
    return DeepLSTMRegressor(**{**SMALL, **options})


# Constants

LOSSES = ["squared_error", "absolute_error", "huber", "log_cosh", "quantile", "poisson"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [0.0, 1e-6, 0.1, 1e6, 1e60, 1.7e308, 1e-300, 5e-324])
def test_a_constant_is_answered(loss, value):
    """1e-6 everywhere was answered by numbers from -.05 to .03, zeros of the Poisson loss by .16."""
    for early_stopping in (False, True):
        model = make(loss=loss, early_stopping=early_stopping).fit(X, np.full(240, value))
        assert (model.predict(X) == value).all()
        assert (model.target_mean_, model.target_scale_) == (value, 0.0)
        assert model.stream().step(X[0]) == value
        assert np.isfinite(model.loss_curve_).all()
    # With weights whose sums are rounded.
    model = make(loss=loss).fit(X, np.full(240, value), sample_weight=RNG.uniform(size=240))
    assert (model.predict(X) == value).all()


def test_raw_outputs_of_constants_stay_where_they_are():
    """exp(z) - z for the constant of the Poisson loss, least at 0; z**2 / 2 for the others."""
    for loss, least in (("poisson", 1.0), ("squared_error", 0.0)):
        model = make(loss=loss, max_iter=60, learning_rate_init=0.02, early_stopping=False).fit(X, np.full(240, 3.0))
        assert model.loss_ == pytest.approx(least, abs=0.01)


def test_negative_constants_and_several_quantiles():
    model = make(loss="quantile", quantile=[0.1, 0.5, 0.9]).fit(X, np.full((240, 2), -0.3))
    assert (model.predict_quantiles(X) == -0.3).all()
    assert (model.predict(X) == -0.3).all()


def test_a_constant_among_several_outputs():
    y = np.column_stack([SIGNAL, np.full(240, 0.1), 1e9 * SIGNAL])
    model = make(max_iter=60, learning_rate_init=0.02).fit(X, y)
    found = model.predict(X)
    assert (found[:, 1] == 0.1).all()
    assert model.target_scale_.tolist() == [
        pytest.approx(SIGNAL[:212].std()),
        0.0,
        pytest.approx(1e9 * SIGNAL[:212].std()),
    ]
    assert np.corrcoef(found[:, 0], SIGNAL)[0, 1] > 0.9
    assert np.corrcoef(found[:, 2], SIGNAL)[0, 1] > 0.9


def test_one_sample_of_positive_weight():
    weights = np.zeros(240)
    weights[100] = 2.0
    assert (make().fit(X, SIGNAL, sample_weight=weights).predict(X) == SIGNAL[100]).all()
    assert (make().fit(X[:1], SIGNAL[:1]).predict(X) == SIGNAL[0]).all()


@pytest.mark.filterwarnings("ignore:window_norm takes target")
def test_targets_that_equal_the_reference():
    """With `window_norm` it is the difference to the column that is constant."""
    model = make(window_norm="last", target_column=0, dtype="float64").fit(X, X[:, 0])
    np.testing.assert_array_equal(model.predict(X), X[:, 0])


def test_a_constant_to_rounding():
    y = 0.1 + np.arange(240) % 3 * np.spacing(0.1)
    model = make().fit(X, y)
    assert model.target_scale_ == 0.0
    np.testing.assert_allclose(model.predict(X), 0.1, rtol=1e-15)


def test_a_validation_part_off_the_constant(case):
    if case.is_classifier:
        return
    model = make().fit(X, np.full(240, 5.0), X_val=X, y_val=SIGNAL)
    assert (model.predict(X) == 5.0).all()
    assert np.isfinite(model.validation_scores_).all()


# Units of y and of weights


@pytest.mark.parametrize("exponent", [-1000, -300, 100, 1000, 1019])
def test_the_unit_of_y_changes_no_bit(exponent):
    plain = make().fit(X, SIGNAL)
    scaled = make().fit(X, np.ldexp(SIGNAL, exponent))
    assert plain.loss_curve_ == scaled.loss_curve_
    np.testing.assert_array_equal(np.ldexp(scaled.predict(X), -exponent), plain.predict(X))


def test_targets_whose_differences_overflow():
    """Halves of them are those of targets half as large."""
    y = np.where(SIGNAL > 0, 1.7e308, -1.7e308)
    full, half = make().fit(X, y), make().fit(X, y / 2)
    assert full.loss_curve_ == pytest.approx(half.loss_curve_, rel=1e-6)


@pytest.mark.parametrize("unit", [1e306, 1e-322, 1e-310, 1e300])
def test_the_unit_of_weights(case, unit):
    """Only their ratios count, as far as the number can say them."""
    y, weights = case.target(SIGNAL), 1.0 + np.arange(240) % 2
    plain, scaled = (case.make().fit(X, y, sample_weight=factor * weights) for factor in (1.0, unit))
    if unit in (1e306, 1e300):
        assert plain.loss_curve_ == pytest.approx(scaled.loss_curve_, rel=1e-6)
    parts = {"X_val": X[:50], "y_val": y[:50], "sample_weight_val": unit * weights[:50]}
    assert np.isfinite(case.make().fit(X, y, sample_weight=unit * weights, **parts).validation_scores_).all()


def test_weights_further_apart_than_float32(case):
    """A part whose weights are all tiny against those of the other."""
    y = case.target(SIGNAL)
    tiny = np.where(np.arange(240) < 216, 1.0, 1e-60)
    model = case.make().fit(X, y, sample_weight=tiny)
    assert model.validation_scores_ == pytest.approx(case.make().fit(X, y).validation_scores_, rel=1e-6)


def test_answers_beyond_float64_are_an_error():
    y = np.where(SIGNAL > 0, 1.7e308, -1.7e308)
    model = make(max_iter=60, learning_rate_init=0.02).fit(X, y)
    with pytest.raises(ValueError, match=r"predict goes beyond the largest float64: .* Fit on y in a larger unit"):
        model.predict(50 * X)


# What is far off is named


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_validation_part_far_off(dtype):
    far = SIGNAL.copy()
    far[7] = 1e300
    message = (
        r"y_val holds 1e\+300 in row 7, which is .* scales from the mean of the targets that were learnt "
        r"\(target_mean_=.*, target_scale_=.*\): its loss is beyond dtype='float.*'. Is it an error, or in another unit"
    )
    with pytest.raises(ValueError, match=message):
        make(dtype=dtype).fit(X, SIGNAL, X_val=X, y_val=far)


def test_a_last_part_far_off():
    far = SIGNAL.copy()
    far[230] = -1e300
    with pytest.raises(ValueError, match=r"^y holds -1e\+300 in row 230, which is"):
        make().fit(X, far)
    weights = np.ones(240)
    weights[[3, 230]] = 0.0
    make().fit(X, far, sample_weight=weights)
    far[231] = 1e300
    with pytest.raises(ValueError, match=r"^y holds 1e\+300 in row 231, which is"):
        make().fit(X, far, sample_weight=weights)


def test_a_warm_start_far_off():
    model = make(warm_start=True).fit(X, SIGNAL)
    with pytest.raises(ValueError, match=r"^y holds .*e\+300 in row \d+, which is"):
        model.fit(X, 1e300 + 1e299 * SIGNAL)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "log_cosh", "quantile"])
def test_losses_that_square_nothing_reach_further(loss):
    far = SIGNAL.copy()
    far[230] = 1e25
    model = make(loss=loss).fit(X, far)
    assert np.isfinite(model.validation_scores_).all()


# Dates

DAYS = np.arange("2024-01-01", "2024-08-28", dtype="M8[D]")
WITH_NAT = np.where(np.arange(240) == 5, np.datetime64("NaT", "D"), DAYS)


@pytest.mark.parametrize(
    "y",
    [
        DAYS,
        WITH_NAT,
        DAYS - DAYS[0],
        pd.Series(DAYS),
        pd.Series(DAYS).dt.tz_localize("Europe/Berlin"),
        pd.DataFrame({"a": SIGNAL, "b": WITH_NAT}),
        pd.Series(DAYS - DAYS[0]),
        pd.DatetimeIndex(DAYS),
        list(pd.DatetimeIndex(DAYS)),
        [dt.date(2024, 1, 1)] * 240,
        [dt.timedelta(hours=1)] * 240,
        np.array([1.0] * 239 + [dt.datetime(2024, 1, 1)], object),
        pl.Series(DAYS),
        pd.Series(pd.PeriodIndex(DAYS, freq="D")),
    ],
    ids=lambda y: type(y).__name__,
)
def test_dates_are_no_targets(case, y):
    """They trained on nanoseconds, NaT on -9.2e18."""
    message = r"{} holds dates or times \(.*\), expected numbers or labels. Hand over what is to be learnt as a number"
    for method in ("fit", "partial_fit"):
        with pytest.raises(TypeError, match=message.format("y")):
            getattr(case.make(), method)(X, y)
    with pytest.raises(TypeError, match=message.format("y_val")):
        case.make().fit(X, case.target(SIGNAL), X_val=X, y_val=y)


def test_no_warning_of_numpy_comes_through(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = case.make().fit(X, case.target(SIGNAL), sample_weight=np.full(240, 1e306))
        assert parameters_equal(first, case.make().fit(X, case.target(SIGNAL)))
