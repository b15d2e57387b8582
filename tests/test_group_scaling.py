"""Series of different scales in one table: units of their own, learnt from their training rows."""

import pickle

import numpy as np
import pytest
import sklearn
from estimator_case import parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import DeepLSTMRegressor, WeightedEnsembleRegressor, quantize
from sklstm._group_scales import measure
from sklstm.compression import distill
from sklstm.streaming import stream

SMALL = {"hidden_size": 4, "sequence_length": 6, "max_iter": 3, "random_state": 0, "n_jobs": 1, "target_column": 0}
KINDS = ("mean_absolute_difference", "standard")
NORMS = (None, "last", "standard")
each_norm = pytest.mark.parametrize("window_norm", NORMS)
each_kind = pytest.mark.parametrize("group_scaling", KINDS)

pytestmark = pytest.mark.filterwarnings("error")


def make(**options):
    return DeepLSTMRegressor(**{**SMALL, "group_scaling": "mean_absolute_difference", **options})


def series(scale, n, seed, level=20.0):
    """The rows of a noisy wave, and the numbers that come one row later."""
    rng = np.random.default_rng(seed)
    values = scale * (level + 3.0 * np.sin(np.arange(n + 1) / 3.0 + seed) + 0.2 * rng.normal(size=n + 1))
    return np.column_stack([values[:-1], rng.normal(size=n)]), values[1:]


def panel(scales, n=60):
    """Series with the labels "s0", "s1", ..., 1 or a few rows longer each."""
    parts = [series(scale, n + 3 * k, k) for k, scale in enumerate(scales)]
    X, y = (np.concatenate(one) for one in zip(*parts, strict=True))
    return X, y, np.repeat([f"s{k}" for k in range(len(scales))], [len(rows) for rows, _ in parts])


X, Y, GROUPS = panel([1e-6, 1.0, 1e9])
NEW_X, NEW_Y = series(1e3, 40, 9)
NEW = np.full(40, "new")
IS_OWN = [label == GROUPS for label in ("s0", "s1", "s2")]


def unit_of(values, group_scaling):
    return values.std() if group_scaling == "standard" else np.abs(np.diff(values)).mean()


def mase(model, X, y, groups):
    """Mean absolute error over the mean absolute difference of consecutive rows, of each group."""
    error = np.abs(model.predict(X, groups=groups) - y)
    return np.array([error[groups == g].mean() / np.abs(np.diff(y[groups == g])).mean() for g in np.unique(groups)])


# What it is for


@each_norm
@each_kind
def test_series_of_any_scale_are_forecast_alike(group_scaling, window_norm):
    """From 1e-6 to 1e9: none counts for nothing, and none drowns the others."""
    options = {"hidden_size": 8, "max_iter": 60, "learning_rate_init": 0.02, "loss": "absolute_error"}
    model = make(group_scaling=group_scaling, window_norm=window_norm, **options).fit(X, Y, groups=GROUPS)
    found = mase(model, X, Y, GROUPS)
    assert found.max() < 0.6
    assert found.max() < 1.5 * found.min()


@pytest.mark.parametrize("window_norm", [None, "last"])
def test_a_panel_whose_scales_differ_by_a_thousand(window_norm):
    """The MASE with the units of the groups, and with one unit for all, which is that of the largest."""
    X, y, groups = panel(np.geomspace(1.0, 1000.0, 6), n=80)
    is_train = np.concatenate([np.arange(n) < n - 20 for n in np.unique(groups, return_counts=True)[1]])
    options = {"hidden_size": 8, "max_iter": 60, "learning_rate_init": 0.02, "loss": "absolute_error"}
    found = {}
    for kind in ("mean_absolute_difference", None):
        model = make(group_scaling=kind, window_norm=window_norm, **options)
        model.fit(X[is_train], y[is_train], groups=groups[is_train])
        found[kind] = mase(model, X[~is_train], y[~is_train], groups[~is_train]).mean()
    assert found["mean_absolute_difference"] < 0.6 * found[None]


