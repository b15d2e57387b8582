"""``targets="sequence"`` with missing targets, weights, labels and quantiles of steps, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from estimator_case import flat, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold
from steps_case import ARRAY, FULL_BATCH, LENGTHS, RAGGED, SEQUENCE, SIGNALS, each_option, fit, lists_equal, targets_of

from sklstm import (
    DeepLSTMClassifier,
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    WeightedEnsembleRegressor,
    quantize,
)
from sklstm.compression import distill, factorize, prune

# Missing targets and weights


@each_option
def test_what_a_missing_target_would_be_does_not_matter(case, options):
    y = targets_of(case)
    holes = [np.random.default_rng(i).random(len(x)) < 0.3 for i, x in enumerate(RAGGED)]
    if case.is_classifier:
        missing = [np.where(hole, None, labels.astype(object)) for hole, labels in zip(holes, y, strict=True)]
    else:
        missing = [np.where(hole, np.nan, numbers) for hole, numbers in zip(holes, y, strict=True)]
    weights = [np.where(hole, 0.0, 1.0) for hole in holes]
    model = case.make(**SEQUENCE, **options).fit(RAGGED, missing)
    assert parameters_equal(model, case.make(**SEQUENCE, **options).fit(RAGGED, y, sample_weight=weights))
    assert model.score(RAGGED, missing) == pytest.approx(model.score(RAGGED, y, sample_weight=weights))
    assert [len(answers) for answers in model.predict(RAGGED)] == LENGTHS.tolist()


def test_rows_behind_the_last_target_are_read(case):
    """By the backward direction, as they are when the model predicts."""
    y = targets_of(case)
    cut = [np.where(np.arange(len(x)) < max(1, len(x) - 3), labels.astype(object), None)
           for x, labels in zip(RAGGED, y, strict=True)]  # fmt: skip
    if not case.is_classifier:
        cut = [labels.astype(float) for labels in cut]
    shortened = [x[: max(1, len(x) - 3)] for x in RAGGED]
    own = [labels[: len(x)] for x, labels in zip(shortened, y, strict=True)]
    for bidirectional in (False, True):
        options = {**FULL_BATCH, "bidirectional": bidirectional, "input_scaling": None}
        long = case.make(**SEQUENCE, **options).fit(RAGGED, cut)
        short = case.make(**SEQUENCE, **options).fit(shortened, own)
        assert np.allclose(flat(long), flat(short), rtol=1e-9) == (not bidirectional)


def test_entries_of_several_targets_are_missing_one_by_one(regressor):
    rng = np.random.default_rng(0)
    y = [np.column_stack([np.cumsum(x[:, 0]), x[:, 1]]) for x in RAGGED]
    holes = [rng.random(numbers.shape) < 0.3 for numbers in y]
    missing = [np.where(hole, np.nan, numbers) for hole, numbers in zip(holes, y, strict=True)]
    weights = [1.0 - hole for hole in holes]
    model = regressor.make(**SEQUENCE).fit(RAGGED, missing)
    assert parameters_equal(model, regressor.make(**SEQUENCE).fit(RAGGED, y, sample_weight=weights))
    assert model.predict(RAGGED)[0].shape == (LENGTHS[0], 2)
    flat_y, flat_w, predicted = (np.concatenate(one) for one in (y, weights, model.predict(RAGGED)))
    expected = np.mean([r2_score(flat_y[:, k], predicted[:, k], sample_weight=flat_w[:, k]) for k in range(2)])
    assert model.score(RAGGED, missing) == pytest.approx(expected)


def test_a_weight_of_a_sequence_is_that_of_its_steps(case):
    weights = np.random.default_rng(0).integers(0, 4, size=30).astype(float)
    y = targets_of(case)
    of_steps = [np.full(len(x), weight) for x, weight in zip(RAGGED, weights, strict=True)]
    models = [
        case.make(**SEQUENCE).fit(RAGGED, y, sample_weight=form, X_val=RAGGED, y_val=y, sample_weight_val=form)
        for form in (weights, weights.tolist(), of_steps)
    ]
    assert parameters_equal(models[0], models[1])
    assert parameters_equal(models[0], models[2])
    assert models[0].score(RAGGED, y, sample_weight=weights) == models[0].score(RAGGED, y, sample_weight=of_steps)


def test_score_is_over_all_steps(case):
    model, y = fit(case), targets_of(case)
    metric = accuracy_score if case.is_classifier else r2_score
    assert model.score(RAGGED, y) == pytest.approx(metric(np.concatenate(y), np.concatenate(model.predict(RAGGED))))


def test_scoring_sees_the_steps(case):
    """All steps of the validation part, as samples."""
    y = targets_of(case)
    name = "accuracy" if case.is_classifier else "r2"
    about = {"early_stopping": True, "validation_fraction": 0.2, "scoring": name}
    model = case.make(**SEQUENCE, **about).fit(RAGGED, y)
    assert max(model.validation_scores_) == pytest.approx(model.score(RAGGED[24:], y[24:]), rel=1e-6)


# Kinds of targets


def test_conformal_bands_hold_their_share_of_steps():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(20, 2)) for _ in range(60)]
    y = [x[:, 0] + rng.normal(size=20) for x in X]
    about = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "conformal": True, "max_iter": 3, "random_state": 0}
    model = DeepRNNRegressor(4, **about, **SEQUENCE).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])

    def share(part):
        bands, targets = np.concatenate(model.predict_quantiles(X[part])), np.concatenate(y[part])
        return np.mean((bands[:, 0] <= targets) & (targets <= bands[:, 2]))

    assert share(slice(40, 60)) == pytest.approx(0.8, abs=0.01)
    model.calibrate(X[:20], y[:20])
    assert share(slice(0, 20)) == pytest.approx(0.8, abs=0.01)


def test_quantiles_and_losses():
    model = DeepRNNRegressor(4, loss="quantile", quantile=[0.1, 0.5, 0.9], max_iter=2, random_state=0, **SEQUENCE)
    answers = model.fit(RAGGED, SIGNALS).predict_quantiles(RAGGED)
    assert [one.shape for one in answers] == [(n, 3) for n in LENGTHS]
    lists_equal([one[:, 1] for one in answers], model.predict(RAGGED))
    counts = [np.random.default_rng(0).poisson(3, len(x)) for x in RAGGED]
    for loss in ("absolute_error", "huber", "poisson"):
        model = DeepRNNRegressor(4, loss=loss, max_iter=2, random_state=0, **SEQUENCE).fit(RAGGED, counts)
        assert np.isfinite(np.concatenate(model.predict(RAGGED))).all()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", ["text", "floats", "integers"])
def test_labels_of_steps(kind, n_classes):
    codes = [np.digitize(signal, [0.0, 1.0][: n_classes - 1]) for signal in SIGNALS]
    labels = np.array(["down", "up", "wild"]) if kind == "text" else np.array([3, 5, 7])
    y = [labels[own].astype(float if kind == "floats" else labels.dtype) for own in codes]
    if kind == "floats":
        y[4][0] = np.nan
    model = DeepRNNClassifier(4, max_iter=2, random_state=0, class_weight="balanced", label_smoothing=0.1, **SEQUENCE)
    model.fit(RAGGED, y)
    assert_array_equal(model.classes_, labels[:n_classes])
    assert {one.dtype.kind for one in model.predict(RAGGED)} == {y[0].dtype.kind}
    answers = model.predict_proba(RAGGED)
    assert [one.shape for one in answers] == [(n, n_classes) for n in LENGTHS]
    assert_allclose(np.exp(np.concatenate(model.predict_log_proba(RAGGED))), np.concatenate(answers), rtol=1e-12)
    assert 0 <= model.score(RAGGED, y) <= 1
    weights = dict(zip(labels.tolist(), [1.0, 2.0, 0.0], strict=True))
    assert model.set_params(class_weight=weights).fit(RAGGED, y).n_iter_ == 2


def test_matrices_of_labels():
    """Any number of labels at each step, as the keys of a piano; missing ones are NaN, or None."""
    y = [np.column_stack([signal > 0, signal > 1, signal < 0]).astype(float) for signal in SIGNALS]
    model = DeepRNNClassifier(4, max_iter=2, random_state=0, **SEQUENCE)
    full = clone(model).fit(RAGGED, [labels.astype(int) for labels in y])
    assert parameters_equal(full, clone(model).fit(RAGGED, y))
    assert full.predict_proba(RAGGED)[0].shape == (LENGTHS[0], 3)
    right = (np.concatenate(full.predict(RAGGED)) == np.concatenate(y)).all(axis=1)
    assert full.score(RAGGED, y) == pytest.approx(right.mean())
    y[2][:, 1], y[5][0] = np.nan, np.nan
    holes = clone(model).fit(RAGGED, y)
    assert not parameters_equal(full, holes)
    as_objects = [np.where(np.isnan(labels), None, labels.astype(object)) for labels in y]
    assert parameters_equal(holes, clone(model).fit(RAGGED, as_objects))
    assert parameters_equal(
        clone(model).set_params(class_weight="balanced").fit(RAGGED, y),
        clone(model).set_params(class_weight="balanced").fit(RAGGED, as_objects),
    )
    assert 0 <= holes.score(RAGGED, y) <= 1


def test_frames_and_searches():
    X = [pd.DataFrame(x, columns=["a", "b", "c"]) for x in RAGGED]
    y = [pd.Series(signal) for signal in SIGNALS]
    model = DeepRNNRegressor(4, max_iter=2, random_state=0, **SEQUENCE).fit(X, y)
    assert parameters_equal(model, clone(model).fit(RAGGED, SIGNALS))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    search = GridSearchCV(model, {"hidden_size": [2, 4]}, cv=KFold(3), error_score="raise").fit(RAGGED, SIGNALS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    dates = [pd.date_range("2024-01-01", periods=n) for n in LENGTHS]
    dated = [x.set_index(own) for x, own in zip(X, dates, strict=True)]
    late = [signal.set_axis(own + pd.Timedelta("100D")) for signal, own in zip(y, dates, strict=True)]
    with pytest.raises(ValueError, match=r"X\[\d+\] and y\[\d+\] share no row"):
        clone(model).fit(dated, late)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.filterwarnings("ignore::sklstm.PerformanceWarning")
def test_formats_and_smaller_models(case, dtype, bidirectional):
    y = targets_of(case)
    model = fit(case, dtype=dtype, bidirectional=bidirectional, hidden_size=8)
    lists_equal([case.output(model, [x])[0] for x in RAGGED], case.output(model, RAGGED))
    small = quantize(model, RAGGED, "int16", max_error=0.5)
    lists_equal([case.output(small, [x])[0] for x in RAGGED], case.output(small, RAGGED))
    assert_allclose(np.concatenate(small.transform(RAGGED)), np.concatenate(model.transform(RAGGED)), atol=0.02)
    pruned = prune(model, 0.5).partial_fit(RAGGED, y)
    assert (pruned.parameters_["weight_hh_l0"] == 0).any()
    assert factorize(model, 3).predict(RAGGED)[0].shape == (LENGTHS[0],)


# Refusals


def test_what_does_not_go_with_it(case):
    y = targets_of(case)
    excluded = [
        ({"training": "stateful", "shuffle": False}, "training='stateful': sequences are read whole"),
        ({"pooling": "mean"}, "pooling='mean': each row has an output"),
        ({"patch_length": 2}, "patch_length=2: each row has an output"),
        ({"window_norm": "last"}, "window_norm='last': moments of the whole"),
        ({"carry_context": True}, "carry_context=True: a set of sequences"),
    ]
    for options, message in excluded:
        with pytest.raises(ValueError, match=f"targets='sequence' cannot be combined with {message}"):
            case.make(**SEQUENCE, **options).fit(RAGGED, y)
    model = fit(case)
    with pytest.raises(ValueError, match=r"set_output\(transform='pandas'\) does not apply"):
        model.set_output(transform="pandas").transform(RAGGED)
    with pytest.raises(ValueError, match="distill: the student has targets='sequence'"):
        distill(case.fit(), case.make(**SEQUENCE), case.array, case.array_y)
    with pytest.raises(ValueError, match=r"distill: the teacher .* has targets='sequence'"):
        distill(model, case.make(), case.array, case.array_y)


def test_ensembles_refuse_it(regressor):
    ensemble = WeightedEnsembleRegressor([("a", regressor.make()), ("b", regressor.make(**SEQUENCE))])
    with pytest.raises(ValueError, match=r"Member 'b'.* has targets='sequence'"):
        ensemble.fit(ARRAY, ARRAY[:, 0, 0])


def test_targets_are_not_changed_after_fit(case):
    model = fit(case, warm_start=True)
    message = "targets='sample' was set after the network had been trained with targets='sequence'"
    with pytest.raises(ValueError, match=message):
        model.set_params(targets="sample").predict(RAGGED)
    with pytest.raises(ValueError, match=message):
        model.fit(case.ragged, case.ragged_y)
    model = case.make(warm_start=True).fit(case.ragged, case.ragged_y).set_params(**SEQUENCE)
    for call in (lambda: model.predict(RAGGED), lambda: model.fit(RAGGED, targets_of(case))):
        with pytest.raises(ValueError, match=r"targets='sequence' was set .* trained with targets='sample'"):
            call()
    stateful = case.fit(training="stateful", shuffle=False)
    with pytest.raises(ValueError, match="targets='sequence' was set"):
        stateful.set_params(training="windows", **SEQUENCE).predict(RAGGED)


def other(y, place, value):
    return [*y[:place], value, *y[place + 1 :]]


NAN, ONES = [np.full(n, np.nan) for n in LENGTHS], [np.ones(n) for n in LENGTHS]
N = LENGTHS[3]
Y = [signal > 0 for signal in SIGNALS]  # of both kinds
BAD = [
    ("table", RAGGED[3], Y[3], r"goes with a set of sequences X.*ndarray of shape \(\d+, 3\).*pass \[X\] and \[y\]"),
    ("one value each", RAGGED, [0, 1] * 15, r"y has 30 single values, but .* 30 sequences .*set targets='sample'"),
    ("a number", RAGGED, 3.0, r"y has 1 single values, but targets='sequence'"),
    ("too few", RAGGED, Y[:-1], r"y has arrays for 29 sequences, expected 30, one for each sequence of X"),
    ("short entry", RAGGED, other(Y, 3, Y[3][1:]), rf"y\[3\] has shape \({N - 1},\), expected \({N},\) or \({N}, n_o.*"
     rf"X\[3\] has {N} rows"),
    ("3-D entry", RAGGED, other(Y, 3, Y[3][:, None, None]), rf"y\[3\] has shape \({N}, 1, 1\), expected \({N},\)"),
    ("other outputs", RAGGED, other(Y, 3, np.ones((N, 2))), rf"y\[3\] has shape \({N}, 2\), expected \({N},\): y\[0\]"),
    ("ragged entry", RAGGED, other(Y, 3, [[1], [1, 2]]), r"y\[3\]: "),
    ("view", RAGGED, dict(enumerate(Y)).values(), r"y is a dict_values.*list\(y\)"),
    ("mapping", RAGGED, dict(enumerate(Y)), r"y is a dict"),
    ("masked", RAGGED, other(Y, 3, np.ma.masked_array(np.ones(N))), r"y\[3\] is a masked array"),
    ("all missing", RAGGED, NAN, r"y holds no target: each one is missing \(NaN or None\), or has sample_weight 0"),
    ("infinity", RAGGED, other(ONES, 3, np.where(np.arange(N) == 1, np.inf, 1)), r"y holds inf in row 1 of y\[3\]"),
    ("dates", RAGGED, other(Y, 3, pd.date_range("2024", periods=N)), r"y\[3\] holds dates or times"),
    ("3-D of other length", ARRAY, np.ones((20, 5)), r"y\[0\] has shape \(5,\), expected \(6,\) or \(6, n_outputs\)"),
]  # fmt: skip


@pytest.mark.parametrize(("X", "y", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_targets(case, X, y, message):
    for call in ("fit", "partial_fit"):
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(case.make(**SEQUENCE), call)(X, y)
    if message.startswith(r"y"):
        with pytest.raises((ValueError, TypeError), match="^" + message.split(" ")[0].replace("y", "y_val", 1)):
            case.make(**SEQUENCE).fit(RAGGED, Y, X_val=X, y_val=y)
        with pytest.raises((ValueError, TypeError), match=message):
            case.make(**SEQUENCE).fit(RAGGED, Y).score(X, y)


def test_bad_numbers_and_labels():
    model, classifier = DeepLSTMRegressor(4, **SEQUENCE), DeepLSTMClassifier(4, **SEQUENCE)
    with pytest.raises(ValueError, match=r"y\[3\] must hold numbers, but .*classifier"):
        model.fit(RAGGED, other(SIGNALS, 3, ["a"] * N))
    with pytest.raises(ValueError, match=r"y holds -1 in row 0 of y\[3\]; loss='poisson'"):
        DeepLSTMRegressor(4, loss="poisson", **SEQUENCE).fit(RAGGED, other(ONES, 3, -np.ones(N)))
    far = other(SIGNALS, 3, np.where(np.arange(N) == N - 1, 1e300, SIGNALS[3]))
    with pytest.raises(ValueError, match=rf"y holds 1e\+300 in row {N - 1} of y\[3\], which is"):
        model.fit(RAGGED, SIGNALS).set_params(warm_start=True).fit(RAGGED, far)
    with pytest.raises(ValueError, match=r"y\[3\] holds <U1|y\[3\] holds str.*all text or all numbers"):
        classifier.fit(RAGGED, other(Y, 3, np.array(["a"] * N)))
    with pytest.raises(ValueError, match="needs samples of at least 2 classes"):
        classifier.fit(RAGGED, ONES)
    with pytest.raises(ValueError, match=r"y\[0\] has shape \(\d+, 2\), but the targets of this model"):
        model.fit(RAGGED, SIGNALS).score(RAGGED, [np.column_stack([s, s]) for s in SIGNALS])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(29), r"sample_weight has shape \(29,\), expected \(30,\)"),
        (ONES[:-1], "sample_weight has arrays for 29 sequences, expected 30"),
        (other(ONES, 3, np.ones(N + 1)), rf"sample_weight\[3\] has shape \({N + 1},\), expected \({N},\)"),
        ([np.ones((n, 2)) for n in LENGTHS], r"sample_weight\[0\] has shape \(\d+, 2\), expected \(n_steps,\)"),
        (other(ONES, 3, -np.ones(N)), "sample_weight holds negative values"),
        (other(ONES, 3, NAN[3]), "sample_weight"),
        (np.zeros(30), "sample_weight is zero for every sample"),
        ("heavy", "sample_weight"),
    ],
)
def test_bad_weights(case, weights, message):
    y = targets_of(case)
    with pytest.raises(ValueError, match=message):
        case.make(**SEQUENCE).fit(RAGGED, y, sample_weight=weights)
    with pytest.raises(ValueError, match=message):
        fit(case).score(RAGGED, y, sample_weight=weights)


def test_where_targets_of_steps_are_not_meant(case):
    with pytest.raises(ValueError, match=r"set targets='sequence', or stack them as a table"):
        case.make().fit(RAGGED, targets_of(case))
    with pytest.raises(ValueError, match="targets='sequence' goes with a set of sequences X"):
        fit(case).predict(RAGGED[3])
    with pytest.raises(ValueError, match="context goes with a 2-D table X"):
        fit(case).predict(RAGGED, context=RAGGED[0])
    with pytest.raises(ValueError, match="groups goes with a 2-D table X"):
        case.make(**SEQUENCE).fit(RAGGED, targets_of(case), groups=np.arange(30))
