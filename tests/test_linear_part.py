"""The linear part of a network: the ridge regression on the windows, and what the network adds to it."""

import pickle

import numpy as np
import pytest
from estimator_case import parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNRegressor
from sklstm.compression import prune

RNG = np.random.default_rng(0)
N, Q = 500, 6
WALK = RNG.normal(size=(N + 3, 2)).cumsum(axis=0) + 50.0
X = np.column_stack([WALK[:N], RNG.normal(size=N)])
Y = np.column_stack([WALK[1 : N + 1, 0] + 0.5 * X[:, 2], WALK[3 : N + 3, 1] - 0.2 * np.roll(X[:, 2], 1)])
EXACT = {"dtype": "float64", "sequence_length": 8, "linear_skip": Q, "random_state": 0, "max_iter": 2}


def make(kind=DeepLSTMRegressor, **options):
    return kind(4, **{**EXACT, **options})


def windows_of(X, model, n_steps=Q, length=8):
    """Return the windows that the skip of a fitted model reads, by plain loops."""
    out = np.zeros((len(X), n_steps, X.shape[1]))
    for i in range(len(X)):
        rows = X[max(0, i + 1 - length) : i + 1]
        if model.window_norm == "last":
            rows = (rows - rows[-1]) / model.input_scale_
        elif model.window_norm == "standard":
            deviation = np.sqrt(rows.var(axis=0) + (model.input_scale_ / 10) ** 2)
            rows = (rows - rows.mean(axis=0)) / deviation
        else:
            rows = (rows - model.input_mean_) / model.input_scale_
        rows = rows[-n_steps:]
        out[i, n_steps - len(rows) :] = rows
    return out.reshape(len(X), -1)


@pytest.mark.parametrize("norm", [None, "last", "standard"])
@pytest.mark.parametrize("weighted", ["equal", "of samples", "of outputs"])
def test_it_is_the_ridge_regression(norm, weighted):
    """With all options of the windows; each output of its own weights is a regression of its own."""
    weight = {"equal": None, "of samples": RNG.uniform(0.5, 2, N), "of outputs": RNG.uniform(0.5, 2, (N, 2))}[weighted]
    model = make(window_norm=norm, target_column=[0, 1], early_stopping=False).fit(X, Y, sample_weight=weight)
    targets = Y
    if norm == "last":
        targets = (Y - X[:, :2]) / model.input_scale_[:2]
    elif norm == "standard":
        moments = [(r.mean(0), np.sqrt(r.var(0) + (model.input_scale_ / 10) ** 2)) for r in _windows(X)]
        targets = np.array([(y - m[:2]) / s[:2] for y, (m, s) in zip(Y, moments, strict=True)])
    z = (targets - model.target_mean_) / model.target_scale_
    windows, full = windows_of(X, model), slice(Q - 1, None)
    weight = np.ones((N, 2)) if weight is None else np.broadcast_to(weight.reshape(N, -1), (N, 2))
    for k in range(2):
        w = weight[full, k]
        ridge = Ridge(alpha=model.ridge_penalty_).fit(windows[full], z[full, k], sample_weight=w / w.mean())
        assert_allclose(model.parameters_["weight_skip"][k], ridge.coef_, rtol=1e-6, atol=1e-9)


def _windows(X, length=8):
    return [X[max(0, i + 1 - length) : i + 1] for i in range(len(X))]


