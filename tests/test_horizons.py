"""Targets of a horizon, with a decoder and without: shapes, scores, early stopping, bands."""

import numpy as np
import pytest
from decoder_case import BEHIND, HORIZON, SMALL, N, X, Y, each_decoder, make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklstm import DeepRNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


@pytest.mark.parametrize("decoder", ["direct", "recurrent", "parallel"])
def test_horizons_of_several_targets(decoder):
    Y3 = np.stack([Y, 100.0 - 3 * Y], axis=-1)
    ahead = {} if decoder == "direct" else {"future": BEHIND}
    options = {} if decoder == "direct" else {"known_columns": [2]}
    model = DeepRNNRegressor(**SMALL, decoder=decoder, **options).fit(X[:N], Y3, **ahead)
    answer = model.predict(X[:N], **ahead)
    assert answer.shape == Y3.shape
    assert model.target_mean_.shape == model.target_scale_.shape == (HORIZON, 2)
    by_output = model.score(X[:N], Y3, **ahead)
    squares = ((Y3 - answer) ** 2).sum(axis=0) / ((Y3 - Y3.mean(axis=0)) ** 2).sum(axis=0)
    assert by_output == pytest.approx(1 - squares.mean())
    weights = np.random.default_rng(0).uniform(size=Y3.shape) * (np.arange(N) % 3 > 0)[:, np.newaxis, np.newaxis]
    weighted = DeepRNNRegressor(**SMALL, decoder=decoder, **options).fit(X[:N], Y3, sample_weight=weights, **ahead)
    assert np.isfinite(weighted.score(X[:N], Y3, sample_weight=weights, **ahead))
    steps = model.stream()
    row = steps.step(X[0], future=X[1:6]) if ahead else steps.step(X[0])
    assert_array_equal(row, answer[0])
    quantiles = DeepRNNRegressor(**SMALL, decoder=decoder, **options, loss="quantile", quantile=[0.2, 0.5, 0.8])
    found = quantiles.fit(X[:N], Y3, **ahead).predict_quantiles(X[:N], **ahead)
    assert found.shape == (*Y3.shape, 3)
    assert (np.diff(found, axis=-1) >= 0).all()
    assert_array_equal(found[..., 1], quantiles.predict(X[:N], **ahead))
    with pytest.raises(ValueError, match=r"y has shape \(95, 5\), but the predictions for X have shape \(95, 5, 2\)"):
        model.score(X[:N], Y, **ahead)


@pytest.mark.parametrize("decoder", ["direct", "recurrent", "parallel"])
def test_partial_fits_of_several_targets(decoder):
    """Scales follow the targets; beside a decoder only where they had none."""
    Y3 = np.stack([Y, 100.0 - 3 * Y], axis=-1)
    first = Y3.copy()
    first[..., 0] = 7.0
    model = DeepRNNRegressor(**SMALL, decoder=decoder).partial_fit(X[:N], first)
    assert_array_equal(model.target_scale_[:, 0], 0)
    kept = model.target_scale_[:, 1]
    model.partial_fit(X[:N], Y3)
    assert (model.target_scale_[:, 0] > 0).all()
    assert_array_equal(model.target_scale_[:, 1], kept)
    assert (np.ptp(model.predict(X[:N]), axis=0) > 0).all()
    model.partial_fit(X[:N], 100 * Y3)
    assert (model.target_scale_[:, 1] > 10 * kept).all() == (decoder == "direct")
    if decoder != "direct":
        with pytest.warns(
            UserWarning, match=r"deviation is .* now, but target_scale_ stays .*, since one head of a dec"
        ):
            model.partial_fit(X[:N], 1e5 * Y3)
        far = np.where((np.arange(N) == 3)[:, np.newaxis, np.newaxis], 1e30, Y3)
        with (
            pytest.warns(UserWarning, match="target_scale_ stays"),
            pytest.raises(ValueError, match=r"y holds 1e\+30 in row 3, which is .* scales from the mean"),
        ):
            model.partial_fit(X[:N], far)


def test_a_horizon_is_two_or_three_axes():
    with pytest.raises(
        ValueError, match=r"runs over a horizon: y has shape \(95,\), expected \(n_samples, horizon\) or"
    ):
        make().fit(X[:N], Y[:, 0], future=BEHIND)
    with pytest.raises(ValueError, match=r"y has 4 dimensions, expected 1 or 2 .*, or 3 \(n_samples, horizon, n_targ"):
        make().fit(X[:N], Y[..., np.newaxis, np.newaxis], future=BEHIND)
    model = make(warm_start=True).fit(X[:N], Y, future=BEHIND)
    with pytest.raises(ValueError, match=r"decoder='parallel', not decoder='recurrent'\. .*, or set decoder back\."):
        clone(model).fit(X[:N], Y, future=BEHIND).set_params(decoder="parallel").fit(X[:N], Y, future=BEHIND)
    with pytest.raises(ValueError, match=r"decoder='direct', not decoder='recurrent'\. .*, or set decoder back\."):
        clone(model).set_params(known_columns=None).fit(X[:N], Y).set_params(decoder="direct").fit(X[:N], Y)
    with pytest.raises(ValueError, match=r"y has shape \(95, 4\), but the targets of this model have shape"):
        model.fit(X[:N], Y[:, :4], future=BEHIND)


