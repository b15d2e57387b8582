"""A sample of weight zero is not there: in the estimators, the same bits as without it."""

import warnings

import numpy as np
import pytest
from estimator_case import parameters_equal

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._network.network import Network
from sklstm._training.passes import SeriesPasses

RNG = np.random.default_rng(5)
SMALL = {"hidden_size": 4, "sequence_length": 8, "max_iter": 3, "n_jobs": 1, "random_state": 0}
X = RNG.normal(size=(960, 3))
SIGNAL = X[:, 0] + np.roll(X[:, 1], 1)
# One label in a day of 24 hours: windows of at most so many rows share none.
DAILY = (np.arange(960) % 24 == 23).astype(float)
WINDOWS = [X[i - 7 : i + 1] for i in np.flatnonzero(DAILY)]


def make(case, **options):
    return case.kind(**{**SMALL, **options})


def targets(case):
    """Targets whose values where nothing weighs would change everything, and the same with other values there."""
    y = np.where(SIGNAL > 0, "up", "down").astype(object) if case.is_classifier else 3.0 + SIGNAL
    placeholder = y.copy()
    placeholder[DAILY == 0] = "nobody knows" if case.is_classifier else np.nan
    return y, placeholder


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True, "validation_fraction": 0.25},
        {"window_norm": "last"},
        {"window_norm": "standard", "dtype": "float64", "batch_size": 7},
        {"shuffle": "blocks", "early_stopping": True, "dtype": "float64"},
    ],
    ids="-".join,
)
@pytest.mark.filterwarnings("ignore:window_norm takes target")
def test_the_samples_alone(case, options):
    if not case.is_classifier and "window_norm" in options:
        options = {**options, "target_column": 0}
    y, placeholder = targets(case)
    y = y.astype(str) if case.is_classifier else y
    if case.is_classifier:
        options = {**options, "class_weight": "balanced"}
    alone = make(case, **options).fit(np.stack(WINDOWS), y[DAILY > 0])
    if case.is_classifier and options.get("early_stopping"):
        # Of a set, the last ones of each class are set aside; of a table, the last ones.
        n = 10 if "validation_fraction" in options else 4
        parts = np.stack(WINDOWS[: 40 - n]), np.stack(WINDOWS[40 - n :])
        alone = make(case, **options).fit(
            parts[0], y[DAILY > 0][: 40 - n], X_val=parts[1], y_val=y[DAILY > 0][40 - n :]
        )
    for given in (y, placeholder):
        among = make(case, **options).fit(X, given, sample_weight=DAILY)
        assert parameters_equal(among, alone)
        assert among.validation_scores_ == alone.validation_scores_
        assert among.loss_curve_ == alone.loss_curve_


def test_only_the_samples_are_computed(case, monkeypatch):
    """Labels in one of 24 rows cost what they cost alone."""
    computed = []
    original = Network.loss_and_gradient

    def counting(self, sequences, rows, *arguments):
        computed.append(len(rows))
        return original(self, sequences, rows, *arguments)

    monkeypatch.setattr(Network, "loss_and_gradient", counting)
    make(case).fit(X, targets(case)[1], sample_weight=DAILY)
    assert sum(computed) == 3 * 40
    assert len(computed) == 3 * 5  # batches of 8: "auto" counts the samples that are there


def test_the_last_rows_may_have_no_weight(case):
    """240 rows, the last 24 still without a label: early stopping looks at the last of those that have one."""
    y, weights = targets(case)[0][:240], np.r_[np.ones(216), np.zeros(24)]
    model = make(case, max_iter=5).fit(X[:240], y, sample_weight=weights)
    assert len(model.validation_scores_) == 5
    expected = make(case, max_iter=5).fit(X[:216], y[:216])
    assert parameters_equal(model, expected)
    assert model.validation_scores_ == expected.validation_scores_


def test_early_stopping_counts_samples_that_are_there(case):
    y = targets(case)[0][:240]
    weights = (np.arange(240) % 24 == 0).astype(float)
    model = make(case).fit(X[:240], y, sample_weight=weights)
    assert model.validation_scores_ is None
    assert len(model.loss_curve_) == 3


def test_the_gap_is_counted_in_rows(case):
    """With every second sample there, windows of 8 rows leave 3 samples out, not 7."""
    weights = (np.arange(240) % 2 == 0).astype(float)
    alike = {"batch_size": 500, "input_scaling": None}  # a row counts once in a table
    model = make(case, early_stopping=True, **alike).fit(X[:240], targets(case)[0][:240], sample_weight=weights)
    first = [(i - 7, i) for i in range(0, 240, 2)]
    train = [i for i, (_, last) in enumerate(first) if last < first[108][0]]
    assert len(train) == 105
    expected = make(case, **alike).fit(
        *(
            [X[max(0, 2 * i - 7) : 2 * i + 1] for i in train],
            targets(case)[0][:240:2][train],
        ),
        X_val=[X[2 * i - 7 : 2 * i + 1] for i in range(108, 120)],
        y_val=targets(case)[0][216:240:2],
    )
    assert model.loss_curve_ == pytest.approx(expected.loss_curve_, rel=1e-5)


def test_placeholders_weigh_nothing_where_classes_are_balanced():
    """They moved probabilities by .17."""
    y = (SIGNAL > 0.8).astype(int)
    weights = np.where(np.arange(960) % 3, 1.0, 0.0)
    models = []
    for label in (0, 1):
        placeholder = np.where(weights > 0, y, label)
        model = DeepLSTMClassifier(**SMALL, class_weight="balanced").fit(X, placeholder, sample_weight=weights)
        models.append(model)
    np.testing.assert_array_equal(*(model.predict_proba(X) for model in models))


