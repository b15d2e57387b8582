"""``targets="sequence"``: a target, and a prediction, for each row of each sequence of a set."""

import pickle
from typing import get_args

import numpy as np
import pytest
from estimator_case import as_read, flat, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from reference.network import options_forward
from sklearn.base import clone
from steps_case import (
    ARRAY,
    FULL_BATCH,
    LENGTHS,
    RAGGED,
    SEQUENCE,
    SIGNALS,
    each_option,
    fit,
    lists_equal,
    targets_of,
)

from sklstm import (
    DeepRNNRegressor,
)
from sklstm._cell_choice import CellName
from sklstm._network.architecture import Architecture

# Predictions


@pytest.mark.isa
@each_option
def test_a_sequence_alone_threads_and_pickles(case, options):
    one, two = (fit(case, **options, n_jobs=n, batch_size=20) for n in (1, 2))
    assert parameters_equal(one, two)
    expected = case.output(one, RAGGED)
    assert [len(answers) for answers in expected] == LENGTHS.tolist()
    lists_equal(case.output(two, RAGGED), expected)
    lists_equal([case.output(one, [x])[0] for x in RAGGED], expected)
    lists_equal([case.output(one, x[np.newaxis])[0] for x in RAGGED], expected)
    again = pickle.loads(pickle.dumps(one))
    lists_equal(case.output(again, RAGGED), expected)
    assert parameters_equal(clone(one).fit(RAGGED, targets_of(case)), one)


def test_a_3_d_array_gets_an_array(case):
    y = np.stack(targets_of(case, ARRAY))
    model = case.make(**SEQUENCE).fit(ARRAY, y)
    assert model.predict(ARRAY).shape == (20, 6)
    assert case.output(model, ARRAY).shape == (20, 6) + (2,) * case.is_classifier
    assert model.transform(ARRAY).shape == (20, 6, 4)
    assert_array_equal(np.stack(case.output(model, [*ARRAY])), case.output(model, ARRAY))
    assert parameters_equal(case.make(**SEQUENCE).fit([*ARRAY], [*y]), model)
    assert parameters_equal(case.make(**SEQUENCE).fit(ARRAY, [list(row) for row in y]), model)


def test_several_targets_in_a_3_d_array(regressor):
    y = np.stack([targets_of(regressor, ARRAY), targets_of(regressor, ARRAY[..., ::-1])], axis=2)
    model = regressor.make(**SEQUENCE, max_iter=2).fit(ARRAY, y)
    assert model.predict(ARRAY).shape == y.shape
    assert parameters_equal(regressor.make(**SEQUENCE, max_iter=2).fit([*ARRAY], [*y]), model)


@pytest.mark.parametrize("options", [{}, {"n_layers": 2}], ids=str)
def test_predictions_are_those_of_the_equations(case, options):
    """Of one direction: those of each beginning of a sequence."""
    model = fit(case, **options, dtype="float64")
    for x, answers in zip(RAGGED, case.output(model, RAGGED), strict=True):
        assert_allclose(answers, case.by_hand(model, [x[: t + 1] for t in range(len(x))]), rtol=1e-10)


@pytest.mark.parametrize("cell", get_args(CellName))
def test_both_directions_stand_side_by_side(cell):
    model = DeepRNNRegressor(
        4, 2, cell=cell, bidirectional=True, dtype="float64", max_iter=2, random_state=0, **SEQUENCE
    ).fit(RAGGED, SIGNALS)
    run = options_forward(Architecture(**model._architecture), model.parameters_, as_read(model, RAGGED))
    found = np.concatenate(model.predict(RAGGED))
    assert_allclose(found, model.target_mean_ + model.target_scale_ * run.z[:, 0], rtol=1e-10)
    assert_allclose(np.concatenate(model.transform(RAGGED)), run.features, rtol=1e-10)
    changed = [np.vstack([x[:-1], x[-1:] + 1]) for x in RAGGED]
    assert all(a[0] != b[0] for a, b in zip(model.predict(changed), model.predict(RAGGED), strict=True))


