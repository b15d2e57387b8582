"""One prediction per row, from the window that ends there: the definition, alignment, leakage, context."""

import pickle

import numpy as np
import pandas as pd
import pytest
from estimator_case import as_read
from reference.lstm import network_forward, table_windows
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepRNNRegressor

LENGTH = 5


# The definition


@pytest.mark.isa
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("hidden_size", [1, 7, 17, 33])
def test_predictions_follow_from_the_named_parameters(case, hidden_size, n_layers):
    model = case.fit(hidden_size=hidden_size, n_layers=n_layers, dtype="float64", max_iter=1)
    X = case.X[:30]
    np.testing.assert_allclose(case.output(model, X), case.by_hand_table(model, X), rtol=1e-10, atol=1e-12)
    groups = case.groups[:30]
    groups[:7] = "first"
    expected = case.by_hand_table(model, X, groups)
    np.testing.assert_allclose(case.output(model, X, groups=groups), expected, rtol=1e-10, atol=1e-12)
    for sequences in (case.array[:8], case.ragged[:8]):
        found = case.output(model, sequences)
        np.testing.assert_allclose(found, case.by_hand(model, sequences), rtol=1e-10, atol=1e-12)


@pytest.mark.isa
def test_float32_is_the_same_to_its_precision(case):
    model = case.fit(hidden_size=17, n_layers=2)
    found, expected = case.output(model, case.X), case.by_hand_table(model, case.X.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.isa
def test_transform_is_the_last_hidden_state_of_the_top_layer(case):
    model = case.fit(n_layers=2, hidden_size=7, dtype="float64")
    expected = network_forward(model.parameters_, table_windows(as_read(model, case.X), LENGTH, case.groups)).h_final[
        -1
    ]
    np.testing.assert_allclose(model.transform(case.X, groups=case.groups), expected, rtol=1e-10, atol=1e-12)


def test_training_on_a_table_is_training_on_its_windows(case):
    """Bit for bit: the list of windows is another description of the same samples."""
    # Of a table each row counts once for the scales of columns.
    settings = {"early_stopping": False, "input_scaling": None}
    table = case.make(**settings).fit(case.X, case.y, groups=case.groups)
    windows = case.make(**settings).fit(table_windows(case.X, LENGTH, case.groups), case.y)
    assert table.loss_curve_ == windows.loss_curve_
    for name, array in table.parameters_.items():
        np.testing.assert_array_equal(array, windows.parameters_[name])


def test_a_set_of_equal_lengths_is_an_array(case):
    array, ragged = case.make().fit(case.array, case.array_y), case.make().fit(list(case.array), case.array_y)
    np.testing.assert_array_equal(case.output(array, case.array), case.output(ragged, list(case.array)))


@pytest.mark.parametrize("n_rows", [1, 2, LENGTH - 1, LENGTH, 50])
def test_as_many_predictions_as_rows(case, n_rows):
    model = case.fit()
    for method in case.methods(model):
        assert len(method(case.X[:n_rows])) == n_rows
        assert len(method(case.X[:n_rows], context=case.X[:3])) == n_rows
        assert len(method(case.X[:n_rows], groups=np.arange(n_rows) // 4)) == n_rows
    assert len(model.predict(case.array)) == len(case.array)
    assert len(model.predict(case.ragged)) == len(case.ragged)


def test_sequence_length_beyond_the_table(case):
    """All windows start at the first row: the longest one decides nothing more."""
    models = [case.fit(sequence_length=length) for length in (len(case.X), 10**6)]
    assert models[0].loss_curve_ == models[1].loss_curve_
    np.testing.assert_array_equal(*[case.output(model, case.X) for model in models])


# Alignment and leakage


@pytest.mark.parametrize("row", [0, 1, 20, 39, 40, 42, 43, 60, 89])
def test_a_row_touches_only_the_windows_that_hold_it(case, row):
    """Not earlier rows, not other groups, not rows whose window has moved on: bit for bit."""
    model = case.fit()
    changed = case.X.copy()
    changed[row] += 1.0
    before, after = (case.output(model, X, groups=case.groups) for X in (case.X, changed))
    rows = np.arange(len(case.X))
    holds = (rows >= row) & (rows < row + LENGTH) & (case.groups == case.groups[row])
    different = (before != after).reshape(len(rows), -1).any(axis=1)
    np.testing.assert_array_equal(different, holds)


def test_a_group_is_predicted_as_if_alone(case):
    model = case.fit()
    together = case.output(model, case.X, groups=case.groups)
    alone = [case.output(model, case.X[case.groups == label]) for label in ("b", "a", "c")]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    shuffled = np.concatenate([np.flatnonzero(case.groups == label) for label in ("c", "b", "a")])
    found = case.output(model, case.X[shuffled], groups=case.groups[shuffled])
    np.testing.assert_array_equal(found, together[shuffled])


def test_labels_of_groups_mean_nothing(case):
    numbers = np.repeat([7, -1, 3], [40, 3, 47])
    first, second = (case.make().fit(case.X, case.y, groups=groups) for groups in (case.groups, numbers))
    assert first.loss_curve_ == second.loss_curve_


def test_groups_matter_in_fit(case):
    first, second = case.make().fit(case.X, case.y), case.make().fit(case.X, case.y, groups=case.groups)
    assert first.loss_curve_ != second.loss_curve_


# Context


@pytest.mark.isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [1, LENGTH])
def test_context_equals_the_joined_table(case, dtype, length):
    model = case.fit(sequence_length=length, dtype=dtype, n_layers=2)
    for n_before in (0, 1, length - 2, length - 1, length, 30):
        for n_rows in (1, 2, length - 1, length, 40):
            if n_before < 0 or n_rows < 1:
                continue
            joined = case.X[: n_before + n_rows]
            for method in case.methods(model):
                found = method(joined[n_before:], context=joined[:n_before])
                np.testing.assert_array_equal(found, method(joined)[n_before:])


def test_context_in_score_and_as_dataframe(case):
    frame = pd.DataFrame(case.X, columns=["a", "b", "c"])
    model = case.make().fit(frame, case.y)
    predicted = model.predict(frame)[50:]
    np.testing.assert_array_equal(model.predict(frame[50:], context=frame[:50]), predicted)
    scorer = get_scorer("accuracy" if case.is_classifier else "r2")
    expected = scorer._score_func(case.y[50:], predicted)
    assert model.score(frame[50:], case.y[50:], context=frame[:50]) == expected
    assert (case.output(model, frame[50:]) != case.output(model, frame)[50:]).any()


def test_only_the_last_rows_of_a_context_count(case):
    model = case.fit()
    other = case.X[:50].copy()
    other[: -(LENGTH - 1)] = 9.0
    found = [case.output(model, case.X[50:], context=context) for context in (case.X[:50], other, other[-4:])]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    other[-(LENGTH - 1)] = 9.0
    assert (case.output(model, case.X[50:], context=other) != found[0]).any()


# carry_context


@pytest.mark.parametrize("length", [1, 2, LENGTH, 80])
@pytest.mark.parametrize("n_train", [3, 60])
def test_carried_rows_make_a_pipeline_exact(case, length, n_train):
    train, test = np.arange(n_train), np.arange(n_train, len(case.X))
    y = np.tile(case.target(np.array([1.0, -1.0])), 45)
    pipeline = make_pipeline(StandardScaler(), case.make(sequence_length=length, carry_context=True))
    pipeline.fit(case.X[train], y[train])
    scaler, model = pipeline[0], pipeline[-1]
    scaled = scaler.transform(case.X)
    plain = case.make(sequence_length=length).fit(scaled[train], y[train])
    np.testing.assert_array_equal(case.output(pipeline, case.X[test]), case.output(plain, scaled)[n_train:])
    kept = min(n_train, length - 1)
    np.testing.assert_array_equal(model.context_, scaled[n_train - kept : n_train])


def test_cross_validation_in_time_is_exact(case):
    """Every fold of a grid search scores the predictions of the joined, scaled table."""
    folds = TimeSeriesSplit(3)
    scorer = "accuracy" if case.is_classifier else "r2"
    pipeline = make_pipeline(StandardScaler(), case.make(carry_context=True))
    name = f"{pipeline.steps[-1][0]}__hidden_size"
    search = GridSearchCV(pipeline, {name: [2, 6]}, cv=folds).fit(case.X, case.y)
    for i, hidden_size in enumerate((2, 6)):
        for fold, (train, test) in enumerate(folds.split(case.X)):
            scaled = StandardScaler().fit(case.X[train]).transform(case.X)
            model = case.make(hidden_size=hidden_size).fit(scaled[train], case.y[train])
            predicted = model.predict(scaled[: test[-1] + 1])[len(train) :]
            expected = get_scorer(scorer)._score_func(case.y[test], predicted)
            assert search.cv_results_[f"split{fold}_test_score"][i] == expected


def test_carried_rows_give_way(case):
    model, plain = case.fit(carry_context=True), case.fit()
    np.testing.assert_array_equal(
        case.output(model, case.X, context=case.X[:3]), case.output(plain, case.X, context=case.X[:3])
    )
    # A set of sequences follows nothing.
    np.testing.assert_array_equal(case.output(model, case.array), case.output(plain, case.array))
    assert (case.output(model, case.X) != case.output(plain, case.X)).any()
    model.set_params(carry_context=False).fit(case.X, case.y)
    assert not hasattr(model, "context_")
    np.testing.assert_array_equal(case.output(model, case.X), case.output(plain, case.X))


def test_fit_transform_stands_at_the_beginning(case):
    """The carried rows follow X, they do not come before it."""
    expected = case.fit().transform(case.X)
    np.testing.assert_array_equal(case.make(carry_context=True).fit_transform(case.X, case.y), expected)
    grouped = case.make().fit(case.X, case.y, groups=case.groups).transform(case.X, groups=case.groups)
    np.testing.assert_array_equal(case.make().fit_transform(case.X, case.y, groups=case.groups), grouped)


def test_the_last_block_of_partial_fit_is_carried(case):
    model = (
        case.make(carry_context=True).partial_fit(case.X[:40], case.y[:40]).partial_fit(case.X[40:60], case.y[40:60])
    )
    np.testing.assert_array_equal(model.context_, case.X[56:60])


def test_a_pickle_holds_training_rows_only_if_asked(case):
    rows = case.X
    assert rows[-1].tobytes() not in pickle.dumps(case.fit(early_stopping=True))
    carried = pickle.dumps(case.fit(carry_context=True))
    assert rows[-4:].tobytes() in carried
    assert rows[-5].tobytes() not in carried


# The validation part


@pytest.fixture
def parts(monkeypatch):
    """What every fit trains on and holds out."""
    from sklstm import _network_training

    seen = []

    def train(network, flat, samples, settings, held_out, *rest):
        seen.append((samples, held_out))
        return original(network, flat, samples, settings, held_out, *rest)

    original = _network_training.train
    monkeypatch.setattr(_network_training, "train", train)
    return seen


def rows_in(sequences):
    return {
        row for start, n in zip(sequences.starts, sequences.lengths, strict=True) for row in range(start, start + n)
    }


@pytest.mark.parametrize("fraction", [0.1, 0.25])
@pytest.mark.parametrize("grouped", [False, True])
def test_no_validation_window_holds_a_training_row(case, parts, fraction, grouped):
    groups = case.groups if grouped else np.zeros(90)
    model = case.make(early_stopping=True, validation_fraction=fraction)
    model.fit(case.X, case.y, groups=groups if grouped else None)
    ((samples, held_out),) = parts
    assert rows_in(samples.sequences) & rows_in(held_out.sequences) == set()
    own_rows = held_out.sequences.starts + held_out.sequences.lengths - 1
    expected = []
    for label in pd.unique(groups):
        rows = np.flatnonzero(groups == label)
        if len(rows) > LENGTH:
            expected += rows[-int(np.ceil(fraction * len(rows))) :].tolist()
    assert own_rows.tolist() == expected
    target = held_out.targets[:, 0]
    if case.is_classifier:
        np.testing.assert_array_equal(model.classes_[target.astype(int)], case.y[own_rows])
    else:
        np.testing.assert_allclose(target * model.target_scale_ + model.target_mean_, case.y[own_rows], rtol=1e-6)


@pytest.mark.parametrize("changed", ["X", "y"])
def test_training_never_sees_the_validation_part(case, changed):
    """Nor the gap before it: other values there, and every epoch's training loss keeps its bits."""
    y = np.where(case.X[:, 0] > 0, *case.target(np.array([1.0, -1.0])))
    last = slice(81 - (LENGTH - 1), None)
    X, other = case.X.copy(), y.copy()
    if changed == "X":
        X[last] = 3.0
    else:
        # Another order keeps what the target is standardised by.
        other[last] = other[last][::-1]
        assert (other != y).any()
    settings = {"early_stopping": True, "n_iter_no_change": 50, "max_iter": 4}
    first, second = case.make(**settings).fit(case.X, y), case.make(**settings).fit(X, other)
    if isinstance(first, DeepRNNRegressor):
        assert first.target_mean_ == second.target_mean_
    assert first.loss_curve_ == second.loss_curve_
    assert first.validation_scores_ != second.validation_scores_
