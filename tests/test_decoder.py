"""`decoder`: a horizon is predicted by a recurrence that goes on over it, and reads what is known of the rows ahead."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from estimator_case import flat, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import table_windows
from reference.network import options_forward
from sklearn import set_config
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor, quantize
from sklstm.cells import LSTM
from sklstm.compression import distill, factorize, prune
from sklstm.exceptions import TimeOrderWarning
from sklstm.streaming import stream

HORIZON, LENGTH = 5, 6
SMALL = {"hidden_size": 4, "sequence_length": LENGTH, "max_iter": 2, "random_state": 0, "n_jobs": 1}
pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")
each_decoder = pytest.mark.parametrize("decoder", ["recurrent", "parallel"])
OPTIONS = [
    {},
    {"patch_length": 2, "hidden_size": [4, 6]},
    {"window_norm": "last", "target_column": 0, "patch_length": 3},
    {"linear_skip": 3, "cell": "gru"},
    {"n_layers": 2, "dropout": 0.2, "recurrent_dropout": 0.2, "zoneout": 0.1},
    {"cell": LSTM(projection_size=3, peephole=True), "residual": 1, "n_layers": 2, "layer_norm": "output"},
    {"cell": "mingru", "dtype": "bfloat16"},
    {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "n_seeds": 2},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def series(n=100, seed=0):
    """Three columns, the last of which is known ahead, and the values of the first in the rows ahead."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    X[:, 0] += np.roll(X[:, 0], 1) + 2 * X[:, 2]
    Y = np.lib.stride_tricks.sliding_window_view(X[1:, 0], HORIZON)
    return X, Y


X, Y = series()
N = len(Y)  # the rows that have all of their horizon in X
BEHIND = X[N:]


def make(decoder="recurrent", **parameters):
    return DeepRNNRegressor(**{**SMALL, "decoder": decoder, "known_columns": [2], **parameters})


def fitted(decoder="recurrent", **parameters):
    return make(decoder, **parameters).fit(X[:N], Y, future=BEHIND)


def ahead_of_rows(rows):
    """(len(rows), HORIZON, 1): what is known of the rows after each."""
    return np.array([X[row + 1 : row + 1 + HORIZON, 2:] for row in rows])


# The equations


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


# Only known columns of later rows are read


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


# Promises


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


def test_groups():
    labels = np.repeat(["b", "a", "c"], [40, 12, N - 52])
    after = {"b": X[40:45], "a": X[52:57], "c": BEHIND}
    future = np.concatenate([after[label] for label in "abc"])
    future_groups = np.repeat(["a", "b", "c"], HORIZON)
    model = make().fit(X[:N], Y, groups=labels, future=future, future_groups=future_groups)
    found = model.predict(X[:N], groups=labels, future=future, future_groups=future_groups)
    for label in "bac":
        alone = model.predict(
            X[:N][labels == label], groups=labels[labels == label], future=after[label], future_groups=[label] * HORIZON
        )
        assert_array_equal(found[labels == label], alone)
    rows = np.arange(46, 52)  # of "a", after its first rows
    answer = model.predict(
        X[rows], groups=labels[rows], context=X[40:46], context_groups=labels[40:46], future=future,
        future_groups=future_groups,
    )  # fmt: skip
    assert_array_equal(answer, found[rows])
    with pytest.raises(ValueError, match="future with groups needs future_groups too"):
        model.predict(X[:N], groups=labels, future=future)
    with pytest.raises(ValueError, match="future with future_groups needs groups too"):
        fitted().predict(X[:N], future=future, future_groups=future_groups)
    with pytest.raises(ValueError, match="future_groups needs future, the rows that these labels are of"):
        model.predict(X[:N], groups=labels, future_groups=future_groups)
    kept = future_groups != "a"
    with pytest.raises(ValueError, match="reads the known columns of the 5 rows after each row, but fewer come after"):
        model.predict(X[:N], groups=labels, future=future[kept], future_groups=future_groups[kept])


@each_decoder
def test_sets_of_sequences(decoder):
    rng = np.random.default_rng(3)
    array, after, y = rng.normal(size=(20, 7, 3)), rng.normal(size=(20, 6, 3)), rng.normal(size=(20, HORIZON))
    model = make(decoder).fit(array, y, future=after)
    expected = model.predict(array, future=after)
    assert_array_equal(model.predict(list(array), future=list(after[:, :HORIZON])), expected)
    assert_array_equal(model.predict(array[4:5], future=after[4:5])[0], expected[4])
    ragged = [one[k % 5 :] for k, one in enumerate(array)]
    other = make(decoder).fit(ragged, y, future=after)
    assert other.predict(ragged, future=after).shape == y.shape
    message = (
        r"reads the known columns of the 5 rows after each sequence, but none are known after sequence 0 of X\. Pass"
    )
    with pytest.raises(ValueError, match=message):
        model.predict(array)
    with pytest.raises(ValueError, match=r"but fewer come after sequence 2 of X"):
        model.predict(ragged, future=[*after[:2], after[2][:4], *after[3:]])
    with pytest.raises(ValueError, match="future holds the rows after 19 sequences, but X has 20"):
        model.predict(array, future=after[1:])
    with pytest.raises(ValueError, match="future must be a set of sequences like X"):
        model.predict(array, future=after[0])
    with pytest.raises(ValueError, match="future_groups goes with a 2-D table X"):
        model.predict(array, future=after, future_groups=np.arange(20))