@pytest.mark.parametrize("norm", [None, "last"])
def test_groups_and_excluded_samples(norm):
    """Runs of windows end where a group ends or a sample is left out; the short ones are summed one by one."""
    groups = np.repeat(np.arange(5), 100)
    weight = np.ones(N)
    weight[[150, 151, 320]] = 0
    weight[400:] = 2.0
    model = make(window_norm=norm, target_column=[0, 1], early_stopping=False)
    model.fit(X, Y, groups=groups, sample_weight=weight)
    windows = np.vstack([windows_of(X[groups == g], model) for g in range(5)])
    z = (Y - (X[:, :2] if norm else 0)) / (model.input_scale_[:2] if norm else 1)
    z = (z - model.target_mean_) / model.target_scale_
    counts = (np.arange(N) % 100 >= Q - 1) & (weight > 0)
    weight = weight[counts] / weight[counts].mean()
    ridge = Ridge(alpha=model.ridge_penalty_).fit(windows[counts], z[counts], sample_weight=weight)
    assert_allclose(model.parameters_["weight_skip"], ridge.coef_, rtol=1e-6, atol=1e-9)


def test_sets_of_sequences():
    array = RNG.normal(size=(120, 9, 2))
    y = array[:, -1, 0] - 2 * array[:, -4, 1]
    model = make(early_stopping=False).fit(array, y)
    windows = ((array - model.input_mean_) / model.input_scale_)[:, -Q:].reshape(120, -1)
    z = (y - model.target_mean_) / model.target_scale_
    ridge = Ridge(alpha=model.ridge_penalty_).fit(windows, z)
    assert_allclose(model.parameters_["weight_skip"][0], ridge.coef_, rtol=1e-6, atol=1e-9)
    ragged = [sequence[: 3 + k % 7] for k, sequence in enumerate(array)]
    assert make().fit(ragged, y).skip_score_ < 1


def test_the_penalty_is_chosen_on_the_validation_part():
    """Noise in many columns needs a penalty; without a validation part generalised cross-validation finds it too."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 12))
    y = X[:, 0] + 3 * rng.normal(size=400)
    wanted, loss = np.zeros((10, 12)), {}
    wanted[9, 0] = 1.0
    for early_stopping in (True, False):
        model = make(sequence_length=10, linear_skip=10, early_stopping=early_stopping, max_iter=1).fit(X, y)
        coefficients = model.parameters_["weight_skip"].reshape(10, 12) * model.target_scale_ / model.input_scale_
        loss[early_stopping] = np.square(coefficients - wanted).sum()
        assert 10 < model.ridge_penalty_ <= np.inf
    plain = Ridge(alpha=1e-3).fit(windows_of(X, model, 10, 10)[9:], y[9:])
    wild = np.square(plain.coef_.reshape(10, 12) / model.input_scale_ - wanted).sum()
    assert max(loss.values()) < 0.5 * wild


def test_what_cannot_be_learnt_keeps_the_constant():
    """The future of a random walk: the infinite penalty is among the candidates, and no epoch is better by chance."""
    walk = np.random.default_rng(3).normal(size=1201).cumsum()
    model = make(window_norm="last", sequence_length=30, linear_skip=30, max_iter=10).fit(
        walk[:1000, None], walk[1:1001]
    )
    predicted = model.predict(walk[1000:1200, None], context=walk[971:1000, None])
    last = walk[1000:1200]
    assert np.square(predicted - walk[1001:]).mean() <= 1.02 * np.square(last - walk[1001:]).mean()


@pytest.mark.parametrize("rows", [np.ones((60, 3)), X[:1]], ids=["columns that stand still", "one sample"])
def test_nothing_to_learn_from(rows):
    model = make(early_stopping=False).fit(rows, X[: len(rows), 0])
    assert model.ridge_penalty_ == np.inf
    assert_array_equal(model.parameters_["weight_skip"], 0)


def test_weights_beyond_the_dtype_are_refused():
    with pytest.raises(ValueError, match=r"linear_skip has weights of up to .*, which dtype='float32' cannot hold"):
        make(dtype="float32", input_scaling=None).fit((X - X.mean(axis=0)) * 1e-44, Y)


def test_an_output_known_in_first_windows_alone():
    weight = np.ones((N, 2))
    weight[3:, 1] = 0
    model = make(early_stopping=False).fit(X, Y, sample_weight=weight)
    assert np.isfinite([*model.predict(X).ravel(), model.skip_score_]).all()


def test_the_network_adds_to_it_or_the_linear_part_is_kept():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 2))
    linear = X[:, 0] - np.roll(X[:, 1], 1)
    options = {"sequence_length": 4, "linear_skip": 4, "hidden_size": 16, "learning_rate_init": 0.01, "random_state": 0}
    model = DeepLSTMRegressor(**options, tol=0.01).fit(X, linear + 0.1 * rng.normal(size=1500))
    assert model.best_iteration_ == 0
    assert model.best_validation_score_ == model.skip_score_ > 0.99
    assert not model.parameters_["weight_out"].any()
    model = DeepLSTMRegressor(**options, max_iter=60).fit(X, linear + np.abs(X[:, 0]))
    assert model.skip_score_ < 0.9
    assert model.best_validation_score_ > model.skip_score_ + 0.05
    assert model.best_iteration_ > 0


def test_a_series_of_waves():
    """Daily and weekly waves on a slow walk, 24 steps ahead: as good as scikit-learn's ridge on the same windows."""
    rng = np.random.default_rng(0)
    t = np.arange(3000)
    x = np.sin(2 * np.pi * t / 24) + 0.5 * np.sin(2 * np.pi * t / 168) + 0.01 * rng.normal(size=3000).cumsum()
    x += 0.05 * rng.normal(size=3000)
    X, Y = x[:-24, None], np.lib.stride_tricks.sliding_window_view(x[1:], 24)
    train, test = slice(0, 2300), slice(2324, None)
    windows = np.lib.stride_tricks.sliding_window_view(x, 168)
    before, after = windows[: 2300 - 167], windows[2324 - 167 :][: len(X) - 2324]
    ridge = Ridge(alpha=10.0).fit(before - before[:, -1:], Y[167:2300] - before[:, -1:])
    expected = np.square(ridge.predict(after - after[:, -1:]) + after[:, -1:] - Y[test]).mean()
    model = DeepLSTMRegressor(
        16, sequence_length=168, linear_skip=168, window_norm="last", patch_length=24, max_iter=10, random_state=0
    )
    model.fit(X[train], Y[train])
    found = np.square(model.predict(X[test], context=X[2324 - 167 : 2324]) - Y[test]).mean()
    assert found < 1.02 * expected