@pytest.mark.parametrize("window_norm", [None, "last"])
@pytest.mark.parametrize("group_weight", [None, "equal"])
def test_the_absolute_error_is_the_mase_up_to_a_factor(window_norm, group_weight):
    """The loss of the epoch that was kept, on a validation part of one's own, in float64."""
    kept, later = [], []
    for k, own in enumerate(IS_OWN):
        rows = np.flatnonzero(own)
        kept.append(rows[:40])
        later.append(rows[40 : 50 + k])
    kept, later = np.concatenate(kept), np.concatenate(later)
    options = {"loss": "absolute_error", "dtype": "float64", "group_weight": group_weight, "window_norm": window_norm}
    model = make(**options).fit(
        X[kept], Y[kept], groups=GROUPS[kept], X_val=X[later], y_val=Y[later], groups_val=GROUPS[later]
    )
    loss = model.validation_loss_curve_[model.best_iteration_ - 1]
    units = dict(zip(model.group_labels_.tolist(), model.group_scales_.tolist(), strict=True))
    for k, own in enumerate(IS_OWN):
        assert_allclose(units[f"s{k}"], np.abs(np.diff(X[kept][own[kept], 0])).mean(), rtol=1e-13)
    errors = np.abs(model.predict(X[later], groups=GROUPS[later]) - Y[later])
    errors /= [units[label] for label in GROUPS[later].tolist()]
    factor = model.target_scale_ * (1.0 if window_norm is None else model.input_scale_[0])
    of_groups = [errors[GROUPS[later] == label].mean() for label in units]
    assert_allclose(factor * loss, errors.mean() if group_weight is None else np.mean(of_groups), rtol=1e-8)


def test_equal_weights_of_groups():
    """As weights that are one over the number of rows of the group; also without units of their own."""
    counts = np.array([own.sum() for own in IS_OWN])
    by_hand = np.repeat(1.0 / counts, counts)
    for kind in (None, "standard"):
        options = {"group_scaling": kind, "early_stopping": False}
        found = make(group_weight="equal", **options).fit(X, Y, groups=GROUPS)
        expected = make(**options).fit(X, Y, groups=GROUPS, sample_weight=by_hand)
        assert_allclose(found.predict(X, groups=GROUPS), expected.predict(X, groups=GROUPS), rtol=1e-3)
        assert_allclose(found.target_mean_, expected.target_mean_, rtol=1e-12, atol=1e-12)
        assert not parameters_equal(found, make(**options).fit(X, Y, groups=GROUPS))
        # On top of weights of their own; what has weight 0 is no part of a group.
        weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
        weights[:25] = 0.0
        found = make(group_weight="equal", **options).fit(X, Y, groups=GROUPS, sample_weight=weights)
        sums = np.array([weights[own].sum() for own in IS_OWN])
        if kind is None:
            mean = np.average(Y, weights=weights / np.repeat(sums, counts))
            assert_allclose(found.target_mean_, mean, rtol=1e-12)


# Units are those of the training rows


@each_kind
@pytest.mark.parametrize("target_column", [0, None])
def test_units_are_learnt_from_the_training_part(group_scaling, target_column):
    options = {"group_scaling": group_scaling, "target_column": target_column}
    whole = make(**options, early_stopping=False).fit(X, Y, groups=GROUPS)
    part = make(**options, early_stopping=True).fit(X, Y, groups=GROUPS)
    for model in (whole, part):
        assert model.group_labels_.tolist() == ["s0", "s1", "s2"]
        assert not model.group_scales_.flags.writeable
    for k, own in enumerate(IS_OWN):
        values = (Y if target_column is None else X[:, 0])[own]
        n_train = len(values) - int(np.ceil(len(values) / 10)) - 5
        for model, rows in ((whole, values), (part, values[:n_train])):
            assert_allclose(model.group_means_[k], rows.mean(), rtol=1e-12)
            assert_allclose(model.group_scales_[k], unit_of(rows, group_scaling), rtol=1e-12)
    # Later rows may be anything.
    changed, after = X.copy(), np.flatnonzero(IS_OWN[1])[-6:]
    changed[after, 0] *= 3.0
    again = make(**options, early_stopping=True).fit(changed, Y, groups=GROUPS)
    assert_array_equal(again.group_scales_, part.group_scales_)


