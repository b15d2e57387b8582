"""Two-dimensional `sample_weight`: a target that is missing in one output does not lose the row."""

import numpy as np
import pandas as pd
import pytest
from estimator_case import parameters_equal

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

RNG = np.random.default_rng(11)
X = RNG.normal(size=(300, 3))
Y = np.column_stack([X[:, 0] + np.roll(X[:, 1], 1), 50.0 + 9.0 * X[:, 2]])
KNOWN = RNG.uniform(size=(300, 2)) < 0.6
WEIGHTS = np.where(KNOWN, RNG.uniform(0.2, 2.0, size=(300, 2)), 0.0)
SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 3, "n_jobs": 1, "random_state": 0}


def make(**options):
    return DeepLSTMRegressor(**{**SMALL, **options})


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "log_cosh", "quantile"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_is_missing_may_be_anything(loss, early_stopping):
    options = {"loss": loss, "early_stopping": early_stopping, "quantile": [0.2, 0.5] if loss == "quantile" else 0.5}
    models = [make(**options).fit(X, y, sample_weight=WEIGHTS) for y in (Y, np.where(KNOWN, Y, np.nan))]
    assert parameters_equal(*models)
    assert models[0].validation_scores_ == models[1].validation_scores_
    present = np.flatnonzero(KNOWN.any(axis=1))
    end = present[-int(np.ceil(len(present) / 10))] - 4 if early_stopping else 300
    y, w = Y[:end], WEIGHTS[:end]
    mean = np.average(y, axis=0, weights=w)
    np.testing.assert_allclose(models[0].target_mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(
        models[0].target_scale_, np.sqrt(np.average((y - mean) ** 2, axis=0, weights=w)), rtol=1e-12
    )


def test_a_weight_for_each_step_of_each_target():
    y, weights = np.stack([Y, Y + X[:, :1], -Y], axis=1), np.stack([WEIGHTS, WEIGHTS[::-1], WEIGHTS], axis=1)
    model = make().fit(X, y, sample_weight=weights)
    assert model.predict(X).shape == (300, 3, 2)
    assert parameters_equal(make().fit(X, y.reshape(300, 6), sample_weight=weights.reshape(300, 6)), model)


def test_columns_of_x_count_by_the_mean_weight():
    sequences = RNG.normal(size=(300, 4, 2))
    model = make(early_stopping=False).fit(sequences, Y, sample_weight=WEIGHTS)
    expected = np.average(sequences.mean(axis=1), axis=0, weights=WEIGHTS.mean(axis=1))
    np.testing.assert_allclose(model.input_mean_, expected, rtol=1e-10)


def test_the_loss_is_that_of_the_formula():
    frozen = {"learning_rate_init": 1e-300, "dtype": "float64", "max_iter": 1, "early_stopping": False}
    model = make(**frozen).fit(X, np.where(KNOWN, Y, np.inf), sample_weight=WEIGHTS)
    errors = ((model.predict(X) - Y) / model.target_scale_) ** 2 / 2
    assert model.loss_ == pytest.approx((WEIGHTS * errors).sum() / WEIGHTS.sum(), rel=1e-10)


def test_rows_without_any_weight_are_not_there():
    weights = WEIGHTS.copy()
    weights[::2] = 0.0
    model = make(early_stopping=True).fit(X, Y, sample_weight=weights)
    other = Y.copy()
    other[::2] = np.nan
    assert parameters_equal(model, make(early_stopping=True).fit(X, other, sample_weight=weights))


def test_equal_weights_of_all_outputs_are_those_of_the_rows():
    rows = RNG.uniform(0.1, 1.0, size=300)
    first = make(dtype="float64").fit(X, Y, sample_weight=rows)
    second = make(dtype="float64").fit(X, Y, sample_weight=np.column_stack([rows, rows]))
    np.testing.assert_allclose(first.predict(X), second.predict(X), rtol=1e-9)


def test_rows_with_one_target_are_used():
    """Each output known in a half of the rows, never both: all rows of one weight for both would be lost."""
    known = np.column_stack([np.arange(300) % 2 == 0, np.arange(300) % 2 == 1]).astype(float)
    model = make(max_iter=60, learning_rate_init=0.02).fit(X, np.where(known > 0, Y, np.nan), sample_weight=known)
    error = ((model.predict(X) - Y) ** 2).mean(axis=0) / Y.var(axis=0)
    assert (error < 0.2).all()


def test_validation_part_frames_and_partial_fit():
    part = {"X_val": X, "y_val": np.where(KNOWN, Y, np.nan), "sample_weight_val": pd.DataFrame(WEIGHTS)}
    model = make().fit(X, Y, **part)
    errors, null = (
        ((p - Y) / model.target_scale_) ** 2 for p in (make(max_iter=1).fit(X, Y, **part).predict(X), Y.mean(axis=0))
    )
    expected = 1 - (WEIGHTS * errors).sum() / (WEIGHTS * null).sum()
    assert model.validation_scores_[0] == pytest.approx(expected, rel=1e-4)
    whole = make(early_stopping=False, max_iter=1).fit(X, Y, sample_weight=WEIGHTS)
    parts = make().partial_fit(X, np.where(KNOWN, Y, np.nan), sample_weight=WEIGHTS)
    assert parameters_equal(whole, parts)
    # A block may say nothing about an output.
    assert np.isfinite(parts.partial_fit(X, Y, sample_weight=np.tile([0.0, 1.0], (300, 1))).predict(X)).all()


def test_series():
    options = {"training": "stateful", "shuffle": False, "bptt_steps": 16}
    models = [make(**options).fit(X, y, sample_weight=WEIGHTS) for y in (Y, np.where(KNOWN, Y, np.nan))]
    assert parameters_equal(*models)


def test_a_column_of_targets():
    weights = WEIGHTS[:, :1]
    two, one = make().fit(X, Y[:, :1], sample_weight=weights), make().fit(X, Y[:, 0], sample_weight=weights[:, 0])
    np.testing.assert_allclose(two.predict(X)[:, 0], one.predict(X), rtol=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            np.ones((300, 3)),
            r"sample_weight has shape \(300, 3\), expected \(300,\) or \(300, 2\): one weight per sample, or for",
        ),
        (np.ones((299, 2)), r"sample_weight has shape \(299, 2\), expected \(300,\)"),
        (np.ones((300, 2, 1)), r"sample_weight has shape \(300, 2, 1\), expected \(300,\)"),
        (np.tile([1.0, 0.0], (300, 1)), "no sample of the training part has a positive weight for output 1"),
        (np.where(np.arange(600).reshape(300, 2) == 77, -1.0, 1.0), "negative values, the first at position 38"),
        (np.zeros((300, 2)), "sample_weight is zero for every sample"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, Y, sample_weight=weights)


def test_an_output_known_in_the_last_rows_only():
    weights = np.ones((300, 2))
    weights[:280, 0] = 0.0
    message = (
        "no sample of the training part has a positive weight for output 0 .* If only the last rows have one, set early"
    )
    with pytest.raises(ValueError, match=message):
        make().fit(X, Y, sample_weight=weights)
    make(early_stopping=False).fit(X, Y, sample_weight=weights)


def test_classes_have_one_weight_for_each_sample():
    with pytest.raises(
        ValueError, match=r"sample_weight has shape \(300, 2\), expected \(300,\): one weight per sample"
    ):
        DeepLSTMClassifier(**SMALL).fit(X, X[:, 0] > 0, sample_weight=WEIGHTS)
