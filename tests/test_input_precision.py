"""X is read in the precision that it comes in, and what a network cannot read is refused by name."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._sequences import Sequences
from sklstm._validation import check_sequences
from sklstm.cells import LSTM

N, N_TRAIN, LENGTH = 260, 200, 6
SIGNAL = np.sin(np.arange(N) / 6) + 0.3 * np.random.default_rng(0).normal(size=N)
SETTINGS = {"hidden_size": 8, "sequence_length": LENGTH, "max_iter": 12, "early_stopping": False, "random_state": 0}
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_norm = pytest.mark.parametrize("window_norm", ["last", "standard"])


# A meter far from zero


def errors_of_meter(level, window_norm, dtype):
    """Errors of predict, of carried rows and of a stream, for the next value of a meter that stands at `level`."""
    meter = level + SIGNAL
    X, y = meter[:-1, np.newaxis], meter[1:]
    model = DeepLSTMRegressor(**SETTINGS, window_norm=window_norm, dtype=dtype, carry_context=True)
    model.fit(X[:N_TRAIN], y[:N_TRAIN])
    stream = model.stream()
    answers = {
        "context": model.predict(X[N_TRAIN:], context=X[N_TRAIN - LENGTH + 1 : N_TRAIN]),
        "carried": model.predict(X[N_TRAIN:]),
        "stream": np.array([stream.step(row) for row in X[N_TRAIN:]]),
    }
    assert_array_equal(answers["carried"], answers["context"])
    assert_array_equal(answers["stream"], answers["context"])
    return answers["context"] - y[N_TRAIN:]


@each_dtype
@each_norm
def test_a_meter_is_predicted_as_well_wherever_it_stands(window_norm, dtype):
    expected = errors_of_meter(1e3, window_norm, dtype)
    assert np.sqrt(np.mean(expected**2)) < 0.6
    for level in (1e6, 1e8, 1e10):
        assert_allclose(errors_of_meter(level, window_norm, dtype), expected, atol=1e-3)


@each_norm
@pytest.mark.parametrize("unit", [1e-200, 1e-30, 1e30, 1e200])
def test_squares_of_windows_neither_overflow_nor_vanish(window_norm, unit):
    X, y = SIGNAL[:-1, np.newaxis], SIGNAL[1:]
    expected = DeepLSTMRegressor(**SETTINGS, window_norm=window_norm).fit(X, y).predict(X)
    found = DeepLSTMRegressor(**SETTINGS, window_norm=window_norm).fit(X * unit, y * unit).predict(X * unit)
    assert_allclose(found / unit, expected, rtol=1e-3, atol=1e-3)


# Tables are read where they are


@each_dtype
def test_float32_rows_are_the_same_numbers_in_float64(dtype):
    X = np.column_stack([SIGNAL, SIGNAL**2]).astype(np.float32)
    y = np.roll(SIGNAL, -1)
    models = [DeepLSTMRegressor(**SETTINGS, dtype=dtype).fit(table, y) for table in (X, X.astype(np.float64))]
    answers = [model.predict(table) for model in models for table in (X, X.astype(np.float64))]
    for answer in answers[1:]:
        assert_array_equal(answer, answers[0])


@each_dtype
@pytest.mark.parametrize("table_dtype", ["float32", "float64"])
def test_a_table_of_floats_is_never_copied(table_dtype, dtype, tmp_path):
    X = np.column_stack([SIGNAL, SIGNAL**2]).astype(table_dtype)
    mapped = np.memmap(tmp_path / "table", table_dtype, "w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    mapped = np.memmap(tmp_path / "table", table_dtype, "r", shape=X.shape)
    model = DeepLSTMRegressor(**SETTINGS, dtype=dtype)
    assert np.shares_memory(check_sequences(model, mapped, reset=True).table, mapped)
    y = np.roll(SIGNAL, -1)
    assert_array_equal(
        model.fit(mapped, y).predict(mapped), DeepLSTMRegressor(**SETTINGS, dtype=dtype).fit(X, y).predict(X)
    )


# Too large


def fitted(**settings):
    names = ["level", "flow"]
    X = pd.DataFrame(np.column_stack([SIGNAL, SIGNAL**2]), columns=names)
    model = DeepLSTMRegressor(**{**SETTINGS, "max_iter": 1, **settings})
    return model.fit(X, SIGNAL), X


def with_value(X, row, value):
    X = X.copy()
    X.loc[row, "flow"] = value
    return X


MESSAGE = r"{} holds {} in column 'flow' \(row {}\), too large for dtype='float32'.* Set dtype='float64'"


@pytest.mark.parametrize("value", [1e39, -1e39, 3e38])
def test_what_predict_cannot_read(value):
    model, X = fitted()
    bad, shown = with_value(X, 7, value), f"{value:g}".replace("+", r"\+")
    with pytest.raises(ValueError, match=MESSAGE.format("X", shown, 7)):
        model.predict(bad)
    with pytest.raises(ValueError, match=MESSAGE.format("context", shown, 7)):
        model.predict(X, context=bad)
    with pytest.raises(ValueError, match=MESSAGE.format("context", shown, 7)):
        model.stream(context=bad)
    with pytest.raises(ValueError, match=MESSAGE.format("X_val", shown, 7)):
        DeepLSTMRegressor(**SETTINGS).fit(X, SIGNAL, X_val=bad, y_val=SIGNAL)
    stream = model.stream()
    before = stream.state
    for row in (bad.iloc[7], bad.to_numpy()[7]):
        with pytest.raises(ValueError, match=r"at feature 1, too large for dtype='float32'"):
            stream.step(row)
    state = dict(before, rows=before["rows"] + value, n_rows=before["n_rows"] + 3)
    with pytest.raises(ValueError, match=r"state\['rows'\] holds .* too large for dtype='float32'"):
        stream.state = state
    assert_array_equal(stream.state["rows"], before["rows"])
    # Rows that no window reads are read by nobody.
    assert np.isfinite(model.predict(X[20:], context=X[:20])).all()


def test_float64_reads_more():
    model, X = fitted(dtype="float64")
    assert np.isfinite(model.predict(with_value(X, 7, 1e39))).all()
    with pytest.raises(ValueError, match=r"X holds 1e\+300 in column 'flow' \(row 7\), too large for dtype='float64'"):
        model.predict(with_value(X, 7, 1e300))


@pytest.mark.parametrize("options", [{}, {"cell": LSTM(layer_norm=True)}, {"linear_skip": 2}, {"pooling": "attention"}])
def test_the_largest_input_gives_finite_answers(options):
    """Sums of products and their squares stay below the largest float32."""
    model, X = fitted(**options)
    rows = 1e13 * X.to_numpy()
    sequences = Sequences.from_windows(rows, LENGTH)
    network = model._network()
    assert network.first_beyond_range(rows) is None
    assert np.isfinite(network.forward(sequences)).all()
    if "norm" in options:
        # Normalised, such sums are not all the same.
        assert network.forward(sequences, want_hidden=True).std() > 1e-3


def test_classifier_and_sets_of_sequences():
    X = np.random.default_rng(0).normal(size=(20, 5, 2))
    model = DeepLSTMClassifier(4, max_iter=1, random_state=0).fit(X, np.arange(20) % 2)
    X[3, 2, 1] = 1e39
    with pytest.raises(ValueError, match=r"X holds 1e\+39 in column 1 \(row 17\), too large for dtype='float32'"):
        model.predict_proba(X)