@each_kind
def test_targets_of_weight_zero_do_not_count(group_scaling):
    """They may be missing; the rows on both sides of them are not neighbours."""
    weights, y = np.ones(len(X)), Y.copy()
    missing = np.flatnonzero(IS_OWN[1])[[0, 10, 11, 30]]
    weights[missing], y[missing] = 0.0, np.nan
    model = make(group_scaling=group_scaling, target_column=None, early_stopping=False)
    model.fit(X, y, groups=GROUPS, sample_weight=weights)
    own = y[IS_OWN[1]]
    assert_allclose(model.group_means_[1], np.nanmean(own), rtol=1e-12)
    unit = np.nanstd(own) if group_scaling == "standard" else np.nanmean(np.abs(np.diff(own)))
    assert_allclose(model.group_scales_[1], unit, rtol=1e-12)
    assert np.isfinite(model.predict(X, groups=GROUPS)).all()


def test_weights_count_in_units():
    weights = np.random.default_rng(0).uniform(size=len(X))
    for kind in KINDS:
        model = make(group_scaling=kind, target_column=None, early_stopping=False)
        model.fit(X, Y, groups=GROUPS, sample_weight=weights)
        own, w = Y[IS_OWN[0]], weights[IS_OWN[0]]
        mean = np.average(own, weights=w)
        unit = np.sqrt(np.average((own - mean) ** 2, weights=w))
        if kind != "standard":
            unit = np.average(np.abs(np.diff(own)), weights=w[1:])
        assert_allclose([model.group_means_[0], model.group_scales_[0]], [mean, unit], rtol=1e-12)


@each_norm
def test_the_network_reads_a_table_in_these_units(window_norm):
    """All else is as for a table and targets that were divided by hand."""
    options = {"window_norm": window_norm, "dtype": "float64", "early_stopping": False}
    model = make(**options).fit(X, Y, groups=GROUPS)
    means, units = (np.repeat(one, [own.sum() for own in IS_OWN]) for one in (model.group_means_, model.group_scales_))
    table = X.copy()
    table[:, 0] = (X[:, 0] - means) / units
    by_hand = make(**options, group_scaling=None).fit(table, (Y - means) / units, groups=GROUPS)
    assert parameters_equal(model, by_hand)
    assert_array_equal(model.input_scale_, by_hand.input_scale_)
    expected = units * by_hand.predict(table, groups=GROUPS) + means
    assert_allclose(model.predict(X, groups=GROUPS), expected, rtol=1e-12)
    assert_array_equal(model.transform(X, groups=GROUPS), by_hand.transform(table, groups=GROUPS))


def test_several_targets_and_columns():
    """Each in the unit of its own column, or of its own numbers."""
    parts = [series(scale, own.sum(), 5) for scale, own in zip((1e3, 1e-2, 5.0), IS_OWN, strict=True)]
    table = np.column_stack([X, np.concatenate([rows[:, 0] for rows, _ in parts])])
    y = np.column_stack([Y, np.concatenate([later for _, later in parts])])
    for options in (
        {"target_column": [0, 2]},
        {"target_column": None},
        {"target_column": [0, 2], "window_norm": "last"},
    ):
        model = make(**options, early_stopping=False).fit(table, y, groups=GROUPS)
        assert model.group_scales_.shape == model.group_means_.shape == (3, 2)
        values = y if options["target_column"] is None else table[:, [0, 2]]
        for k, own in enumerate(IS_OWN):
            expected = np.abs(np.diff(values[own], axis=0)).mean(axis=0)
            assert_allclose(model.group_scales_[k], expected, rtol=1e-12)
        answers = model.predict(table, groups=GROUPS)
        assert_array_equal(stream_answers(model, table, "s2"), answers[IS_OWN[2]])
    quantiles = make(loss="quantile", quantile=[0.1, 0.5, 0.9], window_norm="last", target_column=[0, 2])
    quantiles.fit(table, y, groups=GROUPS)
    found = quantiles.predict_quantiles(table, groups=GROUPS)
    assert found.shape == (len(table), 2, 3)
    assert (np.diff(found, axis=2) >= 0).all()
    assert_array_equal(found[:, :, 1], quantiles.predict(table, groups=GROUPS))


# Promises


def stream_answers(model, table, label, **options):
    rows = model.stream(group=label, **options)
    return np.array([rows.step(row) for row in table[label == GROUPS]])


