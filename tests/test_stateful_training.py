"""``training="stateful"``: whole series, each row once an epoch, the states carried on, in predictions too."""

import pickle

import numpy as np
import pytest
from estimator_case import flat, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._batch_size import automatic_stateful_batch_size
from sklstm._sequences import Sequences
from sklstm._training.passes import SeriesPasses, cut_series
from sklstm.cells import LSTM

STATEFUL = {"training": "stateful", "shuffle": False, "bptt_steps": 8, "batch_size": 3}
LONG = np.random.default_rng(1).normal(size=(600, 3))  # more than two blocks of a prediction

OPTIONS = [
    {},
    {"n_layers": 2, "residual": 1, "norm": "layer", "dropout": 0.2},
    {"cell": LSTM(projection_size=2, peephole=True), "zoneout": 0.2},
    {"cell": LSTM(layer_norm=True), "recurrent_dropout": 0.2, "weight_dropout": 0.2, "hidden_size": [4, 5]},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def in_parts(case, model, X, method):
    """What whole calls say of each prefix as a sequence."""
    return np.concatenate([getattr(model, method)(X[np.newaxis, : t + 1]) for t in range(len(X))])


@pytest.fixture
def calls(monkeypatch):
    """What each step of the training was given: starts, lengths, states before and after."""
    from sklstm import _fitted

    class Network(_fitted.Network):
        def steps_loss_and_gradient(self, table, starts, lengths, ids, states, *more, **others):
            before = states.copy()
            value = super().steps_loss_and_gradient(table, starts, lengths, ids, states, *more, **others)
            seen.append((starts.copy(), lengths.copy(), before, states.copy()))
            return value

    seen = []
    monkeypatch.setattr(_fitted, "Network", Network)
    return seen


# Predictions


@pytest.mark.isa
@each_option
def test_rows_of_a_table_are_steps_of_one_series(case, options):
    """And the sequences that end at them."""
    model = case.fit(**STATEFUL, **options)
    for method in ["predict", "transform"] + ["predict_proba", "predict_log_proba"] * case.is_classifier:
        expected = getattr(model, method)(LONG)
        stream = model.stream(response_method=method)
        assert_array_equal([stream.step(row) for row in LONG], expected)
        assert_array_equal(in_parts(case, model, LONG[:12], method), expected[:12])
    assert_array_equal(model.predict(LONG[np.newaxis]), model.predict(LONG)[-1:])
    assert_array_equal(model.predict([LONG[:3], LONG[:7]]), model.predict(LONG)[[2, 6]])


def test_a_row_remembers_all_before(case):
    model = case.fit(**STATEFUL, sequence_length=2)
    changed = LONG.copy()
    changed[0] += 3.0
    different = case.output(model, LONG) != case.output(model, changed)
    assert different[:6].all()
    assert parameters_equal(model, case.fit(**STATEFUL, sequence_length=40))


@each_option
@pytest.mark.parametrize("n_before", [1, 13, 256, 257])
def test_context_is_the_joined_table(case, options, n_before):
    model = case.fit(**STATEFUL, **options)
    expected = case.output(model, LONG)[n_before:]
    assert_array_equal(case.output(model, LONG[n_before:], context=LONG[:n_before]), expected)
    stream = model.stream(context=LONG[:n_before])
    assert_array_equal(stream.step(LONG[n_before]), model.predict(LONG[: n_before + 1])[-1])


def test_groups_begin_anew(case):
    groups = np.repeat(["b", "a", "c"], [300, 1, 299])
    model = case.make(**STATEFUL).fit(case.X, case.y, groups=case.groups)
    found = case.output(model, LONG, groups=groups)
    for label in "bac":
        rows = groups == label
        assert_array_equal(found[rows], case.output(model, LONG[rows], groups=groups[rows]))
    assert (found[301:] != case.output(model, LONG, groups=np.zeros(600))[301:]).any()


# Training


def test_one_step_over_all_rows_is_a_batch_of_all_windows(case):
    """Where gradients go back to the first row, the rows of a series are windows that begin there."""
    settings = {"dtype": "float64", "shuffle": False, "early_stopping": False, "n_layers": 2}
    windows = case.fit(**settings, sequence_length=90, batch_size=90)
    stateful = case.fit(**settings, training="stateful", bptt_steps=90, batch_size=1)
    assert_allclose(flat(stateful), flat(windows), rtol=1e-8, atol=1e-12)
    assert_allclose(stateful.loss_curve_, windows.loss_curve_, rtol=1e-12)
    assert_allclose(case.output(stateful, case.X), case.output(windows, case.X), rtol=1e-10)
    weights = np.random.default_rng(0).uniform(0, 2, 90)
    models = [
        case.make(**settings, **more).fit(case.X, case.y, sample_weight=weights, groups=case.groups)
        for more in (
            {"sequence_length": 90, "batch_size": 90},
            {"training": "stateful", "bptt_steps": 90, "batch_size": 3},
        )
    ]
    assert_allclose(flat(models[0]), flat(models[1]), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("batch_size", "bptt_steps", "groups"),
    [(1, 8, False), (4, 7, False), (3, 200, False), (3, 8, True), (7, 8, True), (200, 8, True), (2, 9, True)],
)
def test_each_row_is_read_once_an_epoch(case, calls, batch_size, bptt_steps, groups):
    """Each stretch from zero states on, step by step from where the last one ended."""
    settings = {**STATEFUL, "batch_size": batch_size, "bptt_steps": bptt_steps, "early_stopping": False}
    case.make(**settings).fit(case.X, case.y, groups=case.groups if groups else None)
    epochs, rest = divmod(len(calls), 3)
    assert rest == 0
    for epoch in range(3):
        rows, ends = [], {}
        for starts, lengths, before, after in calls[epoch * epochs : (epoch + 1) * epochs]:
            assert lengths.max() <= bptt_steps
            assert len(starts) <= batch_size
            rows += [np.arange(a, a + b) for a, b in zip(starts, lengths, strict=True)]
            for start, length, own, left in zip(starts, lengths, before, after, strict=True):
                assert_array_equal(own, ends.pop(start) if start in ends else np.zeros_like(own))
                assert (left != own).any()
                if length == bptt_steps:
                    ends[start + length] = left
        assert_array_equal(np.sort(np.concatenate(rows)), np.arange(90))
    # As many side by side as were asked for, or as there are rows. Groups of 40, 3 and 47 rows: in 7 stretches of at
    # most 16; of 3 series, 2 at a time.
    assert len(calls[0][0]) == min(batch_size, 90)
    # No stretch goes from one group into another.
    if groups:
        begins = np.concatenate([call[0] for call in calls[:epochs]])
        assert {0, 40, 43} <= set(begins.tolist())


def test_more_series_than_streams_run_after_each_other(regressor, calls):
    """Batches of `batch_size` series: many short ones are many steps, and are learnt."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200 * 12, 2))
    groups, y = np.repeat(np.arange(200), 12), X[:, 0] + 0.5 * X[:, 1]
    settings = {**STATEFUL, "batch_size": 8, "bptt_steps": 12, "learning_rate_init": 0.01, "max_iter": 8}
    model = regressor.make(**settings, hidden_size=8, early_stopping=False).fit(X, y, groups=groups)
    assert [len(starts) for starts, *_ in calls] == [8] * 25 * 8
    assert model.score(X, y, groups=groups) > 0.9


@pytest.mark.parametrize(
    ("totals", "n_segments", "lengths"),
    [([100], 4, [25] * 4), ([10, 90], 4, [30] * 3 + [10]), ([7, 3, 3], 3, [7, 3, 3]), ([7, 3, 3], 1, [7, 3, 3])],
)
def test_segments_are_as_equal_as_the_series_allow(totals, n_segments, lengths):
    blocks = np.cumsum([0, *totals])
    starts, found = cut_series(Sequences.from_series(np.zeros((sum(totals), 1)), blocks), n_segments)
    assert found.tolist() == lengths
    assert np.sort(np.concatenate([np.arange(a, a + b) for a, b in zip(starts, found, strict=True)])).tolist() == list(
        range(sum(totals))
    )


@pytest.mark.parametrize(
    ("n_rows", "bptt_steps", "expected"), [(90, 8, 1), (511, 8, 1), (512, 8, 2), (10**6, 32, 32), (5000, 32, 4)]
)
def test_automatic_number_of_stretches(n_rows, bptt_steps, expected):
    assert automatic_stateful_batch_size(n_rows, bptt_steps) == expected


def test_automatic_number_is_used(case, calls):
    X = LONG[:530]
    case.make(**{**STATEFUL, "batch_size": "auto", "early_stopping": False, "max_iter": 1}).fit(X, case.target(X[:, 0]))
    assert len(calls[0][0]) == 2
    assert len(calls) == 34


@pytest.mark.parametrize("n_layers", [1, 2])
def test_states_carry_what_windows_and_gradients_do_not_reach(n_layers):
    """A sign that shows once in 24 rows is the target of all of them; gradients go back 4 rows."""
    rng = np.random.default_rng(0)
    signs = np.repeat(rng.choice([-1.0, 1.0], 100), 24)
    shows = np.arange(2400) % 24 == 0
    X = np.column_stack([signs * shows, shows])
    late = ~shows & (np.arange(2400) % 24 >= 8) & (np.arange(2400) >= 1200)
    settings = {"hidden_size": 8, "n_layers": n_layers, "random_state": 0, "n_jobs": 1, "max_iter": 60}
    settings |= {"learning_rate_init": 0.01, "shuffle": False, "early_stopping": False, "sequence_length": 4}
    scores = []
    for more in ({"training": "stateful", "bptt_steps": 4, "batch_size": 8}, {"batch_size": 64}):
        model = DeepLSTMClassifier(**settings, **more).fit(X[:1200], signs[:1200])
        scores.append(np.mean(model.predict(X)[late] == signs[late]))
    assert scores[0] > 0.95
    assert scores[1] < 0.7


@each_option
def test_threads_and_pickles(case, options):
    X, y = LONG[:300], case.target(LONG[:300, 0])
    one, two, other = (
        case.make(**{**STATEFUL, "batch_size": 16}, **options, n_jobs=n, random_state=seed).fit(X, y)
        for n, seed in ((1, 0), (2, 0), (2, 1))
    )
    assert parameters_equal(one, two)
    assert not parameters_equal(one, other)
    again = pickle.loads(pickle.dumps(one))
    assert_array_equal(case.output(again, X), case.output(two, X))
    stream = one.stream(n_streams=2)
    stream.step(X[:2])
    assert_array_equal(pickle.loads(pickle.dumps(stream)).step(X[2:4]), stream.step(X[2:4]))


@pytest.mark.parametrize("rate", ["dropout", "recurrent_dropout", "weight_dropout", "zoneout"])
def test_noise_disturbs_training(case, rate):
    plain, noisy, again = (case.fit(**STATEFUL, n_layers=2, **{rate: value}) for value in (0.0, 0.4, 0.4))
    assert parameters_equal(noisy, again)
    assert not parameters_equal(plain, noisy)


def test_rows_without_weight_are_read_all_the_same(case):
    """Their targets do not matter, what they do to the states does."""
    weights = (np.arange(90) % 3 > 0) * 1.0
    settings = {**STATEFUL, "dtype": "float64", "early_stopping": False}
    y, X = case.y.copy(), case.X.copy()
    y[::3] = case.y[1]
    X[::3] += 1.0
    known, without, moved = (
        flat(case.make(**settings).fit(*arrays, sample_weight=weights))
        for arrays in ((case.X, case.y), (case.X, y), (X, case.y))
    )
    assert_allclose(known, without, rtol=1e-9)
    assert np.abs(known - moved).max() > 1e-4


# Early stopping


def test_validation_rows_follow_the_training_rows(regressor):
    """Read in the states that the rows before left, none between the two left out."""
    model = regressor.fit(**STATEFUL, dtype="float64", early_stopping=True, max_iter=1)
    X, y = regressor.X, regressor.y
    error = np.mean((y[81:] - model.predict(X)[81:]) ** 2)
    null = np.mean((y[81:] - y[:81].mean()) ** 2)
    assert model.validation_scores_ == pytest.approx([1 - error / null], rel=1e-9)


def test_training_does_not_see_the_validation_rows(case, calls):
    case.fit(**STATEFUL, early_stopping=True, validation_fraction=0.2)
    assert max((starts + lengths).max() for starts, lengths, *_ in calls) == 72


def test_a_validation_table_begins_anew(regressor):
    X, y = regressor.X, regressor.y
    model = regressor.make(**STATEFUL, dtype="float64", max_iter=1).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    error, null = np.mean((y[60:] - model.predict(X[60:])) ** 2), np.mean((y[60:] - y[:60].mean()) ** 2)
    assert model.validation_scores_ == pytest.approx([1 - error / null], rel=1e-9)


# Training that goes on


def test_partial_fit_is_an_epoch_from_zero_states(case, calls):
    settings = {**STATEFUL, "batch_size": 1, "early_stopping": False}
    once = case.fit(**settings, max_iter=1)
    model = case.make(**settings).partial_fit(case.X, case.y)
    assert parameters_equal(once, model)
    n_calls = len(calls)
    model.partial_fit(case.X[40:], case.y[40:])
    assert not calls[n_calls][2].any()
    assert calls[n_calls + 1][2].any()
    assert model.n_iter_ == 2


def test_warm_start_goes_on(case):
    model = case.fit(**STATEFUL, warm_start=True)
    first = flat(model)
    assert model.fit(case.X, case.y).n_iter_ == 6
    assert (flat(model) != first).any()
    # Steps are no part of the network.
    assert model.set_params(bptt_steps=5, batch_size=2).fit(case.X, case.y).n_iter_ == 9


# Targets, and what is refused


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "log_cosh", "quantile", "poisson"])
def test_losses(loss):
    y = np.exp(LONG[:, 0])
    levels = [0.1, 0.5, 0.9] if loss == "quantile" else 0.5
    model = DeepLSTMRegressor(4, **STATEFUL, loss=loss, quantile=levels, max_iter=3, random_state=0).fit(LONG, y)
    assert model.predict(LONG).shape == (600,)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    if loss == "quantile":
        quantiles = model.predict_quantiles(LONG)
        assert_array_equal(quantiles[:, 1], model.predict(LONG))
        assert (np.diff(quantiles, axis=1) >= 0).all()


def test_targets_of_several_columns():
    model = DeepLSTMRegressor(4, **STATEFUL, max_iter=2, random_state=0).fit(LONG, LONG[:, :2])
    assert model.predict(LONG).shape == (600, 2)
    labels = DeepLSTMClassifier(4, **STATEFUL, max_iter=2, random_state=0).fit(LONG, (LONG > 0) * 1)
    assert labels.predict(LONG).shape == (600, 3)
    classes = DeepLSTMClassifier(4, **STATEFUL, max_iter=2, random_state=0).fit(
        LONG, np.digitize(LONG[:, 0], [-0.5, 0.5])
    )
    assert_allclose(classes.predict_proba(LONG).sum(axis=1), 1.0)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sequences_cannot_be_trained_on(case, method):
    for X, y in ((case.array, case.array_y), (case.ragged, case.ragged_y)):
        with pytest.raises(ValueError, match=r"training='stateful' goes with a 2-D table X, .*; found sequences"):
            getattr(case.make(**STATEFUL), method)(X, y)


def test_a_stream_has_no_windows(case):
    with pytest.raises(ValueError, match="window=True cannot be combined with training='stateful'"):
        case.fit(**STATEFUL).stream(window=True)


def test_one_row(case):
    model = case.fit(**STATEFUL)
    assert_array_equal(case.output(model, case.X[:1]), case.output(model, case.X)[:1])
    alone = DeepLSTMRegressor(4, **STATEFUL, max_iter=2, random_state=0).fit(case.X[:1], [3.0])
    assert alone.predict(case.X[:1]) == pytest.approx([3.0], abs=0.5)


@pytest.mark.parametrize(
    "options", [{}, {"dtype": "bfloat16", "n_layers": 2}, {"linear_skip": 2, "bptt_steps": 4}], ids=str
)
def test_rows_without_weight_bring_the_states_along(options, monkeypatch):
    """Steps without a sample have no gradient: forward alone gives the same bits."""
    X, y = LONG[:60], LONG[:60, 0]
    weights = (np.arange(60) > 37).astype(float)
    model = DeepLSTMRegressor(4, **{**STATEFUL, "batch_size": 1, "max_iter": 2, "random_state": 0, **options})
    found = flat(model.fit(X, y, sample_weight=weights))
    skipped = []
    monkeypatch.setattr(SeriesPasses, "_is_without_noise", property(lambda one: skipped.append(1)))
    assert_array_equal(flat(model.fit(X, y, sample_weight=weights)), found)
    assert len(skipped) == 2 * (37 // model.bptt_steps)
