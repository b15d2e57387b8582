"""What `stream()` says without being asked for a window: what `predict` says, bit for bit, whatever the model is."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from stream_case import LENGTH, ROWS, TABLE, TARGETS, fitted, methods, run

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm.cells import LSTM

LONG = np.concatenate(ROWS[:3])
CONFIGURATIONS = [
    {},
    {"sequence_length": 1},
    {"sequence_length": 50},
    {"hidden_size": 16, "n_layers": 2, "dtype": "float64"},
    {"hidden_size": [5, 9, 4], "residual": 1, "norm": "layer"},
    {"cell": LSTM(layer_norm=True, peephole=True), "n_jobs": 1},
    {"cell": LSTM(projection_size=3), "n_layers": 2},
    {"pooling": "mean"},
    {"pooling": "attention", "bidirectional": True, "n_layers": 2},
    {"attention_heads": 2, "hidden_size": 8, "dtype": "float64"},
    {"bidirectional": True},
    {"patch_length": 2},
    {"linear_skip": 3},
    {"window_norm": "last"},
    {"window_norm": "standard", "linear_skip": 2, "patch_length": 2, "dtype": "float64"},
    {"carry_context": True},
    {"training": "stateful", "shuffle": False},
    {"training": "stateful", "shuffle": False, "n_layers": 2, "norm": "layer", "dtype": "float64"},
]
NAMES = [", ".join(f"{name}={value}" for name, value in options.items()) or "plain" for options in CONFIGURATIONS]


@pytest.mark.isa
@pytest.mark.parametrize("kind", ["one", "three labels"])
@pytest.mark.parametrize("options", CONFIGURATIONS, ids=NAMES)
def test_a_stream_says_what_predict_says(options, kind):
    if "window_norm" in options and kind == "one":
        model = DeepRNNRegressor(7, sequence_length=LENGTH, max_iter=2, random_state=0, target_column=0, **options)
        model.fit(TABLE, np.roll(TABLE[:, 0], -1))
    else:
        model = fitted(kind, **options)
    for method in methods(model):
        call = getattr(model, method)
        assert_array_equal(run(model.stream(response_method=method), LONG), call(LONG))
        several = np.stack([call(table) for table in ROWS[:3]], axis=1)
        assert_array_equal(run(model.stream(n_streams=3, response_method=method), ROWS[:3]), several)
        # The rows before: given, none though the model carries some.
        for n_before in (0, 2, 20):
            stream = model.stream(response_method=method, context=LONG[:n_before])
            assert_array_equal(run(stream, LONG[n_before:]), call(LONG[n_before:], context=LONG[:n_before]))


def test_rows_of_single_precision():
    model = fitted("one")
    rows = LONG.astype(np.float32)
    assert_array_equal(run(model.stream(), rows), model.predict(rows))


@pytest.mark.parametrize("kind", ["column", "many", "two labels"])
def test_other_answers(kind):
    model = fitted(kind)
    assert_array_equal(run(model.stream(), LONG), model.predict(LONG))


def test_after_partial_fit():
    model = fitted("one")
    model.partial_fit(TABLE[:30], TARGETS["one"][:30])
    assert_array_equal(run(model.stream(), LONG), model.predict(LONG))


def test_a_frame_by_its_rows():
    frame = pd.DataFrame(TABLE, columns=list("abc"), index=pd.date_range("2024-01-01", periods=60, freq="h"))
    model = DeepRNNRegressor(4, sequence_length=LENGTH, max_iter=2, random_state=0).fit(frame, TARGETS["one"])
    stream = model.stream()
    assert_array_equal([stream.step(row) for _, row in frame.iterrows()], model.predict(frame))


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepRNNClassifier])
def test_fitted_on_sequences_it_reads_all_rows_so_far(kind, as_list):
    y = ROWS[:, -1, 0] if kind is DeepRNNRegressor else np.where(ROWS[:, -1, 0] > 0, "up", "down")
    model = kind(5, sequence_length=LENGTH, max_iter=2, random_state=0).fit(list(ROWS) if as_list else ROWS, y)
    expected = [model.predict(LONG[np.newaxis, : t + 1])[0] for t in range(len(LONG))]
    assert_array_equal(run(model.stream(), LONG), expected)
    windows = [model.predict(LONG[np.newaxis, max(0, t + 1 - LENGTH) : t + 1])[0] for t in range(len(LONG))]
    assert_array_equal(run(model.stream(window=True), LONG), windows)


def test_fitted_on_sequences_that_no_stream_can_read():
    model = DeepRNNRegressor(5, bidirectional=True, max_iter=1, random_state=0).fit(ROWS, ROWS[:, -1, 0])
    with pytest.raises(ValueError, match=r"without a window .* bidirectional=True.*window=True\) answers for the last"):
        model.stream()


def test_the_default_can_be_overridden():
    model = fitted("one")
    carried = [model.predict(LONG[np.newaxis, : t + 1])[0] for t in range(len(LONG))]
    assert_array_equal(run(model.stream(window=False), LONG), carried)
    assert_array_equal(run(model.stream(window=True), LONG), model.predict(LONG))
    assert (np.array(carried[LENGTH:]) != model.predict(LONG)[LENGTH:]).all()


# Nothing came before


@pytest.mark.parametrize("carry_context", [False, True])
@pytest.mark.parametrize("nothing", [[], (), np.empty(0), np.empty((0, 3)), pd.DataFrame(columns=list("abc"))], ids=str)
def test_a_context_without_rows(nothing, carry_context):
    """The same words mean the same to `predict` and to `stream`."""
    model = fitted("one", carry_context=carry_context)
    expected = fitted("one").predict(LONG)
    assert_array_equal(model.predict(LONG, context=nothing), expected)
    assert_array_equal(run(model.stream(context=nothing), LONG), expected)
    several = np.stack([fitted("one").predict(rows) for rows in ROWS[:2]], axis=1)
    for context in ([nothing, nothing], np.empty((2, 0, 3)), []):
        assert_array_equal(run(model.stream(n_streams=2, context=context), ROWS[:2]), several)


@pytest.mark.parametrize(
    ("n_streams", "context", "message"),
    [
        (None, np.empty((0, 5)), "context has 5 features, but DeepRNNRegressor is expecting 3 features"),
        (None, np.float64(3), "context|Expected 2D array"),
        (2, np.empty((2, 0, 5)), "context has 5 features"),
        (2, np.empty((3, 0, 3)), "context"),
        (2, [[], [], []], "context"),
        (2, [np.empty((0, 3)), np.ones((1, 3))], "context"),
    ],
    ids=str,
)
def test_a_context_that_is_nothing_else(n_streams, context, message):
    model = fitted("one")
    with pytest.raises((ValueError, TypeError), match=message):
        model.stream(n_streams=n_streams, context=context)
    if n_streams is None:
        with pytest.raises((ValueError, TypeError), match=message):
            model.predict(LONG, context=context)


def test_carried_rows_of_several_groups_belong_to_no_stream():
    groups = np.repeat(["b", "a"], 30)
    model = DeepRNNRegressor(4, sequence_length=LENGTH, carry_context=True, max_iter=1, random_state=0)
    model.fit(TABLE, TARGETS["one"], groups=groups)
    with pytest.raises(ValueError, match="context is missing: carry_context=True kept the last rows of each group"):
        model.stream()
    for label in "ab":
        stream = model.stream(context=model.context_[model.context_groups_ == label])
        assert_array_equal(run(stream, LONG), model.predict(LONG, groups=[label] * len(LONG)))


# Windows longer than any table

LONG_WINDOWS = [{}, {"pooling": "mean"}, {"bidirectional": True}, {"window_norm": "last"}]


@pytest.mark.parametrize("options", LONG_WINDOWS, ids=str)
@pytest.mark.parametrize("length", [10**14, sys.maxsize, 10**19])
def test_windows_that_no_memory_holds(options, length):
    """As many rows as a number can say made the kernels write where nothing was theirs."""
    model = fitted("three labels", sequence_length=length, **options)
    with pytest.raises(MemoryError, match=r"sequence_length=\d+ with n_streams=1: .* window=False says the same"):
        model.stream()
    if not options:
        assert_array_equal(run(model.stream(window=False), LONG), model.predict(LONG))


@pytest.mark.parametrize("n_streams", [10**13, sys.maxsize, 10**40])
@pytest.mark.parametrize("window", [True, False])
def test_streams_that_no_memory_holds(n_streams, window):
    with pytest.raises(MemoryError, match=rf"n_streams={n_streams}: "):
        fitted("one").stream(n_streams=n_streams, window=window)


@pytest.mark.parametrize("options", LONG_WINDOWS, ids=str)
def test_a_window_that_is_never_full_costs_what_it_holds(options):
    model = fitted("three labels", sequence_length=10**6, **options)
    assert_array_equal(run(model.stream(response_method="predict_proba"), LONG), model.predict_proba(LONG))