@each_norm
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("table_dtype", ["float32", "float64"])
def test_rows_alone_batches_streams_and_pickles(window_norm, dtype, table_dtype, tmp_path):
    table = X.astype(table_dtype)
    model = make(window_norm=window_norm, dtype=dtype).fit(table, Y, groups=GROUPS)
    expected = model.predict(table, groups=GROUPS)
    for label, own in zip(model.group_labels_.tolist(), IS_OWN, strict=True):
        assert_array_equal(model.predict(table[own], groups=GROUPS[own]), expected[own])
        assert_array_equal(stream_answers(model, table, label), expected[own])
        assert_array_equal(stream_answers(model, table.astype(np.float64), label), expected[own])
    own = np.flatnonzero(IS_OWN[2])
    before = {"context": table[own[:30]], "context_groups": GROUPS[own[:30]]}
    after = own[30:]
    assert_array_equal(model.predict(table[after], groups=GROUPS[after], **before), expected[after])
    one = model.predict(table[after[:1]], groups=GROUPS[after[:1]], **before)
    assert_array_equal(one, expected[after[:1]])
    rows = model.stream(group="s2", context=table[own[:30]])
    assert_array_equal([rows.step(row) for row in table[after]], expected[after])
    # The groups in another order, and those of one only.
    order = np.concatenate([np.flatnonzero(mask) for mask in IS_OWN[::-1]])
    assert_array_equal(model.predict(table[order], groups=GROUPS[order]), expected[order])
    for same in (pickle.loads(pickle.dumps(model)), make(window_norm=window_norm, dtype=dtype, n_jobs=2)):
        same = same if hasattr(same, "parameters_") else same.fit(table, Y, groups=GROUPS)
        assert parameters_equal(same, model)
        assert_array_equal(same.predict(table, groups=GROUPS), expected)
    assert not hasattr(clone(model), "group_scales_")
    # A table that cannot be written to, which stays as it is.
    np.save(tmp_path / "table.npy", table)
    assert_array_equal(model.predict(np.load(tmp_path / "table.npy", mmap_mode="r"), groups=GROUPS), expected)


@each_norm
def test_streams_of_several_groups(window_norm):
    model = make(window_norm=window_norm).fit(X, Y, groups=GROUPS)
    labels, n = ["s2", "s0", "s2"], 40
    tables = [X[label == GROUPS][:n] for label in labels]
    expected = np.column_stack([model.predict(t, groups=np.full(n, g)) for t, g in zip(tables, labels, strict=True)])
    rows, out = model.stream(n_streams=3, group=labels), np.empty(3)
    for t in range(20):
        assert_array_equal(rows.step(np.stack([table[t] for table in tables]), out=out), expected[t])
    for copied in (pickle.loads(pickle.dumps(rows)), model.stream(n_streams=3, group=labels)):
        copied.state = rows.state
        for t in range(20, 25):
            assert_array_equal(copied.step(np.stack([table[t] for table in tables])), expected[t])
    later = model.stream(n_streams=3, group=labels, context=np.stack(tables)[:, :30])
    assert_array_equal(later.step(np.stack([table[30] for table in tables])), expected[30])
    hidden = model.stream(group="s0", response_method="transform")
    assert_array_equal([hidden.step(row) for row in tables[1]], model.transform(tables[1], groups=np.full(n, "s0")))
    pipeline = make_pipeline(FunctionTransformer(), model)
    rows = stream(pipeline, group="s0", context=tables[1][:10])
    assert rows.step(tables[1][10]) == expected[10, 1]


def test_stateful_training():
    options = {"training": "stateful", "shuffle": False}
    model = make(**options).fit(X, Y, groups=GROUPS)
    expected = model.predict(X, groups=GROUPS)
    assert_array_equal(stream_answers(model, X, "s2"), expected[IS_OWN[2]])
    own = np.flatnonzero(IS_OWN[2])
    before = {"context": X[own[:30]], "context_groups": GROUPS[own[:30]]}
    assert_array_equal(model.predict(X[own[30:]], groups=GROUPS[own[30:]], **before), expected[own[30:]])
    rows = model.stream(group="s2", context=X[own[:30]])
    assert_array_equal([rows.step(row) for row in X[own[30:]]], expected[own[30:]])


def test_a_table_without_a_target_column_is_not_copied():
    from sklstm._targets.groups import GroupedTargets

    model = make(target_column=None).fit(X, Y, groups=GROUPS)
    scales = GroupedTargets(model).scales
    assert scales.table(X, None) is X
    before = X.copy()
    make().fit(X, Y, groups=GROUPS).predict(X, groups=GROUPS)
    assert_array_equal(X, before)


