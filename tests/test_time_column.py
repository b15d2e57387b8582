"""`time_column` of a cell: the time since the row before, read as it stands in X."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from estimator_case import SMALL, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import table_windows
from reference.network import options_forward

from sklstm import DeepRNNClassifier, DeepRNNRegressor, quantize
from sklstm.cells import CfC
from sklstm.compression import factorize

RNG = np.random.default_rng(8)
GAPS = RNG.exponential(2.0, 90)
X = np.column_stack([RNG.normal(3.0, 2.0, 90), GAPS, RNG.normal(size=90)])
Y = X[:, 0] * np.exp(-GAPS / 4)
EXACT = {"dtype": "float64", "early_stopping": False}

# Targets here need not look like the future of a column; test_target_columns.py has the warning.
pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


def make(kind=DeepRNNRegressor, *, column=1, **parameters):
    return kind(**{**SMALL, "cell": CfC(time_column=column), **parameters})


def expected_features(model, sequences):
    """From the equations, for raw rows."""
    shape = SimpleNamespace(**{**model._architecture, "n_turns": 0})
    found = options_forward(shape, model.parameters_, sequences, None, None, model.input_mean_, model.input_scale_)
    return found.features


@pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepRNNClassifier])
@pytest.mark.parametrize(
    "options",
    [{}, {"input_scaling": None}, {"window_norm": "last"}, {"window_norm": "standard"}, {"patch_length": 2},
     {"n_layers": 2, "zoneout": 0.2}, {"pooling": "mean", "linear_skip": 2}],
    ids=str,
)  # fmt: skip
def test_cells_read_the_column_as_it_is(kind, options):
    target = {"target_column": 0} if kind is DeepRNNRegressor and "window_norm" in options else {}
    y = Y if kind is DeepRNNRegressor else np.where(Y > 0.5, "up", "down")
    model = make(kind, **EXACT, **options, **target).fit(X, y)
    assert_allclose(model.transform(X), expected_features(model, table_windows(X, 5)), rtol=1e-9, atol=1e-11)
    # The gap reaches the layers past what the scales do to its column.
    plain = make(kind, column=None, **EXACT, **options, **target).fit(X, y)
    assert not np.allclose(plain.transform(X), model.transform(X))


def test_a_table_sets_of_sequences_and_context_agree():
    model = make(**EXACT).fit(X, Y)
    expected = model.predict(X)
    assert_array_equal(model.predict(X[40:], context=X[:40]), expected[40:])
    assert_array_equal(model.predict(X.astype(np.float32)), model.predict(X.astype(np.float32).astype(np.float64)))
    windows = table_windows(X, 5)
    of_sequences = make(**EXACT, warm_start=True).fit(windows, Y)
    ragged = [X[a : a + n] for a, n in ((0, 4), (10, 1), (20, 9))]
    assert_allclose(of_sequences.transform(ragged), expected_features(of_sequences, ragged), rtol=1e-9)
    array = np.stack([X[a : a + 6] for a in range(30)])
    assert_array_equal(of_sequences.predict(array), of_sequences.predict(list(array)))
    groups = np.repeat(["a", "b"], 45)
    grouped = make(**EXACT).fit(X, Y, groups=groups)
    parts = [grouped.predict(X[part], groups=groups[part]) for part in (slice(45), slice(45, None))]
    assert_array_equal(grouped.predict(X, groups=groups), np.concatenate(parts))


@pytest.mark.parametrize("options", [{}, {"hidden_size": 3, "zoneout": 0.3}], ids=str)
def test_streams_equal_predictions(options):
    model = make(**options).fit(X, Y)
    stream, later = model.stream(), model.stream(context=X[:20])
    expected = model.predict(X)
    assert_array_equal([stream.step(row) for row in X], expected)
    assert_array_equal([later.step(row) for row in X[20:]], expected[20:])
    carried = model.stream(window=False)
    found = [carried.step(row) for row in X[:5]]
    assert_array_equal(found, expected[:5])
    bad = X[7].copy()
    bad[1] = -0.5
    for one in (stream, carried):
        with pytest.raises(ValueError, match=r"x contains -0.5 at feature 1, the time_column: expected the time"):
            one.step(bad)
        again = pickle.loads(pickle.dumps(one))
        assert again.step(X[8]) == one.step(X[8])


def test_stateful_training():
    model = make(training="stateful", shuffle=False, **EXACT).fit(X, Y)
    steps = expected_features(model, [X])
    assert_allclose(model.transform(X), steps, rtol=1e-9, atol=1e-12)
    stream = model.stream()
    assert_array_equal([stream.step(row) for row in X], model.predict(X))


def test_the_column_by_its_name():
    frame = pd.DataFrame(X, columns=["value", "gap", "other"])
    by_name, by_place = make(column="gap").fit(frame, Y), make().fit(X, Y)
    assert parameters_equal(by_name, by_place)
    assert by_name._architecture["time_column"] == 1
    assert type(by_name._architecture["time_column"]) is int
    assert_array_equal(pickle.loads(pickle.dumps(by_name)).predict(frame), by_place.predict(X))
    assert make(column=np.int64(1)).fit(X, Y)._architecture["time_column"] == 1


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("hour", "cell__time_column='hour' names a column, but X came without names"),
        (3, "cell__time_column=3 is beyond the columns of X, 0 to 2"),
        (-1, "The 'time_column' parameter of CfC must be .* Got -1"),
        (1.5, "The 'time_column' parameter of CfC must be .* Got 1.5"),
        ([1], "The 'time_column' parameter of CfC must be .* Got"),
    ],
)
def test_what_is_no_column(column, message):
    with pytest.raises(ValueError, match=message):
        make(column=column).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bidirectional": True}, "bidirectional=True cannot be combined with cell__time_column=1: the backward"),
        ({"decoder": "parallel"}, "decoder='parallel' cannot be combined with cell__time_column=1: the times"),
        ({"group_scaling": "standard", "target_column": 1}, "cell__time_column=1 is a target_column, which"),
    ],
)
def test_what_does_not_go_together(options, message):
    y = np.column_stack([Y, Y]) if "decoder" in options else Y
    groups = {"groups": np.repeat([0, 1], 45)} if "group_scaling" in options else {}
    with pytest.raises(ValueError, match=message):
        make(**options).fit(X, y, **groups)


def test_negative_gaps_are_refused():
    bad = X.copy()
    bad[17, 1] = -2.0
    message = r"X holds -2 in column 1 \(row 17\), the time_column: expected the time since the row before, at least 0"
    with pytest.raises(ValueError, match=message):
        make().fit(bad, Y)
    model = make().fit(X, Y)
    for call in (model.predict, model.transform, lambda rows: model.partial_fit(rows, Y)):
        with pytest.raises(ValueError, match=message):
            call(bad)
    with pytest.raises(ValueError, match="context holds -2 in column 1"):
        model.predict(X, context=bad)
    frame = pd.DataFrame(bad, columns=["value", "gap", "other"])
    with pytest.raises(ValueError, match="X holds -2 in column 'gap'"):
        make().fit(frame, Y)


def test_networks_made_from_others_read_the_column_too():
    """Of integers, of bfloat16, several seeds side by side, and with a projection."""
    model = make(hidden_size=12, cell=CfC(time_column=1, backbone=False), max_iter=8).fit(X, Y)
    later = X + [0.0, 5.0, 0.0]
    moved = np.abs(model.predict(later) - model.predict(X)).mean()
    exact = quantize(model, X, dtype="int16")
    assert_allclose(exact.predict(later), model.predict(later), atol=0.01 * moved + 1e-3)
    smaller = factorize(model, 9)
    assert np.abs(smaller.predict(later) - smaller.predict(X)).mean() > 0.3 * moved
    reduced = make(hidden_size=12, dtype="bfloat16", n_seeds=2).fit(X, Y)
    assert np.abs(reduced.predict(later) - reduced.predict(X)).mean() > 1e-3
    stream = reduced.stream()
    assert_array_equal([stream.step(row) for row in later], reduced.predict(later))
    for one in (exact, reduced):
        with pytest.raises(ValueError, match="X holds -1 in column 1"):
            one.predict(X - [0.0, GAPS[0] + 1.0, 0.0] * (np.arange(90) == 0)[:, np.newaxis])


def test_training_cannot_go_on_with_another_column():
    model = make(warm_start=True).fit(np.abs(X), Y)
    with pytest.raises(ValueError, match=r"times of column 2, not times of column 1\. .*cell__time_column back"):
        model.set_params(cell__time_column=2).fit(np.abs(X), Y)


def test_gaps_tell_how_much_is_left():
    """A value that decays from row to row: what is left of it depends on the times between, which are irregular."""
    rng = np.random.default_rng(0)
    gaps = rng.exponential(1.0, 3000)
    level, y = 0.0, []
    jumps = rng.normal(size=3000) * (rng.random(3000) < 0.3)
    for gap, jump in zip(gaps, jumps, strict=True):
        level = level * np.exp(-gap) + jump
        y.append(level)
    rows = np.column_stack([gaps, jumps])
    model = DeepRNNRegressor(
        16, cell=CfC(time_column=0), sequence_length=12, max_iter=30, learning_rate_init=0.01, random_state=0, n_jobs=1
    ).fit(rows[:2000], y[:2000])
    assert model.score(rows[2000:], y[2000:], context=rows[:2000]) > 0.9
