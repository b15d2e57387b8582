"""Units of groups with all that takes groups, and at the ends of the range of numbers."""

import pickle

import numpy as np
import pytest
import sklearn
from estimator_case import parameters_equal
from group_case import GROUPS, IS_OWN, KINDS, NORMS, X, Y, each_norm, make, mase, panel, stream_answers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import WeightedEnsembleRegressor, quantize
from sklstm._group_scales import measure
from sklstm.compression import distill

pytestmark = pytest.mark.filterwarnings("error")


# With all that takes groups


def test_ensembles_and_their_folds():
    members = [("network", make(loss="absolute_error")), ("mean", DummyRegressor())]
    ensemble = WeightedEnsembleRegressor(members).fit(X, Y, groups=GROUPS)
    own = np.flatnonzero(IS_OWN[2])
    keywords = {"groups": GROUPS[own[30:]], "context": X[own[:30]], "context_groups": GROUPS[own[:30]]}
    found = ensemble.predict(X[own[30:]], **keywords)
    network = ensemble.named_estimators_["network"]
    assert_array_equal(network.group_labels_, ["s0", "s1", "s2"])
    by_hand = [
        network.predict(X[own[30:]], **keywords),
        ensemble.named_estimators_["mean"].predict(X[own[30:]]),
    ]
    assert_allclose(found, np.average(by_hand, axis=0, weights=ensemble.weights_), rtol=1e-12)


@pytest.mark.skipif(sklearn.__version__ < "1.7", reason="searches of scikit-learn 1.6 hand no groups to score")
def test_searches_with_groups():
    is_test = np.concatenate([np.arange(own.sum()) >= 45 for own in IS_OWN])
    folds = [(np.flatnonzero(~is_test), np.flatnonzero(is_test))]
    with sklearn.config_context(enable_metadata_routing=True):
        model = make(carry_context=True).set_fit_request(groups=True).set_score_request(groups=True)
        pipeline = make_pipeline(FunctionTransformer(), model)
        grid = {"deeplstmregressor__group_scaling": list(KINDS)}
        search = GridSearchCV(pipeline, grid, cv=folds, refit=False).fit(X, Y, groups=GROUPS)
    train, test = folds[0]
    by_hand = make().fit(X[train], Y[train], groups=GROUPS[train])
    expected = by_hand.score(X[test], Y[test], groups=GROUPS[test], context=X[train], context_groups=GROUPS[train])
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(expected, rel=1e-12)


@each_norm
def test_scoring_sees_predictions_in_the_unit_of_y(window_norm):
    seen = {}

    def scorer(model, X, y):
        seen["X"], seen["y"], seen["predicted"] = X, y, model.predict(X)
        return r2_score(seen["y"], seen["predicted"])

    model = make(window_norm=window_norm, scoring=scorer, early_stopping=True, max_iter=1, dtype="float64")
    model.fit(X, Y, groups=GROUPS)
    places = [np.flatnonzero((row == X).all(axis=1))[0] for row in seen["X"]]
    assert_array_equal(seen["y"], Y[places])
    assert_allclose(seen["predicted"], model.predict(X, groups=GROUPS)[places], rtol=1e-10)


def test_compression():
    teacher = make(max_iter=20).fit(X, Y, groups=GROUPS)
    student = distill(teacher, make(), X, Y, groups=GROUPS, alpha=0.3)
    assert_array_equal(student.group_scales_, teacher.group_scales_)
    mixed = 0.3 * Y + 0.7 * teacher.predict(X, groups=GROUPS)
    assert parameters_equal(student, make().fit(X, mixed, groups=GROUPS))
    small = quantize(teacher, X, groups=GROUPS, dtype="int16")
    assert_allclose(small.predict(X, groups=GROUPS), teacher.predict(X, groups=GROUPS), rtol=0.05)


def test_a_damaged_model_is_refused():
    model = make().fit(X, Y, groups=GROUPS)
    for name, value in (
        ("group_scales_", np.array([1.0, np.nan, 1.0])),
        ("group_scales_", np.array([1.0, -1.0, 1.0])),
        ("group_means_", np.ones(2)),
        ("group_labels_", np.array(["a"])),
    ):
        damaged = pickle.loads(pickle.dumps(model))
        setattr(damaged, name, value)
        with pytest.raises(ValueError, match="this DeepLSTMRegressor is damaged"):
            damaged.predict(X, groups=GROUPS)