# Groups that come later


@each_norm
@each_kind
def test_a_new_group_is_measured_by_its_context(window_norm, group_scaling):
    model = make(window_norm=window_norm, group_scaling=group_scaling).fit(X, Y, groups=GROUPS)
    before = {"context": NEW_X[:25], "context_groups": NEW[:25]}
    found = model.predict(NEW_X[25:], groups=NEW[25:], **before)
    # As if it had been known, with this unit.
    known = pickle.loads(pickle.dumps(model))
    known.group_labels_ = np.append(known.group_labels_, "new")
    known.group_means_ = np.append(known.group_means_, NEW_X[:25, 0].mean())
    known.group_scales_ = np.append(known.group_scales_, unit_of(NEW_X[:25, 0], group_scaling))
    assert_allclose(known.predict(NEW_X[25:], groups=NEW[25:], **before), found, rtol=1e-6)
    # Rows of X make no unit: one alone, and any rows after it, give the same.
    for end in (26, 30):
        assert_array_equal(model.predict(NEW_X[25:end], groups=NEW[25:end], **before), found[: end - 25])
    # All rows of context do, beside those of other groups and with known groups in X.
    context, labels = np.concatenate([X[:20], NEW_X[:25]]), np.concatenate([GROUPS[:20], NEW[:25]])
    table, groups = np.concatenate([NEW_X[25:], X[20:30]]), np.concatenate([NEW[25:], GROUPS[20:30]])
    both = model.predict(table, groups=groups, context=context, context_groups=labels)
    assert_array_equal(both[:15], found)
    assert_array_equal(both[15:], model.predict(X, groups=GROUPS)[20:30])
    rows = model.stream(group="new", context=NEW_X[:25])
    assert_array_equal([rows.step(row) for row in NEW_X[25:]], found)
    pair = model.stream(n_streams=2, group=["new", "new"], context=np.stack([NEW_X[:25], 2.0 * NEW_X[:25]]))
    assert pair.step(np.stack([NEW_X[25], 2.0 * NEW_X[25]]))[0] == found[0]


def test_labels_of_other_kinds():
    numbers = np.repeat([3, 1, 2], [own.sum() for own in IS_OWN])
    model = make().fit(X, Y, groups=numbers)
    expected = model.predict(X, groups=numbers)
    assert_array_equal(model.predict(X, groups=numbers.astype(float)), expected)
    own = X[IS_OWN[1]]
    assert model.stream(group=1).step(own[0]) == expected[IS_OWN[1]][0]
    model.partial_fit(NEW_X, NEW_Y, groups=NEW)
    assert model.group_labels_.tolist() == [3, 1, 2, "new"]
    assert np.isfinite(model.predict(X, groups=numbers)).all()
    with pytest.raises(ValueError, match=r"^'3' is no group of the fit"):
        model.predict(X[:5], groups=["3"] * 5)


def test_what_is_asked_of_unknown_groups():
    model = make().fit(X, Y, groups=GROUPS)
    ways = r"'new' is no group of the fit, so its unit \(group_scaling='mean_absolute_difference'\) is not known\. "
    with pytest.raises(ValueError, match=ways + r"Give the rows .* 2 or more, as context .*; found 0\."):
        model.predict(NEW_X, groups=NEW)
    with pytest.raises(ValueError, match=ways + r"Give the rows .*; found 1\."):
        model.predict(NEW_X[1:], groups=NEW[1:], context=NEW_X[:1], context_groups=NEW[:1])
    with pytest.raises(ValueError, match=ways):
        model.stream(group="new")
    with pytest.raises(ValueError, match=ways + r"It was learnt from y of each group.*target_column"):
        make(target_column=None).fit(X, Y, groups=GROUPS).predict(
            NEW_X[5:], groups=NEW[5:], context=NEW_X[:5], context_groups=NEW[:5]
        )
    with pytest.raises(ValueError, match="groups_val: 'new' is no group of the training part"):
        make().fit(X, Y, groups=GROUPS, X_val=NEW_X, y_val=NEW_Y, groups_val=NEW)
    with pytest.raises(ValueError, match="groups is missing: with group_scaling="):
        model.score(X, Y)
    with pytest.raises(ValueError, match=r"group must be the label of its group, as group_scaling=.*; found None\."):
        model.stream()
    with pytest.raises(ValueError, match=r"group must be a list of labels, one for each of 2, as .*; found 's0'\."):
        model.stream(n_streams=2, group="s0")
    with pytest.raises(ValueError, match="group says in which unit a stream is: set group_scaling before fit"):
        make(group_scaling=None).fit(X, Y, groups=GROUPS).stream(group="s0")