def test_frozen_and_fine_tuned():
    """Frozen weights keep their bits, with every solver; fine-tuned ones move, a little, and are drawn back."""
    start = make(early_stopping=False, max_iter=1).fit(X, Y).parameters_["weight_skip"]
    for solver in ("adamw", "adam", "sgd", "schedule_free"):
        model = make(early_stopping=False, solver=solver, weight_decay=0.5, max_iter=3).fit(X, Y)
        assert_array_equal(model.parameters_["weight_skip"], start)
        assert model.parameters_["weight_out"].any()
    moved = {}
    for decay in (0.0, 1000.0):
        model = make(early_stopping=False, linear_skip_training="fine_tune", weight_decay=decay, max_iter=5).fit(X, Y)
        moved[decay] = np.abs(model.parameters_["weight_skip"] - start).max()
    assert 0 < moved[1000.0] < 0.5 * moved[0.0] < 0.05
    with pytest.raises(ValueError, match="linear_skip_training='fine_tune' cannot be combined with solver"):
        make(linear_skip_training="fine_tune", solver="schedule_free").fit(X, Y)
    with pytest.warns(UserWarning, match="linear_skip_training='fine_tune' has no effect with linear_skip=0"):
        make(linear_skip_training="fine_tune", linear_skip=0, max_iter=1).fit(X, Y)


