"""The samples, the ridge regression and the measures of the study of forecasts, on data made here."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))  # the study is a script beside its modules

from few_sequences_study import RULES, together, weights
from forecast_study import forecast, weighted_mean
from random_convolutions import KERNELS, RandomConvolutions, convolved, quantiles
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from study_archive import at_points, classifier, flat, of_members, side_by_side, with_differences
from study_forecasts import m4_measures
from study_ridge import ridge_predictions
from study_rows import Problem, Row, series_samples

from sklstm import WeightedEnsembleClassifier


def test_a_row_counts_where_window_and_future_are_full():
    samples = series_samples([np.arange(10.0), np.arange(20.0, 27.0)], length=4, horizon=2)
    assert samples.X[samples.rows, 0].tolist() == [3, 4, 5, 6, 7, 23, 24]
    assert samples.targets[0].tolist() == [4, 5]
    assert samples.targets[-1].tolist() == [25, 26]
    assert samples.groups[samples.rows].tolist() == [0] * 5 + [1] * 2


def test_the_stride_counts_back_from_the_last_row():
    samples = series_samples([np.arange(10.0)], length=4, horizon=2, stride=3)
    assert samples.X[samples.rows, 0].tolist() == [4, 7]


def test_without_a_horizon_the_last_row_of_each_series_counts():
    samples = series_samples([np.arange(5.0), np.arange(7.0)], length=4, horizon=0)
    assert samples.X[samples.rows, 0].tolist() == [4, 6]


@pytest.mark.parametrize("relative", [True, False])
def test_ridge_finds_an_autoregression(relative):
    series = np.zeros(600)
    noise = np.random.default_rng(0).normal(size=600)
    for t in range(2, 600):
        series[t] = 1.5 * series[t - 1] - 0.7 * series[t - 2] + noise[t]
    cuts = [series_samples([series[a:b]], length=3, horizon=1) for a, b in ((0, 400), (400, 500), (500, 600))]
    problem = Problem(*cuts, score=None, measures=())
    rows = cuts[2].rows
    best = 1.5 * cuts[2].X[rows, 0] - 0.7 * cuts[2].X[rows - 1, 0]
    answer = ridge_predictions(problem, 3, relative)[:, 0]
    assert np.corrcoef(answer, best)[0, 1] > 0.99


def test_a_forecast_is_the_mean_of_networks_and_ridge_regressions():
    walk = np.random.default_rng(0).normal(size=300).cumsum()
    cuts = [series_samples([walk[a:b]], length=4, horizon=2) for a, b in ((0, 200), (200, 250), (250, 300))]

    def make(_folder, _part, _horizon, _settings):
        return Problem(*cuts, score=lambda answers: answers.ravel(), measures=())

    def row(*members):
        settings = {"hidden_size": 4, "sequence_length": 4, "max_iter": 2, "window_norm": "last", "members": members}
        arguments = SimpleNamespace(data=None, part="test", seeds=[0], n_jobs=1, verbose=False)
        return forecast(make, 2, settings, "walk", arguments).seeds[0]

    network, changes, levels = {}, {"ridge": 4}, {"ridge": 4, "window_norm": None}
    for member, relative in ((changes, True), (levels, False)):
        np.testing.assert_array_equal(row(member), ridge_predictions(make(*[None] * 4), 4, relative).ravel())
    parts = [row(member) for member in (network, changes, levels)]
    np.testing.assert_allclose(row(network, changes, levels), np.mean(parts, axis=0))
    apart = ridge_predictions(make(*[None] * 4), 4, False, decay=50, apart=[0]).ravel()
    counted = row({**changes, "weight": 2}, {**levels, "decay": 50, "apart": [0]})
    np.testing.assert_allclose(counted, (2 * parts[1] + apart) / 3)


def test_members_count_by_a_weight_or_one_for_each_series():
    samples = series_samples([np.arange(9.0), np.arange(9.0)], length=4, horizon=2)
    answers = [np.full((8, 2), value) for value in (1.0, 5.0, 10.0)]
    np.testing.assert_allclose(weighted_mean(answers, [1.0, 1.0, 2.0], samples), 6.5)
    found = weighted_mean(answers, [[1, 0], [1, 3], [2.0, 1.0]], samples)
    np.testing.assert_allclose(found, np.repeat([6.5, 6.25], 4)[:, None] * np.ones(2))


def walks(n, seed=0):
    """Return a problem whose series are `n` random walks."""
    walk = np.random.default_rng(seed).normal(size=(n, 300)).cumsum(axis=1)
    cuts = [series_samples(walk[:, a:b], length=4, horizon=2) for a, b in ((0, 200), (200, 250), (250, 300))]
    return Problem(*cuts, score=None, measures=())


@pytest.mark.parametrize("relative", [True, False])
def test_series_apart_have_a_ridge_of_their_own(relative):
    problem = walks(3)
    found = ridge_predictions(problem, 4, relative, apart=[1])
    groups = problem.evaluation.groups[problem.evaluation.rows]
    for which in (True, False):
        alone = ridge_predictions(problem.of_groups([1], which), 4, relative)
        np.testing.assert_array_equal(found[(groups == 1) == which], alone)
    assert not np.allclose(found, ridge_predictions(problem, 4, relative))
    problem.evaluation = series_samples(problem.evaluation.X.reshape(3, -1), length=4, horizon=0)
    assert ridge_predictions(problem, 4, relative, apart=[1]).shape == (3, 2)


@pytest.mark.parametrize("relative", [True, False])
def test_old_windows_count_less_in_a_ridge(relative):
    problem = walks(2)
    age = problem.train.age
    assert age[problem.train.groups[problem.train.rows] == 1].tolist() == list(range(194, -1, -1))
    np.testing.assert_allclose(
        ridge_predictions(problem, 4, relative, decay=1e9), ridge_predictions(problem, 4, relative), atol=1e-5
    )
    # With a decay of a row, what came long before does not count: other values there change nothing.
    changed = walks(2)
    first = changed.train.rows[:100]
    changed.train.y[first] += 100
    for decay, same in ((1, True), (None, False)):
        answers = [ridge_predictions(p, 4, relative, decay=decay) for p in (problem, changed)]
        assert np.allclose(*answers) == same


def test_measures_of_m4():
    history = [np.tile(np.arange(1.0, 25.0), 3) + np.repeat([0.0, 1.0, 2.0], 24)]  # a day later it is 1 more
    actual = np.full((1, 48), 10.0)
    smape, mase, owa = m4_measures(np.full((1, 48), 12.0), actual, history)
    assert smape == pytest.approx(200 * 2 / 22)
    assert mase == pytest.approx(2)
    assert owa == pytest.approx((smape / 18.383 + mase / 2.395) / 2)


def test_sequences_of_different_lengths_are_interpolated():
    table = flat([np.linspace(0, 1, n)[:, None] for n in (7, 29)])
    np.testing.assert_allclose(table[0], table[1])


def test_differences_are_further_columns():
    x = np.arange(6.0)[:, None] ** 2
    (found,) = with_differences([x], span=2)
    assert found[:, 0].tolist() == [0, 1, 4, 9, 16, 25]
    assert found[:, 1].tolist() == [4, 9, 16, 24, 21, 16]  # the ends stand for what lies beyond


def test_sequences_at_points():
    (found,) = at_points([np.column_stack([np.arange(5.0), np.zeros(5)])], 9)
    np.testing.assert_allclose(found, np.column_stack([np.arange(9) / 2, np.zeros(9)]))


def test_members_of_the_classifier():
    settings = {"hidden_size": 8, "max_iter": 2, "members": [{"differences": 1}, {"points": 4, "patch_length": 2}]}
    model = classifier(settings, 3, 1)
    details, outline = (member for _, member in model.estimators)
    x = np.arange(8.0)[:, None]
    assert details[0].transform([x])[0].shape == (8, 2)
    assert outline[0].transform([x])[0].shape == (4, 1)
    assert [member[-1].patch_length for member in (details, outline)] == [1, 2]
    assert all(member[-1].random_state == 3 for member in (details, outline))
    assert "members" in settings
    assert (model.weights, model.weights_loss) == ("auto", "auto")
    assert classifier({**settings, "ensemble": {"weights_loss": "squared_error"}}, 3, 1).weights_loss == "squared_error"


@pytest.mark.parametrize("rule", RULES.values())
def test_rules_for_weights_are_those_of_the_ensemble(rule):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], 20))
    X = rng.normal(size=(40, 3, 2)) + 0.7 * y[:, None, None]
    members = [("bayes", GaussianNB()), ("neighbours", KNeighborsClassifier(5))]
    members = [(name, make_pipeline(FunctionTransformer(side_by_side), member)) for name, member in members]
    cuts = [list(StratifiedKFold(3, shuffle=True, random_state=seed).split(y, y)) for seed in (0, 1)]
    parts = []
    for cut in cuts:
        folds, predicted = np.empty(40, int), np.empty((40, 2, 2))
        for fold, (fit, rest) in enumerate(cut):
            folds[rest] = fold
            predicted[rest] = np.stack([m.fit(X[fit], y[fit]).predict_proba(X[rest]) for _, m in members], axis=1)
        parts.append((predicted, y, folds))
    for cut, part in ((cuts[0], parts[0]), ([*cuts[0], *cuts[1]], together(parts))):
        options = dict(zip(("weights", "shrinkage", "weights_loss"), rule, strict=True))
        ensemble = WeightedEnsembleClassifier(members, cv=cut, **options)
        np.testing.assert_allclose(ensemble.fit(X, y).weights_, weights(*part, *rule), rtol=1e-12)


def test_convolutions_are_sums_over_dilated_steps_and_chosen_columns():
    x = np.random.default_rng(0).normal(size=(20, 2))
    columns = np.random.default_rng(1).integers(2, size=(2, len(KERNELS)))
    answer = convolved(x, 2, columns)
    for step, kernel in ((0, 0), (9, 5), (19, 83)):
        reached = [(k, step + 2 * (k - 4)) for k in range(9) if 0 <= step + 2 * (k - 4) < 20]
        expected = sum(KERNELS[kernel, k] * x[place] @ columns[:, kernel] for k, place in reached)
        assert answer[step, kernel] == pytest.approx(expected)


def test_features_of_convolutions_are_shares_of_each_segment():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 3)) for length in (7, 29, 29)]
    found = RandomConvolutions(segments=4, n_thresholds=2).fit(X).transform(X)
    assert found.shape == (3, 4, 2 * 3 * 2 * 84)  # views, dilations of 1 to 3, thresholds, kernels
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(found[:1], RandomConvolutions(4, 2).fit(X).transform(X[:1]))
    step = np.repeat([0.0, 1.0], 30)[:, None]
    first, second = RandomConvolutions(segments=2).fit(X=[step]).transform([step])[0]
    assert not np.array_equal(first, second)


def test_quantiles_of_columns():
    table = np.random.default_rng(0).normal(size=(9, 3))
    expected = [np.quantile(column, height) for column, height in zip(table.T, (0.0, 0.3, 1.0), strict=True)]
    np.testing.assert_allclose(quantiles(table, np.array([0.0, 0.3, 1.0])), expected)


def test_members_that_read_convolutions():
    rng = np.random.default_rng(0)
    X = [np.sin(np.arange(9) * (1 + k % 2) + rng.uniform(0, 6))[:, None] for k in range(18)]
    y = np.arange(18) % 2
    members = [{}, {"convolutions": {"segments": 2}}, {"convolutions": {}, "logistic": 0.1}]
    settings = {"hidden_size": 4, "max_iter": 2, "early_stopping": False, "members": members}
    model = classifier(settings, 0, 1).fit(X[:12], y[:12])
    assert model.estimators_[1][0].transform(X).shape == (18, 2, 2 * 84)
    each = of_members(model, X[12:], y[12:])[:-1]
    assert each == [fitted.score(X[12:], y[12:]) for fitted in model.estimators_]
    model.weights_ = np.array([0.1, 0.0, 0.9])
    assert of_members(model, X[12:], y[12:])[-1] == each[0]
    model.weights_ = np.array([0.0, 0.0, 1.0])
    assert np.isnan(of_members(model, X[12:], y[12:])[-1])


def test_a_row_has_a_line_for_each_measure():
    row = Row("air", ("RMSE", "MAE"), {"last value": (2.0, 1.0)}, [(1.0, 0.5), (3.0, 0.7)])
    assert list(row.lines()) == [
        "| air | RMSE | last value 2 | **2** | 1 3 |",
        "| air | MAE | last value 1 | **0.6** | 0.5 0.7 |",
    ]
