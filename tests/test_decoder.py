"""`decoder`: a horizon is predicted by a recurrence that goes on over it, and reads what is known of the rows ahead."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from decoder_case import (
    BEHIND,
    HORIZON,
    LENGTH,
    OPTIONS,
    N,
    X,
    Y,
    ahead_of_rows,
    each_decoder,
    each_option,
    fitted,
    make,
    series,
)
from estimator_case import flat, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import table_windows
from reference.network import options_forward

from sklstm import DeepRNNRegressor, quantize
from sklstm.cells import LSTM
from sklstm.compression import distill, factorize, prune

pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


@each_decoder
@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[1], OPTIONS[2], OPTIONS[3]], ids=str)
def test_predictions_are_those_of_the_equations(decoder, options):
    model = fitted(decoder, dtype="float64", early_stopping=False, **options)
    shape = SimpleNamespace(**model._architecture, n_turns=-(-HORIZON // model.patch_length))
    windows = table_windows(X[:N], LENGTH)
    z = options_forward(
        shape, model.parameters_, windows, None, None, model.input_mean_, model.input_scale_, ahead_of_rows(range(N))
    ).z
    expected = model.target_mean_ + model.target_scale_ * z
    if model.window_norm:
        expected = X[:N, :1] + model.input_scale_[0] * expected
    assert_allclose(model.predict(X[:N], future=BEHIND), expected, rtol=1e-9)


@each_decoder
def test_what_is_known_ahead_is_used(decoder):
    """The first column of the rows ahead has twice the last one of the same row in it."""
    X, Y = series(900, seed=1)
    n = len(Y)
    model = DeepRNNRegressor(
        16, decoder=decoder, known_columns=[2], sequence_length=8, random_state=0, n_jobs=1, max_iter=40,
        learning_rate_init=0.01, cell="gru",
    )  # fmt: skip
    model.fit(X[:700], Y[:700], future=X[700:705])
    with_it = model.score(X[700:n], Y[700:], context=X[:700], future=X[n:])
    blind = DeepRNNRegressor(16, sequence_length=8, random_state=0, n_jobs=1, max_iter=40, learning_rate_init=0.01)
    without = blind.fit(X[:700], Y[:700]).score(X[700:n], Y[700:], context=X[:700])
    assert with_it > 0.6 > without + 0.3


def test_without_known_columns_nothing_ahead_is_needed():
    for decoder in ("recurrent", "parallel"):
        model = make(decoder, known_columns=None).fit(X[:N], Y)
        assert model.predict(X).shape == (len(X), HORIZON)
        with pytest.raises(ValueError, match="future needs known_columns, the columns that are read"):
            model.predict(X, future=BEHIND)


def test_the_two_decoders_differ():
    one, other = (fitted(decoder) for decoder in ("recurrent", "parallel"))
    assert {name: a.shape for name, a in one.parameters_.items()} == {
        name: a.shape for name, a in other.parameters_.items()
    }
    assert one.parameters_["bias_decoder_l0"].shape == (5, 16)
    assert np.abs(flat(one) - flat(other)).max() > 1e-5


@each_decoder
@each_option
def test_nothing_else_of_later_rows_is_read(decoder, options):
    model = fitted(decoder, **options)
    expected = model.predict(X[:N], future=BEHIND)
    # Of `future` the other columns may be missing, also in fit.
    hidden = np.full_like(BEHIND, np.nan)
    hidden[:, 2] = BEHIND[:, 2]
    assert_array_equal(model.predict(X[:N], future=hidden), expected)
    again = make(decoder, **options).fit(X[:N], Y, future=hidden)
    assert parameters_equal(model, again)
    # Of later rows of X too; beyond the horizon nothing counts.
    row = 40
    changed = X.copy()
    changed[row + 1 :, :2] += 7.0
    changed[row + 1 + HORIZON :, 2] -= 3.0
    assert_array_equal(model.predict(changed[:N], future=changed[N:])[: row + 1], expected[: row + 1])
    changed[row + HORIZON, 2] += 1.0
    assert (model.predict(changed[:N], future=changed[N:])[row] != expected[row]).any()


@each_decoder
def test_rows_ahead_come_from_the_table_or_from_future(decoder):
    model = fitted(decoder)
    expected = model.predict(X[:N], future=BEHIND)
    for n in (N - 1, N - 4, 30):
        assert_array_equal(model.predict(X[:n], future=X[n : n + HORIZON]), expected[:n])
    # More rows than are needed do no harm.
    assert_array_equal(model.predict(X[:30], future=X[30:]), expected[:30])


@each_decoder
@each_option
def test_threads_pickles_context_and_rows_alone(decoder, options):
    one, two = (make(decoder, **options, n_jobs=n, batch_size=40).fit(X[:N], Y, future=BEHIND) for n in (1, 2))
    assert parameters_equal(one, two)
    expected = one.predict(X[:N], future=BEHIND)
    assert_array_equal(two.predict(X[:N], future=BEHIND), expected)
    assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X[:N], future=BEHIND), expected)
    assert_array_equal(one.predict(X[35:41], future=X[41:46])[-1], expected[40])
    assert_array_equal(one.predict(X[60:N], context=X[:60], future=BEHIND), expected[60:])
    assert one.transform(X).shape == (len(X), one._n_features_out)


@each_decoder
def test_partial_fits_are_epochs(decoder):
    whole = make(decoder, early_stopping=False, max_iter=2).fit(X[:N], Y, future=BEHIND)
    parts = make(decoder)
    for _ in range(2):
        parts.partial_fit(X[:N], Y, future=BEHIND)
    assert parameters_equal(whole, parts)
    # What targets are measured by is that of the first call: one head answers for all turns.
    before = parts.target_scale_
    parts.partial_fit(X[:N], 100 * Y, future=BEHIND)
    assert_array_equal(parts.target_scale_, before)


@each_decoder
def test_the_linear_part_is_a_ridge_regression_of_the_whole_horizon(decoder):
    rng = np.random.default_rng(0)
    n, series = 600, np.zeros(600)
    for t in range(2, n):
        series[t] = 1.2 * series[t - 1] - 0.5 * series[t - 2] + 0.3 * rng.normal() + 1.0
    Z = np.lib.stride_tricks.sliding_window_view(series[1:], 4)
    table = series[: len(Z), np.newaxis]
    model = DeepRNNRegressor(8, decoder=decoder, linear_skip=4, sequence_length=8, max_iter=3, random_state=0, n_jobs=1)
    model.fit(table, Z)
    assert model.parameters_["bias_skip"].shape == (4,)
    assert model.parameters_["bias_out"].shape == (1,)
    assert model.skip_score_ > 0.2
    assert model.score(table, Z) > 0.25


def test_compression():
    model = fitted("recurrent", hidden_size=8, max_iter=5)
    with pytest.raises(ValueError, match="quantize cannot be combined with decoder='recurrent'"):
        quantize(model, X)
    with pytest.raises(ValueError, match="a student with decoder='recurrent' cannot be taught"):
        distill(model, make(), X[:N], Y)
    expected = model.predict(X[:N], future=BEHIND)
    assert np.isfinite(prune(model, 0.3).predict(X[:N], future=BEHIND)).all()
    assert_allclose(prune(model, 0.0).predict(X[:N], future=BEHIND), expected)
    lowest = [np.abs(factorize(model, k).predict(X[:N], future=BEHIND) - expected).mean() for k in (1, 3)]
    assert lowest[1] < lowest[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"bidirectional": True},
            "bidirectional=True cannot be combined with decoder='recurrent': the backward direct",
        ),
        ({"attention_heads": 2}, "attention_heads=2 cannot be combined with decoder='recurrent': the decoder goes on"),
        ({"pooling": "mean"}, "pooling='mean' cannot be combined with decoder='recurrent': the decoder goes on from"),
        ({"training": "stateful", "shuffle": False}, "training='stateful' cannot be combined with decoder='recurrent'"),
        ({"cell": LSTM(layer_norm=True)}, "decoder='recurrent' cannot be combined with cell__layer_norm=True"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_does_not_go_with_a_decoder(options, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(make(**options), method)(X[:N], Y, future=BEHIND)


def test_another_decoder_is_another_network():
    model = make(warm_start=True).fit(X[:N], Y, future=BEHIND).set_params(decoder="parallel")
    with pytest.raises(ValueError, match="decoder='parallel', not decoder='recurrent'"):
        model.fit(X[:N], Y, future=BEHIND)