@each_norm
def test_seeds_and_bands(window_norm):
    options = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "window_norm": window_norm, "dtype": "float64"}
    constant = np.column_stack([np.full(30, 5.0), np.zeros(30)])
    table, y = np.concatenate([X, constant]), np.concatenate([Y, constant[:, 0]])
    groups = np.array([*GROUPS, *["c"] * 30])
    model = make(**options, n_seeds=2, conformal=True, early_stopping=True, validation_fraction=0.3)
    model.fit(table, y, groups=groups)
    bands = model.predict_quantiles(table, groups=groups)
    for label in ("s2", "c"):
        rows = model.stream(group=label, response_method="predict_quantiles")
        found = [rows.step(row) for row in table[groups == label]]
        assert_array_equal(found, bands[groups == label])
    assert_array_equal(bands[-30:], np.full((30, 3), 5.0))
    # Of the same rows as in `fit`, the correction is the same.
    is_last = np.concatenate([np.arange(n) >= n - np.ceil(0.3 * n) for n in np.unique(groups, return_counts=True)[1]])
    order = np.argsort(groups, kind="stable")
    last = order[is_last]
    before, labels = table[order[~is_last]], groups[order[~is_last]]
    again = pickle.loads(pickle.dumps(model))
    again.calibrate(table[last], y[last], groups=groups[last], context=before, context_groups=labels)
    assert_allclose(again.conformal_correction_, model.conformal_correction_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("window_norm", [None, "last"])
def test_the_linear_part_reads_these_units(window_norm):
    """As for a table that was divided by hand."""
    options = {"window_norm": window_norm, "dtype": "float64", "linear_skip": 3, "early_stopping": True}
    model = make(**options).fit(X, Y, groups=GROUPS)
    means, units = (np.repeat(one, [own.sum() for own in IS_OWN]) for one in (model.group_means_, model.group_scales_))
    table = X.copy()
    table[:, 0] = (X[:, 0] - means) / units
    by_hand = make(**options, group_scaling=None).fit(table, (Y - means) / units, groups=GROUPS)
    assert model.ridge_penalty_ == by_hand.ridge_penalty_
    assert_array_equal(model.parameters_["weight_skip"], by_hand.parameters_["weight_skip"])
    assert mase(model, X, Y, GROUPS).max() < 1.0


# Corners


def test_units_of_few_numbers_and_of_rounded_ones():
    weights, kind = np.array([1.0, 2.0, 1.0]), "mean_absolute_difference"
    values = np.array([[1.0], [3.0], [11.0]])
    # Rows 0 and 2 are no neighbours, nor are 2 and 9; of 2 and 3 the distance counts.
    assert measure(values, weights, np.array([0, 2, 9]), kind)[1] == (2.0 * 2.0 + 8.0) / 3.0
    assert measure(values, weights, np.array([0, 2, 3]), kind)[1] == 8.0
    assert measure(values[:1], weights[:1], np.array([4]), kind) == (1.0, 0.0)
    # A drift by roundings, whose deviation is above them.
    drift = (1.0 + 1e-15 * np.arange(200))[:, np.newaxis]
    assert drift.std() > 1e-14
    assert measure(drift, np.ones(200), np.arange(200), kind)[1] == 0.0


@pytest.mark.parametrize("window_norm", NORMS)
def test_streams_of_numbers_near_the_ends_of_float64(window_norm):
    X, y, groups = panel([1e-300, 7e306, 1.0])
    model = make(window_norm=window_norm).fit(X, y, groups=groups)
    for label in model.group_labels_.tolist():
        own = groups == label
        rows = model.stream(group=label)
        assert_array_equal([rows.step(row) for row in X[own]], model.predict(X[own], groups=groups[own]))
    rows = model.stream(group="s2")
    rows.step(X[groups == "s2"][0])
    with pytest.raises(ValueError, match=r"too large|infinity|too far"):
        rows.step(np.array([1.5e308, 0.0]))
    with pytest.raises(ValueError, match="x contains NaN"):
        rows.step(np.array([np.nan, 0.0]))
    with pytest.raises(ValueError, match=r"x has shape \(3,\), expected \(2,\)"):
        rows.step(np.zeros(3))


def test_answers_beyond_float64():
    X, y, groups = panel([1.0, 1e306])
    model = make().fit(X, y, groups=groups)
    parameters = {name: array.copy() for name, array in model.parameters_.items()}
    parameters["bias_out"][:] = 1e3
    model.parameters_ = parameters
    assert np.isfinite(model.predict(X[:5], groups=groups[:5])).all()
    with pytest.raises(ValueError, match="predict goes beyond the largest float64"):
        model.predict(X[-5:], groups=groups[-5:])


@pytest.mark.parametrize("window_norm", ["last", "standard"])
def test_a_group_that_varies_after_the_training_part_alone(window_norm):
    """There is no unit for it, so it says nothing about the others."""
    values = np.concatenate([np.full(55, 5.0), 1e9 * np.arange(1.0, 6.0)])
    table = np.column_stack([values, np.zeros(60)])
    joined = np.concatenate([X, table]), np.concatenate([Y, values])
    model = make(window_norm=window_norm, early_stopping=True).fit(*joined, groups=[*GROUPS, *["c"] * 60])
    assert model.group_scales_[3] == 0.0
    assert max(model.validation_loss_curve_) < 10.0


def test_known_columns_are_no_targets():
    message = "known_columns=0 holds 0, which is a target_column"
    with pytest.warns(UserWarning, match="known_columns=0 has no effect"), pytest.raises(ValueError, match=message):
        make(known_columns=0).fit(X, Y, groups=GROUPS)
    make(known_columns=1, window_norm="last").fit(X, Y, groups=GROUPS)


@pytest.mark.parametrize("decoder", ["direct", "recurrent", "parallel"])
@pytest.mark.parametrize(
    "options", [{"target_column": [0, 2], "window_norm": "last"}, {"target_column": None}], ids=repr
)
def test_decoders(decoder, options):
    """Steps ahead of two series at once, each in the unit of its column, or each step in its own."""
    second = np.concatenate([1e3 * (k + 1) * X[own, 0] / X[own, 0].mean() for k, own in enumerate(IS_OWN)])
    table, n_ahead = np.column_stack([X, second]), 3
    ahead = [np.stack([np.roll(table[:, k], -h) for h in range(1, n_ahead + 1)], axis=1) for k in (0, 2)]
    known = np.concatenate([np.arange(own.sum()) < own.sum() - n_ahead for own in IS_OWN])
    y, groups = np.stack(ahead, axis=2)[known], GROUPS[known]
    model = make(decoder=decoder, early_stopping=False, **options).fit(table[known], y, groups=groups)
    assert model.group_scales_.shape == (3, n_ahead, 2)
    numbers = y if options["target_column"] is None else np.stack([table[known][:, [0, 2]]] * n_ahead, axis=1)
    for k, label in enumerate(model.group_labels_.tolist()):
        units = np.abs(np.diff(numbers[groups == label], axis=0)).mean(axis=0)
        assert_allclose(model.group_scales_[k], units, rtol=1e-12)
    answers = model.predict(table, groups=GROUPS)
    assert answers.shape == (len(table), n_ahead, 2)
    assert_array_equal(stream_answers(model, table, "s2"), answers[IS_OWN[2]])


def test_numbers_beyond_the_network():
    model = make().fit(X, Y, groups=GROUPS)
    far = X.copy()
    far[3, 0] = 1e36
    with pytest.raises(
        ValueError, match=r"X holds 1\.\d+e\+42 units of its group in column 0 \(row 3\), too large for"
    ):
        model.predict(far, groups=GROUPS)
    with pytest.raises(ValueError, match=r"context holds 1\.\d+e\+42 units of its group in column 0"):
        model.predict(X[5:9], groups=GROUPS[5:9], context=far[:5], context_groups=GROUPS[:5])


@each_norm
def test_streams_after_carried_rows(window_norm):
    """Each begins after the rows that `fit` kept of its group, as `predict` takes every table as what follows them."""
    kept = np.concatenate([np.arange(own.sum()) < (40, 3, 50)[k] for k, own in enumerate(IS_OWN)])
    model = make(window_norm=window_norm, carry_context=True).fit(X[kept], Y[kept], groups=GROUPS[kept])
    later, labels = X[~kept], GROUPS[~kept]
    expected = model.predict(later, groups=labels)
    whole = model.predict(X, groups=GROUPS, context=np.empty((0, 2)), context_groups=[])
    assert_array_equal(expected, whole[~kept])
    for label in ("s0", "s1", "s2"):
        rows = model.stream(group=label)
        assert_array_equal([rows.step(row) for row in later[labels == label]], expected[labels == label])
    rows = model.stream(n_streams=2, group=["s1", "s2"])
    for t in range(3):
        pair = rows.step(np.stack([later[labels == "s1"][t], later[labels == "s2"][t]]))
        assert_array_equal(pair, [expected[labels == "s1"][t], expected[labels == "s2"][t]])
    rows = model.stream(group="s0", context=np.empty((0, 2)))
    assert rows.step(X[0]) == whole[0]
    with pytest.raises(ValueError, match="context is missing: carry_context=True kept the last rows of each group"):
        make(group_scaling=None, carry_context=True).fit(X, Y, groups=GROUPS).stream()
