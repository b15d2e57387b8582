"""Integrated gradients: they sum to the prediction less that of the baseline, and go where the target comes from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm.inspection import input_gradients, integrated_gradients

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(5)
N, WINDOW = 60, 5
X = RNG.normal(size=(N, 3)) * [1.0, 10.0, 0.1] + [5.0, 0.0, 1.0]
Y = X[:, 0] + np.roll(X[:, 1], 2)
GROUPS = np.repeat(["a", "b"], N // 2)
SETTINGS = {"hidden_size": 4, "sequence_length": WINDOW, "dtype": "float64", "max_iter": 5, "random_state": 0}
SETTINGS |= {"learning_rate_init": 0.02, "early_stopping": False}


def fitted(kind=DeepRNNRegressor, y=Y, groups=None, **options):
    return kind(**(SETTINGS | options)).fit(X, y, groups=groups)


CASES = {
    "plain": {},
    "layers": {"n_layers": 2, "bidirectional": True, "norm": "layer"},
    "standard": {"window_norm": "standard", "target_column": 1, "linear_skip": 3},
    "attention": {"attention_heads": 2, "pooling": "attention", "patch_length": 2},
    "seeds": {"n_seeds": 2, "cell": "gru"},
    "one output of several": {"y": np.stack([Y, -Y], axis=1)},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("tol", [1e-3, 1e-8])
def test_completeness(options, tol):
    """Against what `predict` says of the window and of the baseline, which share no code with the attributions."""
    model = fitted(**options)
    result = integrated_gradients(model, X, tol=tol, max_points=512)
    predictions = model.predict(X)
    assert_allclose(result.predictions, predictions, rtol=1e-9, atol=1e-9)
    rows = np.tile(model.input_mean_, (WINDOW, 1))
    for row in (0, 2, N - 1):
        at_baseline = model.predict(rows[: min(row + 1, WINDOW)])[-1]
        assert_allclose(result.baseline_predictions[row], at_baseline, rtol=1e-9, atol=1e-9)
        attributions = result.attributions[row]
        size = np.abs(attributions).sum(axis=(-2, -1))
        difference = attributions.sum(axis=(-2, -1)) - (predictions[row] - at_baseline)
        assert (np.abs(difference) <= tol * size + 1e-9).all()
    sizes = np.abs(result.attributions).sum(axis=(-2, -1))
    assert (np.abs(result.errors) <= tol * sizes).all()


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_completeness_of_classes(method):
    labels = np.digitize(Y, np.quantile(Y, [0.3, 0.6]))
    model = fitted(DeepRNNClassifier, labels)
    result = integrated_gradients(model, X, response_method=method, tol=1e-7)
    assert result.attributions.shape == (N, 3, WINDOW, 3)
    assert_allclose(result.predictions, getattr(model, method)(X), rtol=1e-9)
    assert_allclose(result.attributions.sum(axis=(2, 3)), result.predictions - result.baseline_predictions, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"target_column": 1}], ids=str)
def test_completeness_in_units_of_groups(options):
    model = fitted(groups=GROUPS, group_scaling="standard", **options)
    result = integrated_gradients(model, X, groups=GROUPS, tol=1e-7)
    assert_allclose(result.predictions, model.predict(X, groups=GROUPS), rtol=1e-9, atol=1e-9)
    # The same with the default written out: where the network reads 0 in each group.
    for group in "ab":
        k = model.group_labels_.tolist().index(group)
        row = model.input_mean_.copy()
        if options:
            row[1] = model.group_means_[k] + row[1] * model.group_scales_[k]
        own = integrated_gradients(model, X[group == GROUPS], groups=[group] * 30, baseline=row, tol=1e-7)
        assert_allclose(own.attributions, result.attributions[group == GROUPS], rtol=1e-9, atol=1e-12)
        other = row + [1.0, 5.0, 0.05]
        own = integrated_gradients(model, X[group == GROUPS], groups=[group] * 30, baseline=other, samples=[20])
        expected = model.predict(np.tile(other, (WINDOW, 1)), groups=[group] * WINDOW)[-1]
        assert_allclose(own.baseline_predictions[0], expected, rtol=1e-9)


def test_a_baseline_of_rows_and_one_of_a_row():
    model = fitted()
    one = integrated_gradients(model, X, baseline=[4.0, 1.0, 0.9])
    rows = integrated_gradients(model, X, baseline=np.tile([4.0, 1.0, 0.9], (WINDOW + 3, 1)))
    assert_array_equal(one.attributions, rows.attributions)
    itself = integrated_gradients(model, X, baseline=X[10 - WINDOW + 1 : 11], samples=[10])
    assert_array_equal(itself.attributions, np.zeros((1, WINDOW, 3)))
    assert_array_equal(itself.errors, [0.0])


def test_rows_before_the_first_have_no_part():
    result = integrated_gradients(fitted(), X)
    for row in range(WINDOW):
        assert (result.attributions[row, : WINDOW - 1 - row] == 0).all()
        assert (result.attributions[row, WINDOW - 1 - row :] != 0).any()


def test_a_linear_model_is_attributed_exactly():
    """The slopes of the linear part alone times the distance from the baseline; the smallest rule is exact."""
    model = fitted(linear_skip=3)
    model.parameters_ = {
        name: np.zeros_like(array) if name == "weight_out" else array for name, array in model.parameters_.items()
    }
    result = integrated_gradients(model, X)
    slopes = input_gradients(model, X)
    assert_allclose(slopes[10], slopes[-1], rtol=1e-12)  # the same everywhere
    windows = np.lib.stride_tricks.sliding_window_view(X, WINDOW, axis=0).transpose(0, 2, 1)
    assert_allclose(result.attributions[WINDOW - 1 :], slopes[WINDOW - 1 :] * (windows - model.input_mean_), atol=1e-10)
    assert (result.n_points == 8).all()


def test_attributions_go_where_the_target_comes_from():
    table = np.random.default_rng(0).normal(size=(600, 3))
    y = np.roll(table[:, 1], 2)
    model = DeepRNNRegressor(8, sequence_length=4, random_state=0, learning_rate_init=0.01).fit(table, y)
    result = integrated_gradients(model, table[50:100])
    sizes = np.abs(result.attributions[3:]).mean(axis=0)
    assert np.unravel_index(sizes.argmax(), sizes.shape) == (1, 1)  # two rows before the last of four
    assert sizes[1, 1] > 0.5 * sizes.sum()
    assert np.abs(result.errors).max() < 1e-3


def test_too_few_points_are_told_of():
    model = fitted(max_iter=30, learning_rate_init=0.1)
    with pytest.warns(UserWarning, match=r"do not sum to their prediction within tol=1e-13 after 8 points"):
        result = integrated_gradients(model, X, tol=1e-13, max_points=8)
    assert (result.n_points == 8).all()


def test_a_sample_alone_takes_as_many_points_as_among_others():
    model = fitted(max_iter=30, learning_rate_init=0.1)
    together = integrated_gradients(model, X, tol=1e-9)
    assert len(np.unique(together.n_points)) > 1
    for row in (7, 30, 59):
        alone = integrated_gradients(model, X, tol=1e-9, samples=[row])
        assert alone.n_points[0] == together.n_points[row]
        assert_allclose(alone.attributions[0], together.attributions[row], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": [1.0, 2.0]}, r"baseline has shape \(2,\), expected \(3,\) or \(n_rows, 3\)"),
        ({"baseline": np.zeros((2, 3))}, "baseline has 2 rows, but the longest window has 5"),
        ({"baseline": [np.nan, 0, 0]}, "baseline holds NaN or infinity"),
        ({"tol": 0}, "The 'tol' parameter of integrated_gradients must be a float in the range"),
        ({"max_points": 4}, "The 'max_points' parameter of integrated_gradients must be an int in the range"),
    ],
    ids=str,
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(fitted(), X, **options)
