"""DeepLSTMRegressor: targets of every shape and unit, weights, outputs, score."""

import numpy as np
import pandas as pd
import pytest
from estimator_case import as_read
from reference.lstm import predict_table
from sklearn.metrics import r2_score

X = np.random.default_rng(0).normal(size=(80, 3))
Y = X[:, 0] + 0.5 * np.roll(X[:, 1], 1)
# Every sample in one batch, no rounding to speak of: the order of samples changes nothing.
FULL_BATCH = {"batch_size": 10**6, "dtype": "float64", "early_stopping": False, "max_iter": 8}


def fit(regressor, y, **parameters):
    return regressor.make(**parameters).fit(X, y)


# Shapes and kinds of y


@pytest.mark.parametrize("shape", [(80,), (80, 1), (80, 4)])
def test_predictions_have_the_shape_of_y(regressor, shape):
    y = np.random.default_rng(1).normal(size=shape)
    model = fit(regressor, y)
    assert model.predict(X).shape == shape
    assert model.predict(X[:1]).shape == (1, *shape[1:])
    assert np.shape(model.target_mean_) == np.shape(model.target_scale_) == shape[1:]
    assert model.parameters_["weight_out"].shape == (*(shape[1:] or (1,)), 4)
    assert model.parameters_["bias_out"].shape == (shape[1:] or (1,))
    for context in (None, X[:3]):
        assert model.predict(X, context=context).shape == shape


@pytest.mark.isa
@pytest.mark.parametrize("n_outputs", [1, 2, 24, 33])
def test_several_outputs_follow_from_the_parameters(regressor, n_outputs):
    y = np.random.default_rng(1).normal(size=(80, n_outputs)) * np.arange(1, n_outputs + 1) + 7.0
    model = fit(regressor, y, dtype="float64", hidden_size=7)
    z = predict_table(model.parameters_, as_read(model, X), model.sequence_length)
    expected = model.target_mean_ + model.target_scale_ * z
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-10, atol=1e-12)


def test_one_column_is_a_vector_in_another_shape(regressor):
    vector, column = fit(regressor, Y).predict(X), fit(regressor, Y[:, np.newaxis]).predict(X)
    np.testing.assert_array_equal(vector, column[:, 0])


@pytest.mark.parametrize(
    "form",
    [list, tuple, pd.Series, lambda y: pd.Series(y, index=range(80, 160)), lambda y: y.astype(object), np.float64],
)
def test_kinds_of_y(regressor, form):
    assert fit(regressor, form(Y)).loss_curve_ == fit(regressor, Y).loss_curve_


@pytest.mark.parametrize("form", [np.ndarray.tolist, pd.DataFrame, np.asfortranarray])
def test_kinds_of_y_with_several_outputs(regressor, form):
    y = np.column_stack([Y, -Y])
    assert fit(regressor, form(y)).loss_curve_ == fit(regressor, y).loss_curve_


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.float32])
def test_dtypes_of_y(regressor, dtype):
    y = (X[:, 0] > 0).astype(dtype)
    assert fit(regressor, y).loss_curve_ == fit(regressor, y.astype(float)).loss_curve_
    assert fit(regressor, y).predict(X).dtype == np.float64


# The unit of y


def test_the_scale_of_the_target(regressor):
    y = np.column_stack([Y, 100.0 * Y - 3.0])
    weights = np.linspace(0.0, 2.0, 80)
    model = regressor.make().fit(X, y, sample_weight=weights)
    mean = np.average(y, axis=0, weights=weights)
    np.testing.assert_allclose(model.target_mean_, mean, rtol=1e-14)
    expected = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(model.target_scale_, expected, rtol=1e-14)


@pytest.mark.parametrize("exponent", [-600, -20, 3, 600])
def test_a_change_of_unit_changes_no_bit(regressor, exponent):
    """By a power of two; the squares of the largest would overflow, those of the smallest vanish."""
    found = fit(regressor, np.ldexp(Y, exponent)).predict(X)
    np.testing.assert_array_equal(np.ldexp(found, -exponent), fit(regressor, Y).predict(X))