# Horizons


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


def test_a_horizon_is_two_or_three_axes():
    with pytest.raises(
        ValueError, match=r"runs over a horizon: y has shape \(95,\), expected \(n_samples, horizon\) or"
    ):
        make().fit(X[:N], Y[:, 0], future=BEHIND)
    with pytest.raises(ValueError, match=r"y has 4 dimensions, expected 1 or 2 .*, or 3 \(n_samples, horizon, n_targ"):
        make().fit(X[:N], Y[..., np.newaxis, np.newaxis], future=BEHIND)
    model = make(warm_start=True).fit(X[:N], Y, future=BEHIND)
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


# Rows that are missing


@each_decoder
def test_missing_rows(decoder):
    message = (
        "the decoder reads the known columns of the 5 rows after each row, but only 4 come after row 90 of X. Pass the "
        r"rows that follow as future, of shape \(n_rows, n_features\) with the columns of X .*, or end X so many rows"
    )
    with pytest.raises(ValueError, match=message):
        make(decoder).fit(X[:N], Y)
    # Samples of weight 0 need nothing.
    weights = (np.arange(N) < N - HORIZON).astype(float)
    model = make(decoder).fit(X[:N], Y, sample_weight=weights)
    assert parameters_equal(model, make(decoder).fit(X[: N - HORIZON], Y[: N - HORIZON], future=X[N - HORIZON : N]))
    with pytest.raises(ValueError, match="but none come after row 0 of X"):
        model.predict(X[:1])
    with pytest.raises(ValueError, match="but fewer come after row 0 of X"):
        model.predict(X[:1], future=X[1:4])


@pytest.mark.parametrize(
    ("future", "message"),
    [
        (BEHIND[:, :2], "future has 2 features, but DeepRNNRegressor is expecting 3 features"),
        (np.where([0, 0, 1], np.nan, BEHIND), "Input future contains NaN"),
        (np.where([0, 0, 1], np.inf, BEHIND), "Input future contains infinity"),
        (np.where([0, 0, 1], 1e30, BEHIND), r"future holds 1e\+30 in column 2, too large for dtype='float32'"),
        (BEHIND[0], "future: Expected 2D array, got 1D array|Expected 2D array"),
    ],
)
def test_rows_ahead_that_cannot_be_read(future, message):
    model = fitted()
    with pytest.raises(ValueError, match=message):
        model.predict(X[:N], future=future)
    with pytest.raises(ValueError, match=message):
        make().fit(X[:N], Y, future=future)


def test_names_of_the_columns():
    frame = pd.DataFrame(X, columns=["load", "price", "hour"])
    model = make(known_columns=["hour"]).fit(frame[:N], Y, future=frame[N:])
    assert parameters_equal(model, fitted())
    expected = model.predict(frame[:N], future=frame[N:])
    assert_array_equal(expected, fitted().predict(X[:N], future=BEHIND))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[:N], future=frame[N:].rename(columns={"hour": "minute"}))


def test_rows_ahead_follow_in_time():
    index = pd.date_range("2024-01-01", periods=100, freq="h")
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=index)
    model = make(known_columns="c").fit(frame[:N], Y, future=frame[N:])
    assert model.predict(frame[20:30], context=frame[:20], future=frame[30:]).shape == (10, HORIZON)
    calls = (
        lambda future: model.predict(frame[20:30], context=frame[:20], future=future),
        lambda future: make(known_columns="c").fit(frame[:30], Y[:30], future=future),
    )
    for call in calls:
        with pytest.warns(TimeOrderWarning, match="future does not come after X: its first row is 2024-01-02 05:00:00"):
            call(frame[29:40])
        with pytest.warns(TimeOrderWarning, match="Rows are missing between X and future: .* A decoder would read the"):
            call(frame[40:50])
        with pytest.warns(TimeOrderWarning, match="future is not in time order"):
            call(frame.iloc[[30, 32, 31, 33, 34, 35]])
    labels = np.repeat(["a", "b"], 15)
    two = pd.concat([frame[:15], frame[:15]])
    grouped = make(known_columns="c").fit(two, Y[:30], groups=labels, future=pd.concat([frame[15:20]] * 2),
                                          future_groups=["a"] * 5 + ["b"] * 5)  # fmt: skip
    with pytest.warns(TimeOrderWarning, match="future does not come after X: its first row of group 'b' is"):
        grouped.predict(two, groups=labels, future=pd.concat([frame[15:20], frame[3:8]]),
                        future_groups=["a"] * 5 + ["b"] * 5)  # fmt: skip