# Partial fits


@each_norm
def test_partial_fits_add_groups_and_keep_units(window_norm):
    model = make(window_norm=window_norm).partial_fit(X, Y, groups=GROUPS)
    before = model.group_scales_.copy()
    table = X.copy()
    table[:, 0] *= 5.0
    model.partial_fit(
        np.concatenate([table, NEW_X]), np.concatenate([5.0 * Y, NEW_Y]), groups=np.concatenate([GROUPS, NEW])
    )
    assert model.group_labels_.tolist() == ["s0", "s1", "s2", "new"]
    assert_array_equal(model.group_scales_[:3], before)
    assert_allclose(model.group_scales_[3], np.abs(np.diff(NEW_X[:, 0])).mean(), rtol=1e-12)
    assert np.isfinite(model.predict(NEW_X, groups=NEW)).all()
    # n calls with the same data are n epochs.
    calls = make(window_norm=window_norm)
    for _ in range(3):
        calls.partial_fit(X, Y, groups=GROUPS)
    assert parameters_equal(
        calls, make(window_norm=window_norm, early_stopping=False, tol=0.0).fit(X, Y, groups=GROUPS)
    )
    warm = make(window_norm=window_norm, warm_start=True).fit(X, Y, groups=GROUPS)
    units = warm.group_scales_.copy()
    warm.fit(np.concatenate([table, NEW_X]), np.concatenate([5.0 * Y, NEW_Y]), groups=np.concatenate([GROUPS, NEW]))
    assert_array_equal(warm.group_scales_[:3], units)
    assert len(warm.group_labels_) == 4


def test_a_group_that_begins_to_vary_gets_a_unit():
    constant = np.full(20, 7.0)
    table = np.column_stack([constant, np.zeros(20)])
    model = make().partial_fit(np.concatenate([X, table]), np.concatenate([Y, constant]), groups=[*GROUPS, *["c"] * 20])
    assert (model.group_means_[3], model.group_scales_[3]) == (7.0, 0.0)
    rows, y = series(1.0, 30, 4)
    model.partial_fit(np.concatenate([X, rows]), np.concatenate([Y, y]), groups=[*GROUPS, *["c"] * 30])
    assert_allclose(model.group_means_[3], rows[:, 0].mean(), rtol=1e-12)
    assert_allclose(model.group_scales_[3], np.abs(np.diff(rows[:, 0])).mean(), rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"group_scaling": "standard"},
            "training cannot go on with group_scaling='standard': the groups were measured",
        ),
        ({"group_scaling": None}, "training cannot go on with group_scaling=None"),
        ({"target_column": 1}, r"training cannot go on with target_column=1: the groups were measured by .*\[0\]"),
    ],
)
def test_training_does_not_go_on_in_other_units(changed, message):
    model = make(warm_start=True).fit(X, Y, groups=GROUPS)
    before = model.predict(X, groups=GROUPS)
    model.set_params(**changed)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(X, Y, groups=GROUPS)
    assert_array_equal(model.predict(X, groups=GROUPS), before)


# Groups without a unit


@each_norm
@each_kind
@pytest.mark.parametrize("value", [0.0, 0.1, -1e-9, 1e9, 1e300])
def test_constant_groups(window_norm, group_scaling, value):
    """The constant is the answer, whatever the network says, and the other groups are learnt as without it."""
    table = np.column_stack([np.full(30, value), np.zeros(30)])
    joined = np.concatenate([table, X]), np.concatenate([table[:, 0], Y]), np.array([*["c"] * 30, *GROUPS])
    model = make(window_norm=window_norm, group_scaling=group_scaling)
    model.fit(joined[0], joined[1], groups=joined[2])
    found = model.predict(joined[0], groups=joined[2])
    assert_array_equal(found[:30], table[:, 0])
    assert model.group_scales_[0] == 0.0
    assert 0.1 < model.target_scale_ < 10.0
    assert np.isfinite(model.loss_curve_).all()
    rows = model.stream(group="c")
    assert [rows.step(row) for row in table[:8]] == [value] * 8
    y_alone = make(window_norm=None, group_scaling=group_scaling, target_column=None)
    y_alone.fit(joined[0], joined[1], groups=joined[2])
    assert_array_equal(y_alone.predict(joined[0], groups=joined[2])[:30], table[:, 0])