@pytest.mark.parametrize("training", ["frozen", "fine_tune"])
def test_partial_fit_and_warm_start_keep_it(training):
    options = {"linear_skip_training": training, "early_stopping": False, "shuffle": False}
    parts = make(**options)
    for _ in range(3):
        parts.partial_fit(X, Y)
    assert parameters_equal(parts, make(**options, max_iter=3, tol=0.0).fit(X, Y))
    skip = parts.parameters_["weight_skip"].copy()
    parts.partial_fit(X[:50], Y[:50] + 1.0)
    difference = np.abs(parts.parameters_["weight_skip"] - skip).max()
    assert difference == 0 if training == "frozen" else difference > 0
    model = make(**options, warm_start=True).fit(X, Y)
    skip, penalty = model.parameters_["weight_skip"].copy(), model.ridge_penalty_
    model.fit(X, Y)
    assert model.ridge_penalty_ == penalty
    assert (model.parameters_["weight_skip"] == skip).all() == (training == "frozen")


def test_a_target_that_grows_rescales_it():
    model = make(early_stopping=False, linear_skip_training="fine_tune").partial_fit(X[:100], 1e-3 * Y[:100])
    skip = model.parameters_["weight_skip"] * model.target_scale_[:, np.newaxis]
    with pytest.warns(UserWarning, match="far from the blocks before"):
        model.partial_fit(X, Y)
    assert model.target_scale_.min() > 1
    assert_allclose(model.parameters_["weight_skip"] * model.target_scale_[:, np.newaxis], skip, atol=0.1)