@pytest.mark.isa
@each_option
def test_streams_answer_as_predict_does(case, options):
    model = fit(case, **options)
    if options.get("bidirectional") or options.get("attention_heads"):
        with pytest.raises(ValueError, match=r"stream\(\) without a window .*predict answers for whole sequences"):
            model.stream()
        return
    long = np.random.default_rng(1).normal(size=(2, 300, 3))  # more than a block of a prediction
    for method in ["predict", "transform"] + ["predict_proba", "predict_log_proba"] * case.is_classifier:
        expected = getattr(model, method)(long)
        stream = model.stream(n_streams=2, response_method=method)
        assert_array_equal(np.stack([stream.step(long[:, t]) for t in range(300)], axis=1), expected)
        stream = model.stream(response_method=method, context=long[0, :20])
        assert_array_equal(stream.step(long[0, 20]), expected[0, 20])
    with pytest.raises(ValueError, match="window=True cannot be combined with targets='sequence'"):
        model.stream(window=True)


def test_attention_of_steps(case):
    """A step looks back at the steps before it; the weights are those of the last step."""
    model = fit(case, attention_heads=2, dtype="float64")
    x = RAGGED[int(LENGTHS.argmax())]
    beginnings = [x[: t + 1] for t in range(len(x))]
    assert_allclose(case.output(model, [x])[0], [one[-1] for one in case.output(model, beginnings)], rtol=1e-10)
    weights = model.attention_weights(beginnings)["heads"]
    assert weights.shape == (len(x), 2, len(x))
    assert_allclose(weights.sum(axis=2), 1.0)
    assert_allclose(model.attention_weights([x])["heads"][0], weights[-1], rtol=1e-10)


@pytest.mark.parametrize("cell", get_args(CellName))
def test_every_cell_answers_row_by_row(cell):
    model = DeepRNNRegressor(5, 2, cell=cell, max_iter=2, random_state=0, **SEQUENCE).fit(RAGGED, SIGNALS)
    stream = model.stream()
    for x, answers in zip(RAGGED[:5], model.predict(RAGGED), strict=False):
        assert_array_equal([stream.step(row) for row in x], answers)
        stream.reset()


# Training


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "n_layers": 2}, {"attention_heads": 2}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_one_step_over_all_rows_is_a_batch_of_all_beginnings(case, options, weighted):
    """The rows of a sequence are sequences of their own that end there."""
    y = targets_of(case)
    weights = [np.random.default_rng(0).uniform(0, 2, len(x)) for x in RAGGED] if weighted else None
    beginnings = [x[: t + 1] for x in RAGGED for t in range(len(x))]
    twin = case.make(**FULL_BATCH, **options, input_scaling=None)
    own = case.make(**SEQUENCE, **FULL_BATCH, **options, input_scaling=None).fit(RAGGED, y, sample_weight=weights)
    twin.fit(beginnings, np.concatenate(y), sample_weight=None if weights is None else np.concatenate(weights))
    assert_allclose(flat(own), flat(twin), rtol=1e-8, atol=1e-12)
    assert_allclose(own.loss_curve_, twin.loss_curve_, rtol=1e-12)
    model = case.make(**SEQUENCE, **options).fit(RAGGED, y)
    assert_allclose(model.input_mean_, np.concatenate(RAGGED).mean(axis=0), rtol=1e-10)


@pytest.fixture
def batches(monkeypatch):
    """What the network was given in training: the starts and the lengths of each batch."""
    from sklstm import _fitted

    class Network(_fitted.Network):
        def _train(self, table, starts, lengths, ids, noise, neighbours=False, **more):
            seen.append((starts.copy(), lengths.copy(), ids.copy()))
            return super()._train(table, starts, lengths, ids, noise, neighbours, **more)

    seen = []
    monkeypatch.setattr(_fitted, "Network", Network)
    return seen