@each_decoder
@pytest.mark.parametrize("columns", [0, [1, 0]])
def test_targets_that_are_the_future_of_columns(decoder, columns):
    Y3 = np.stack([np.lib.stride_tricks.sliding_window_view(X[1:, k], HORIZON) for k in (1, 0)], axis=-1)
    model = make(decoder, window_norm="last", target_column=columns, dtype="float64").fit(X[:N], Y3, future=BEHIND)
    moved = X + [0.0, 50.0, 0.0]
    found = model.predict(moved[:N], future=moved[N:]) - model.predict(X[:N], future=BEHIND)
    shift = 50.0 * (np.broadcast_to(columns, 2) == 1)
    assert_allclose(found, np.broadcast_to(shift, Y3.shape), atol=1e-9)


def test_early_stopping_leaves_the_horizon_out():
    """No row is a target of both parts; before that no window of the validation part holds a training row."""
    for length in (3, 9):
        model = make(early_stopping=True, sequence_length=length, max_iter=1, known_columns=None).fit(X[:N], Y)
        # 10 of 95 rows are set aside, the first of them is row 85.
        n_first = 85 - max(HORIZON, length) + 1
        assert_allclose(model.input_mean_, X[:n_first].mean(axis=0))
        assert_allclose(model.target_mean_, Y[:n_first].mean(axis=0))
    # Where the horizon is known from the layout of y, it counts without a decoder as well.
    direct = DeepRNNRegressor(**{**SMALL, "sequence_length": 3}, early_stopping=True).fit(X[:N], Y[..., np.newaxis])
    assert_allclose(direct.target_mean_[:, 0], Y[:81].mean(axis=0))


@each_decoder
def test_a_validation_part_of_its_own(decoder):
    model = make(decoder).fit(X[:60], Y[:60], X_val=X[66:N], y_val=Y[66:], future=X[60:65], future_val=BEHIND)
    assert len(model.validation_scores_) == 2
    with pytest.raises(ValueError, match="but only 4 come after row 90 of X_val"):
        make(decoder).fit(X[:60], Y[:60], X_val=X[:N], y_val=Y, future=X[60:65])
    with pytest.raises(ValueError, match="future_val needs X_val and y_val"):
        make(decoder).fit(X[:60], Y[:60], future=X[60:65], future_val=BEHIND)


@each_decoder
@pytest.mark.parametrize("n_axes", [2, 3])
def test_bands_are_calibrated(decoder, n_axes):
    y = Y if n_axes == 2 else np.stack([Y, 100.0 - 3 * Y], axis=-1)
    model = make(decoder, loss="quantile", quantile=[0.1, 0.5, 0.9], conformal=True, early_stopping=True)
    model.set_params(validation_fraction=0.3).fit(X[:N], y, future=BEHIND)
    assert model.conformal_correction_.shape == (*y.shape[1:], 3)
    before = model.predict_quantiles(X[:N], future=BEHIND)
    model.calibrate(X[50:N], y[50:], context=X[:50], future=BEHIND)
    after = model.predict_quantiles(X[:N], future=BEHIND)
    assert before.shape == after.shape == (*y.shape, 3)
    assert (before != after).any()


@each_decoder
@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize("options", [{}, {"target_column": 0}, {"target_column": 0, "window_norm": "last"}], ids=str)
@pytest.mark.filterwarnings("ignore:group_scaling takes target")
def test_groups_in_units_of_their_own(decoder, n_axes, options):
    y = Y if n_axes == 2 else np.stack([Y, 0.5 * Y], axis=-1)
    labels = np.repeat(["a", "b"], [45, N - 45])
    rows = {"future": np.concatenate([X[45:50], BEHIND]), "future_groups": np.repeat(["a", "b"], HORIZON)}
    model = make(decoder, group_scaling="standard", **options).fit(X[:N], y, groups=labels, **rows)
    answer = model.predict(X[:N], groups=labels, **rows)
    steps = model.stream(group="b")
    for t in range(45, 50):
        assert_array_equal(steps.step(X[t], future=X[t + 1 :]), answer[t])
    # In another unit, a series is forecast alike.
    unit = np.where(labels == "a", 100.0, 1.0)[:, np.newaxis]
    columns = [100.0, 1.0, 1.0] if options else [1.0, 1.0, 1.0]
    table = np.where(labels[:, np.newaxis] == "a", X[:N] * columns, X[:N])
    scaled = (y.reshape(N, -1) * unit).reshape(y.shape)
    other = make(decoder, group_scaling="standard", **options).fit(table, scaled, groups=labels, **rows)
    expected = (answer.reshape(N, -1) * unit).reshape(y.shape)
    assert_allclose(other.predict(table, groups=labels, **rows), expected, rtol=1e-2, atol=1e-3)


def test_targets_of_steps_have_no_horizon():
    with pytest.raises(ValueError, match="targets='sequence' cannot be combined with decoder='recurrent'"):
        make(targets="sequence").fit([X[:20], X[20:50]], [Y[:20], Y[20:50]])


def test_scoring():
    for y in (Y, np.stack([Y, Y], axis=-1)):
        model = make(early_stopping=True, scoring=lambda model, X, y: -np.abs(model.predict(X) - y).mean())
        assert len(model.fit(X[:N], y, future=BEHIND).validation_scores_) == 2