def test_other_losses_begin_with_the_mean():
    """Each of them is good from the linear part on; counts and classes through their links."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(800, 3))
    signal = X[:, 0] + 0.5 * np.roll(X[:, 1], 2)
    options = {"sequence_length": 4, "linear_skip": 4, "hidden_size": 4, "max_iter": 1, "learning_rate_init": 1e-6}
    for loss in ("squared_error", "absolute_error", "huber", "log_cosh"):
        assert DeepLSTMRegressor(**options, loss=loss).fit(X, signal).skip_score_ > 0.9, loss
    quantiles = DeepLSTMRegressor(**options, loss="quantile", quantile=(0.1, 0.5, 0.9)).fit(X, signal)
    assert quantiles.skip_score_ > 0.7
    assert np.ptp(quantiles.parameters_["weight_skip"], axis=0).max() < 1e-6
    counts = rng.poisson(np.exp(1.0 + signal))
    assert DeepLSTMRegressor(**options, loss="poisson").fit(X, counts).skip_score_ > 0.5


@pytest.mark.parametrize("kind", ["two classes", "three classes", "labels"])
def test_classifiers_begin_with_the_regression_of_one_and_zero(kind):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(900, 3))
    signal = X[:, 0] + 0.5 * np.roll(X[:, 1], 2) + 0.3 * rng.normal(size=900)
    y = {"two classes": signal > 0.3, "three classes": np.digitize(signal, [-0.5, 0.8])}.get(
        kind, np.column_stack([signal > 0, X[:, 2] > 0.5]).astype(int)
    )
    model = DeepLSTMClassifier(
        4, sequence_length=4, linear_skip=4, max_iter=1, learning_rate_init=1e-6, random_state=0
    ).fit(X[:700], y[:700])
    assert model.best_iteration_ == 0
    assert 0.4 < model.skip_score_ < 1
    if kind != "labels":
        found = log_loss(y[703:], model.predict_proba(X[703:], context=X[700:703]))
        prior = np.unique(y[:700], return_counts=True)[1] / 700
        assert found < 0.6 * log_loss(y[703:], np.tile(prior, (197, 1)))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "quantile"])
def test_an_output_without_weight_in_the_first_call(loss):
    """It starts at zero, and is learnt when it comes."""
    weight = np.ones((N, 2))
    weight[:, 1] = 0
    model = make(loss=loss, window_norm=None).partial_fit(X, np.abs(Y), sample_weight=weight)
    assert_array_equal(model.parameters_["weight_skip"][1], 0)
    assert np.isfinite([*model.predict(X).ravel(), model.skip_score_]).all()
    model.partial_fit(X, np.abs(Y))
    assert np.ptp(model.predict(X)[:, 1]) > 0


@pytest.mark.parametrize("kind", ["two classes", "three classes", "labels"])
def test_a_class_that_comes_later_keeps_a_probability(kind):
    """That of half a sample."""
    if kind == "labels":
        first, classes = np.tile([0, 1], (N, 1)), None
    else:
        first, classes = np.zeros(N, int), np.arange(2 if kind == "two classes" else 3)
    probabilities = make(DeepLSTMClassifier).partial_fit(X, first, classes=classes).predict_proba(X)
    absent = np.abs(first - probabilities) if kind == "labels" else probabilities[:, 1:]
    assert (absent > 0.5 / N / 2).all()
    assert (absent < 0.05).all()


def test_same_bits_whatever_the_threads():
    """Those of BLAS change none either, as in the workers of joblib."""
    models = [make(n_jobs=n, linear_skip_training="fine_tune").fit(X, Y) for n in (1, 2, 3)]
    with threadpool_limits(1, user_api="blas"):
        models.append(make(n_jobs=2, linear_skip_training="fine_tune").fit(X, Y))
    for model in models[1:]:
        assert parameters_equal(model, models[0])
        assert model.skip_score_ == models[0].skip_score_
    again = pickle.loads(pickle.dumps(models[0]))
    assert_array_equal(again.predict(X), models[0].predict(X))
    assert parameters_equal(clone(models[0]).fit(X, Y), models[0])


def test_a_stream_says_the_same():
    model = make(window_norm="last", target_column=[0, 1], dtype="float32", patch_length=2).fit(X, Y)
    stream = model.stream()
    assert_array_equal([stream.step(row) for row in X[:40]], model.predict(X[:40]))


def test_bits_of_float32_tables_and_of_other_cells():
    model = make(DeepRNNRegressor, cell="gru", dtype="float32", early_stopping=False).fit(X.astype(np.float32), Y)
    other = make(DeepRNNRegressor, cell="elman", dtype="float32", early_stopping=False).fit(X.astype(np.float32), Y)
    assert_array_equal(model.parameters_["weight_skip"], other.parameters_["weight_skip"])


def test_the_validation_part_of_the_user_is_not_learnt():
    """Samples that early stopping sets aside itself are, in the end."""
    own = make(max_iter=1).fit(X, Y).parameters_["weight_skip"]
    brought = make(max_iter=1).fit(X[:440], Y[:440], X_val=X[447:], y_val=Y[447:]).parameters_["weight_skip"]
    changed = make(max_iter=1).fit(X[:440], Y[:440], X_val=X[447:], y_val=Y[447:] + 5).parameters_["weight_skip"]
    assert np.abs(own - brought).max() > 1e-4
    assert brought.shape == changed.shape


def test_verbose_tells_it(capsys):
    model = make(verbose=True).fit(X, Y)
    assert f"Linear part alone: validation score {model.skip_score_:.6f}\n" in capsys.readouterr().out


STATEFUL = {"training": "stateful", "shuffle": False, "sequence_length": 1, "linear_skip": 9, "bptt_steps": 7}


def test_stateful_training_skips_over_the_current_row_and_those_before():
    groups = np.repeat([0, 1], [300, 200])
    model = make(**STATEFUL, early_stopping=False).fit(X, Y, groups=groups)
    windows = np.vstack([windows_of(X[groups == g], model, 9, 9) for g in (0, 1)])
    z = (Y - model.target_mean_) / model.target_scale_
    full = np.r_[8:300, 308:500]
    ridge = Ridge(alpha=model.ridge_penalty_).fit(windows[full], z[full])
    assert_allclose(model.parameters_["weight_skip"], ridge.coef_, rtol=1e-6, atol=1e-9)
    plain = model.predict(X, groups=groups)
    parts = [model.predict(X[groups == g], groups=groups[groups == g]) for g in (0, 1)]
    assert_array_equal(np.vstack(parts), plain)
    answers = (plain - model.target_mean_) / model.target_scale_ - windows @ model.parameters_["weight_skip"].T
    head = model.transform(X, groups=groups) @ model.parameters_["weight_out"].T + model.parameters_["bias_out"]
    assert_allclose(answers, head, rtol=1e-9, atol=1e-9)
    before = {"context": X[:100], "context_groups": groups[:100]}
    assert_array_equal(model.predict(X[100:300], groups=groups[100:300], **before), plain[100:300])


@pytest.mark.parametrize("n_streams", [None, 3])
def test_stateful_streams_keep_the_rows_that_the_skip_reads(n_streams):
    model = make(**STATEFUL, dtype="float32").fit(X, Y)
    expected, stream = model.predict(X[:60]), model.stream(n_streams=n_streams)
    row = (lambda t: X[t]) if n_streams is None else (lambda t: np.tile(X[t], (n_streams, 1)))
    one = (lambda answer: answer) if n_streams is None else (lambda answer: answer[-1])
    for t in range(25):
        assert_array_equal(one(stream.step(row(t))), expected[t])
    state, copied = stream.state, pickle.loads(pickle.dumps(stream))
    assert state["rows"].shape == (n_streams or 1, 8, 3)
    later = model.stream(n_streams=n_streams)
    later.state = state
    after = model.stream(
        n_streams=n_streams, context=X[:25] if n_streams is None else np.tile(X[:25], (n_streams, 1, 1))
    )
    for t in range(25, 60):
        for one_stream in (stream, copied, later, after):
            assert_array_equal(one(one_stream.step(row(t))), expected[t])
    stream.reset()
    assert_array_equal(one(stream.step(row(0))), expected[0])
    with pytest.raises(ValueError, match="n_rows"):
        later.state = {**state, "n_rows": state["n_rows"] + 9}


def test_targets_of_sequences():
    rng = np.random.default_rng(5)
    lists = [rng.normal(size=(20 + k, 2)) for k in range(30)]
    targets = [rows[:, 0] - 2.0 * np.r_[np.zeros(3), rows[:-3, 1]] + 0.1 * rng.normal(size=len(rows)) for rows in lists]
    model = DeepLSTMRegressor(4, targets="sequence", linear_skip=5, max_iter=2, random_state=0).fit(lists, targets)
    assert model.skip_score_ > 0.98
    found = model.predict(lists)
    stream = model.stream()
    assert_array_equal([stream.step(row) for row in lists[3]], found[3])
    skip = (model.parameters_["weight_skip"].reshape(5, 2) / model.input_scale_ * model.target_scale_).round(1)
    assert_allclose(skip[[1, 4], [1, 0]], [-2.0, 1.0])


def test_it_is_not_pruned():
    model = make(early_stopping=False, warm_start=True).fit(X, Y)
    pruned = prune(model, 0.5)
    assert_array_equal(pruned.parameters_["weight_skip"], model.parameters_["weight_skip"])
    assert_array_equal(pruned.partial_fit(X, Y).parameters_["weight_skip"], model.parameters_["weight_skip"])


@pytest.mark.parametrize("n_columns", [4, 40])
def test_fewer_samples_than_columns(n_columns):
    """A regression that passes through all samples is not taken for a good one, also where its trace is estimated."""
    rng = np.random.default_rng(4)
    array, y = rng.normal(size=(60, 20, n_columns)), rng.normal(size=60)
    model = DeepLSTMRegressor(4, linear_skip=20, max_iter=1, random_state=0, early_stopping=False).fit(array, y)
    assert model.skip_score_ < 0.95
    test, noise = rng.normal(size=(500, 20, n_columns)), rng.normal(size=500)
    assert np.square(model.predict(test) - noise).mean() < 1.5 * np.square(noise).mean()
    y = array[:, -1, 0] + 0.1 * y
    model = DeepLSTMRegressor(4, linear_skip=20, max_iter=1, random_state=0, early_stopping=False).fit(array, y)
    assert model.skip_score_ > 0.3
