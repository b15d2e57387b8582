"""Series of different scales in one table: units of their own, learnt from their training rows."""

import pickle

import numpy as np
import pytest
from estimator_case import parameters_equal
from group_case import (
    GROUPS,
    IS_OWN,
    KINDS,
    X,
    Y,
    each_kind,
    each_norm,
    make,
    mase,
    panel,
    series,
    stream_answers,
    unit_of,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm.streaming import stream

pytestmark = pytest.mark.filterwarnings("error")


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