def test_a_constant_group_that_varies_later():
    """Its answer is the last row, or the mean that was learnt: there is no unit for more."""
    table = np.column_stack([np.full(30, 5.0), np.zeros(30)])
    joined = np.concatenate([table, X]), np.concatenate([table[:, 0], Y])
    groups = np.array([*["c"] * 30, *GROUPS])
    later = np.column_stack([5.0 + np.arange(8.0), np.zeros(8)])
    for window_norm, expected in ((None, np.full(8, 5.0)), ("last", later[:, 0])):
        model = make(window_norm=window_norm).fit(*joined, groups=groups)
        assert_allclose(model.predict(later, groups=["c"] * 8), expected, rtol=1e-15)


def test_one_says_which_groups_have_no_unit():
    one = np.concatenate([X, NEW_X[:1]]), np.concatenate([Y, NEW_Y[:1]])
    message = r"finds no unit for group 'new': the training part has one row of it, or equal ones\. The prediction for "
    for window_norm, answer in ((None, "the mean of its training rows"), ("last", "the last row of its target_column")):
        with pytest.warns(UserWarning, match=message + f"such a group is {answer}"):
            model = make(window_norm=window_norm).fit(*one, groups=[*GROUPS, "new"])
        assert model.group_scales_[3] == 0.0
        assert_allclose(model.predict(NEW_X[:1], groups=["new"]), NEW_X[:1, 0], rtol=1e-15)
    # A column that stands still while y does not.
    table = np.column_stack([np.full(40, 3.0), np.zeros(40)])
    with pytest.warns(UserWarning, match="finds no unit for group 'new'"):
        make().fit(np.concatenate([X, table]), np.concatenate([Y, NEW_Y]), groups=[*GROUPS, *NEW])
    with pytest.warns(UserWarning, match="finds no unit for group 'a' and 1 more"):
        make().fit(np.concatenate([X, NEW_X[:2]]), np.concatenate([Y, NEW_Y[:2]]), groups=[*GROUPS, "a", "b"])


def test_a_group_without_targets():
    weights, y = np.ones((len(X), 2)), np.column_stack([Y, Y])
    weights[IS_OWN[1], 1] = 0.0
    with pytest.raises(
        ValueError, match=r"group 's1' has no training row with a target .* in column 1 of y, so its unit"
    ):
        make(target_column=None).fit(X, y, groups=GROUPS, sample_weight=weights)
    make().fit(X, y, groups=GROUPS, sample_weight=weights)
    # Without any sample it is no group of the fit.
    model = make().fit(X, Y, groups=GROUPS, sample_weight=weights[:, 1])
    assert model.group_labels_.tolist() == ["s0", "s2"]


@pytest.mark.parametrize("scales", [[1e-300, 1e300, 1.0], [5e-320, 1.0, 1.7e306]])
def test_numbers_near_the_ends_of_float64(scales):
    X, y, groups = panel(scales)
    for window_norm in NORMS:
        model = make(window_norm=window_norm).fit(X, y, groups=groups)
        assert np.isfinite(model.predict(X, groups=groups)).all()
        assert np.isfinite(model.group_scales_).all()
        assert 0.05 < model.target_scale_ < 20.0


def test_targets_in_another_unit():
    """As with `window_norm`: y in the unit of X is what the scales are for."""
    with pytest.warns(UserWarning, match="group_scaling takes target 0 of y for the future of column 0 of X, but its"):
        make().fit(X, 100.0 * Y, groups=GROUPS)
    far = Y.copy()
    far[-2] = 1e60
    with pytest.raises(
        ValueError, match=r"^y holds 1e\+60 in row 187, which is .* were learnt in the unit of their group"
    ):
        make(early_stopping=True).fit(X, far, groups=GROUPS)


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