def test_balanced_counts_weights():
    """A sample of weight 3 is three samples."""
    samples, y = RNG.normal(size=(60, 5, 3)), RNG.integers(0, 3, 60)
    weights = RNG.integers(1, 4, 60)
    full = {**SMALL, "batch_size": 1000, "shuffle": False, "dtype": "float64", "class_weight": "balanced"}
    index = np.repeat(np.arange(60), weights)
    weighted = DeepLSTMClassifier(**full).fit(samples, y, sample_weight=weights)
    repeated = DeepLSTMClassifier(**full).fit(samples[index], y[index])
    np.testing.assert_allclose(weighted.predict_proba(samples), repeated.predict_proba(samples), rtol=1e-9)


def test_signs_and_units_are_those_of_the_samples():
    present = DAILY > 0
    y = np.where(present, np.exp(SIGNAL), -1.0)
    model = DeepLSTMRegressor(**SMALL, loss="poisson").fit(X, y, sample_weight=DAILY)
    assert model.target_scale_ == pytest.approx(y[present].mean(), rel=1e-12)
    y[24 * 5 - 1] = -2.0
    with pytest.raises(ValueError, match="y holds -2 in row 119; loss='poisson' needs targets of at least 0"):
        DeepLSTMRegressor(**SMALL, loss="poisson").fit(X, y, sample_weight=DAILY)
    levels = np.where(present, X[:, 0], 1e9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepLSTMRegressor(**SMALL, window_norm="last", target_column=0).fit(X, levels, sample_weight=DAILY)


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_scale_of_the_target(loss):
    y = 3.0 + SIGNAL
    model = DeepLSTMRegressor(**SMALL, loss=loss).fit(X, np.where(DAILY > 0, y, 1e9), sample_weight=DAILY)
    assert (model.target_mean_, model.target_scale_) == pytest.approx((y[DAILY > 0].mean(), y[DAILY > 0].std()))


def test_a_validation_part_of_your_own(case):
    y, placeholder = targets(case)
    part = {"X_val": X[480:], "sample_weight_val": DAILY[480:]}
    y = y.astype(str) if case.is_classifier else y
    models = [make(case).fit(X[:480], y[:480], y_val=y_val[480:], **part) for y_val in (y, placeholder)]
    assert models[0].validation_scores_ == models[1].validation_scores_
    windows = make(case).fit(X[:480], y[:480], X_val=WINDOWS[20:], y_val=y[480:][DAILY[480:] > 0])
    assert models[0].validation_scores_ == windows.validation_scores_


def test_partial_fit(case):
    y, placeholder = targets(case)
    y = y.astype(str) if case.is_classifier else y
    models = [make(case).partial_fit(X, given, sample_weight=DAILY) for given in (y, placeholder)]
    assert parameters_equal(*models)
    assert parameters_equal(models[0], make(case).partial_fit(np.stack(WINDOWS), y[DAILY > 0]))


def test_what_weighs_nothing_may_be_anything_and_the_rest_may_not(case):
    y = targets(case)[0]
    y[5] = None if case.is_classifier else np.inf
    weights = np.ones(960)
    with pytest.raises((ValueError, TypeError), match="y"):
        make(case).fit(X, y, sample_weight=weights)
    weights[5] = 0.0
    make(case, max_iter=1).fit(X, y, sample_weight=weights)


def test_series_are_read_whole(case):
    """With carried states the rows between are read; their targets count for nothing, and neither does an epoch."""
    y, placeholder = targets(case)
    y = y.astype(str) if case.is_classifier else y
    options = {"training": "stateful", "shuffle": False, "bptt_steps": 16, "early_stopping": True}
    models = [make(case, **options).fit(X, given, sample_weight=DAILY) for given in (y, placeholder)]
    assert parameters_equal(*models)
    assert models[0].validation_scores_ == models[1].validation_scores_
    # The loss of the first look is the mean over the samples, whatever stands between them.
    frozen = {**options, "learning_rate_init": 1e-300, "early_stopping": False, "dtype": "float64", "max_iter": 1}
    model = make(case, **frozen).fit(X, placeholder, sample_weight=DAILY)
    if case.is_classifier:
        index = np.searchsorted(model.classes_, y[DAILY > 0])
        expected = -model.predict_log_proba(X)[DAILY > 0][np.arange(40), index].mean()
    else:
        expected = ((model.predict(X) - y)[DAILY > 0] ** 2).mean() / model.target_scale_**2 / 2
    assert model.loss_ == pytest.approx(expected, rel=1e-12)


def test_steps_without_a_sample_are_none(case, monkeypatch):
    """Their rows carry the states on; the solver makes no step."""
    taken, original = [], SeriesPasses.steps

    def counting(self, epoch):
        taken.append((self.n_steps, list(original(self, epoch))))
        return iter(taken[-1][1])

    monkeypatch.setattr(SeriesPasses, "steps", counting)
    weights = np.where((np.arange(960) < 100) | (np.arange(960) >= 900), 1.0, 0.0)
    options = {"training": "stateful", "shuffle": False, "bptt_steps": 16, "batch_size": 1, "max_iter": 1}
    make(case, **options, early_stopping=False).fit(X, case.target(SIGNAL), sample_weight=weights)
    [(n_steps, steps)] = taken
    assert [n for _, n in steps] == [16] * 6 + [4] + [12] + [16] * 3
    assert n_steps == len(steps)


def test_streams_are_cut_by_rows(case):
    """960 rows in steps of 8 run in three streams, however few of them are samples."""
    options = {"training": "stateful", "shuffle": False, "bptt_steps": 8, "early_stopping": False}
    found, expected, other = (
        make(case, **options, batch_size=size).fit(X, case.target(SIGNAL), sample_weight=DAILY).loss_curve_
        for size in ("auto", 3, 1)
    )
    assert found == expected != other