@pytest.mark.parametrize(("batch_size", "expected"), [(4, [4] * 7 + [2]), (30, [30]), ("auto", [1] * 30)])
def test_batches_hold_whole_sequences_each_once_an_epoch(case, batches, batch_size, expected):
    fit(case, batch_size=batch_size, early_stopping=False)
    assert [len(starts) for starts, *_ in batches] == expected * 3
    ends = np.cumsum(LENGTHS)
    for epoch in range(3):
        own = batches[epoch * len(expected) : (epoch + 1) * len(expected)]
        starts, lengths, ids = (np.concatenate(one) for one in zip(*own, strict=True))
        assert_array_equal(np.sort(starts), ends - LENGTHS)
        assert_array_equal(lengths[np.argsort(starts)], LENGTHS)
        assert_array_equal(ids[np.argsort(starts)], np.arange(30))
    assert all(lengths[0] == lengths.max() for _, lengths, _ in batches)
    first, second = (np.concatenate([one[2] for one in batches[k * len(expected) :][: len(expected)]]) for k in (0, 1))
    assert (first != second).any() or batch_size == 30


def test_sequences_with_targets_at_every_step_are_learnt(case):
    """What a model of single rows cannot know."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(3, 20, size=120)]
    y = [case.target(0.7 * np.append(0, x[:-1, 0]) + 0.3 * x[:, 1]) for x in X]
    model = case.make(**SEQUENCE, hidden_size=12, learning_rate_init=0.02, max_iter=30, n_jobs=2)
    assert model.fit(X[:90], y[:90]).score(X[90:], y[90:]) > 0.9
    assert len(model.validation_scores_) == model.n_iter_


def test_a_linear_skip_reads_the_rows_before_each_step():
    """Those of its own sequence, zeros before the first."""
    X = [np.random.default_rng(n).normal(size=(n, 2)) for n in range(5, 45)]
    lagged = [np.vstack([np.zeros((1, 2)), x[:-1]]) for x in X]
    y = [2.0 * x[:, 0] - 3.0 * before[:, 1] + 1.0 for x, before in zip(X, lagged, strict=True)]
    about = {"input_scaling": None, "dtype": "float64", "max_iter": 1, "random_state": 0, **SEQUENCE}
    model = DeepRNNRegressor(4, linear_skip=2, **about).fit(X[:30], y[:30])
    assert model.score(X[30:], y[30:]) > 1 - 1e-6
    assert model.skip_score_ > 1 - 1e-6


def test_early_stopping_sets_the_last_sequences_aside(case, batches):
    fit(case, early_stopping=True, validation_fraction=0.2, batch_size=6, max_iter=1)
    read = np.concatenate([starts for starts, *_ in batches])
    assert_array_equal(np.sort(read), (np.cumsum(LENGTHS) - LENGTHS)[:24])
    own = case.make(**SEQUENCE, batch_size=6, max_iter=1)
    y = targets_of(case)
    own.fit(RAGGED[:24], y[:24], X_val=RAGGED[24:], y_val=y[24:])
    assert own.validation_scores_ == fit(case, early_stopping=True, validation_fraction=0.2, batch_size=6,
                                         max_iter=1).validation_scores_  # fmt: skip
    with pytest.raises(ValueError, match="leaves no training or no validation sequence of 1"):
        case.make(**SEQUENCE, early_stopping=True).fit(RAGGED[:1], y[:1])


def test_auto_needs_enough_rows_in_enough_sequences(regressor):
    for n, steps, expected in ((40, 6, True), (30, 6, False), (2, 120, False), (4, 60, True)):
        X = np.random.default_rng(0).normal(size=(n, steps, 1))
        model = regressor.make(**SEQUENCE, target_column=None).fit(X, X[:, :, 0])
        assert (model.validation_scores_ is not None) == expected


def test_partial_fits_are_epochs(case):
    settings = {"batch_size": 7, "early_stopping": False, "tol": 0.0}
    whole, parts = fit(case, **settings, max_iter=3), case.make(**SEQUENCE, **settings)
    for _ in range(3):
        parts.partial_fit(RAGGED, targets_of(case))
    assert parameters_equal(whole, parts)
    warm = fit(case, **settings, warm_start=True, max_iter=2)
    assert warm.fit(RAGGED, targets_of(case)).n_iter_ == 4