@pytest.mark.parametrize("offset", [-1e6, 1e6, 1e9])
def test_a_huge_offset_costs_no_accuracy(regressor, offset):
    found = fit(regressor, Y + offset, dtype="float64").predict(X) - offset
    np.testing.assert_allclose(found, fit(regressor, Y, dtype="float64").predict(X), atol=1e-12 * abs(offset))


# Weights of samples


@pytest.mark.parametrize("kind", ["table", "array", "list"])
def test_weights_are_repetitions(regressor, kind):
    """Rows of a table are samples of their own only with windows of one row; sequences always are."""
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 4, size=60)
    if kind == "table":
        samples, length = rng.normal(size=(60, 3)), 1
    else:
        samples, length = rng.normal(size=(60, 7, 3)), 5
    y = rng.normal(size=(60, 2))
    index = np.repeat(np.arange(60), weights)
    model = regressor.make(sequence_length=length, **FULL_BATCH)
    if kind == "list":
        samples = [sample[: 1 + i % 7] for i, sample in enumerate(samples)]
        repeated = [samples[i] for i in index]
    else:
        repeated = samples[index]
    weighted = model.fit(samples, y, sample_weight=weights).predict(samples)
    np.testing.assert_allclose(weighted, model.fit(repeated, y[index]).predict(samples), rtol=1e-9, atol=1e-11)
    assert np.abs(weighted - model.fit(samples, y).predict(samples)).max() > 1e-3


def test_a_row_of_weight_zero_still_stands_in_the_windows(regressor):
    """In a table it is no sample, but the samples after it look back at it."""
    weights = np.ones(80)
    weights[40] = 0.0
    X_other, y_other = X.copy(), Y.copy()
    y_other[40] = 55.0
    first = regressor.make().fit(X, Y, sample_weight=weights)
    assert first.loss_curve_ == regressor.make().fit(X, y_other, sample_weight=weights).loss_curve_
    X_other[40] = 1.0
    assert first.loss_curve_ != regressor.make().fit(X_other, Y, sample_weight=weights).loss_curve_


@pytest.mark.parametrize("exponent", [-200, -1, 1, 200])
def test_only_ratios_of_weights_count(regressor, exponent):
    """Bit for bit for powers of two, however far outside float32."""
    weights = np.linspace(0.2, 3.0, 80)
    found = regressor.make().fit(X, Y, sample_weight=np.ldexp(weights, exponent))
    assert found.loss_curve_ == regressor.make().fit(X, Y, sample_weight=weights).loss_curve_


def test_equal_weights_are_none(regressor):
    plain = fit(regressor, Y).loss_curve_
    for weights in (1.0, 4, np.full(80, 0.25), [1] * 80):
        assert regressor.make().fit(X, Y, sample_weight=weights).loss_curve_ == plain


# Score and learning


def test_score_is_r2(regressor):
    weights, groups = np.linspace(0.1, 1.0, 80), np.repeat([1, 0], 40)
    model = fit(regressor, Y)
    assert model.score(X, Y) == r2_score(Y, model.predict(X))
    predicted = model.predict(X, groups=groups)
    assert model.score(X, Y, weights, groups=groups) == r2_score(Y, predicted, sample_weight=weights)
    several = fit(regressor, np.column_stack([Y, -Y]))
    assert several.score(X, np.column_stack([Y, -Y])) == r2_score(np.column_stack([Y, -Y]), several.predict(X))


def test_learns_what_was_two_rows_ago(regressor):
    """A demonstration: no model of single rows can score above zero here."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 2))
    y = np.r_[0, 0, table[:-2, 0]]
    model = regressor.make(hidden_size=16, max_iter=40, learning_rate_init=0.01, early_stopping=False)
    assert model.fit(table[:300], y[:300]).score(table[300:], y[300:], context=table[:300]) > 0.8
    model.set_params(sequence_length=2).fit(table[:300], y[:300])
    assert model.score(table[300:], y[300:], context=table[:300]) < 0.1


def test_tags(regressor):
    tags = regressor.make().__sklearn_tags__()
    assert tags.target_tags.multi_output
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.allow_nan
    assert not tags.input_tags.sparse