# Streams


@each_decoder
@each_option
def test_streams_answer_as_predict_does(decoder, options):
    method = "predict_quantiles" if "quantile" in options else "predict"
    model = fitted(decoder, **options)
    expected = getattr(model, method)(X[:N], future=BEHIND)
    one, several = (model.stream(n_streams=n, response_method=method) for n in (None, 2))
    for t in range(9):
        saved = one.state
        ahead = X[t + 1 : t + 1 + HORIZON]
        assert_array_equal(one.step(X[t], future=ahead), expected[t])
        assert_array_equal(several.step(X[[t, 3]], future=np.stack([ahead, X[4:9]]))[0], expected[t])
    one.state = saved
    assert_array_equal(pickle.loads(pickle.dumps(one)).step(X[8], future=X[9:14]), expected[8])
    later = model.stream(context=X[:50], response_method=method)
    out = np.empty(expected.shape[1:])
    assert later.step(X[50], out=out, future=X[51:]) is out
    assert_array_equal(out, expected[50])
    features = model.stream(response_method="transform")
    assert_array_equal(features.step(X[0]), model.transform(X[:1])[0])


@each_decoder
def test_streams_with_carried_states(decoder):
    model = fitted(decoder, window_norm=None)
    carried = model.stream(window=False, context=X[:20])
    answer = carried.step(X[20], future=X[21:26])
    sequences = make(decoder).fit(X[np.newaxis, :N], Y[:1], future=BEHIND[np.newaxis])
    sequences.parameters_ = model.parameters_
    for name in ("input_mean_", "input_scale_", "target_mean_", "target_scale_", "_coding"):
        setattr(sequences, name, getattr(model, name))
    expected = sequences.predict(X[np.newaxis, :21], future=X[np.newaxis, 21:26])[0]
    assert_array_equal(answer, expected)


def test_streams_that_miss_their_rows():
    model = fitted()
    steps = model.stream()
    with pytest.raises(ValueError, match=r"future is missing: .* the 5 rows after x\. Pass .* of shape \(5, 3\)"):
        steps.step(X[0])
    with pytest.raises(ValueError, match="future has 4 rows, but the decoder reads 5 rows after x"):
        steps.step(X[0], future=X[1:5])
    with pytest.raises(ValueError, match="future holds rows for 1 streams, expected"):
        model.stream(n_streams=2).step(X[:2], future=X[np.newaxis, 1:6])
    with pytest.raises(ValueError, match="future is read by decoders alone"):
        DeepRNNRegressor(**SMALL).fit(X, X[:, 0]).stream().step(X[0], future=X[1:6])


def test_pipelines():
    pipeline = make_pipeline(StandardScaler(), make())
    scaled = StandardScaler().fit(X[:N])
    pipeline.fit(X[:N], Y, deeprnnregressor__future=scaled.transform(BEHIND))
    steps = stream(pipeline)
    expected = pipeline[-1].predict(scaled.transform(X[:N]), future=scaled.transform(BEHIND))
    for t in range(4):
        assert_array_equal(steps.step(X[t], future=X[t + 1 : t + 6]), expected[t])


def test_metadata_routing():
    set_config(enable_metadata_routing=True)
    try:
        model = make().set_fit_request(future=True).set_predict_request(future=True)
        pipeline = make_pipeline(model).fit(X[:N], Y, future=BEHIND)
        assert_array_equal(pipeline.predict(X[:N], future=BEHIND), fitted().predict(X[:N], future=BEHIND))
    finally:
        set_config(enable_metadata_routing=False)


# Training


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


# What cannot be


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


def test_rows_ahead_are_for_decoders():
    model = DeepLSTMRegressor(**SMALL)
    with pytest.raises(ValueError, match="future is read by decoders alone: set decoder='recurrent' or 'parallel'"):
        model.fit(X[:N], Y, future=BEHIND)
    with pytest.raises(ValueError, match="future is read by decoders alone"):
        model.fit(X[:N], Y).predict(X, future=BEHIND)
    with pytest.raises(ValueError, match="future needs known_columns"):
        make(known_columns=None).fit(X[:N], Y, future=BEHIND)
    assert "decoder" not in DeepRNNClassifier().get_params()


def test_another_decoder_is_another_network():
    model = make(warm_start=True).fit(X[:N], Y, future=BEHIND).set_params(decoder="parallel")
    with pytest.raises(ValueError, match="decoder='parallel', not decoder='recurrent'"):
        model.fit(X[:N], Y, future=BEHIND)


# With what else regressors have


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
