"""Groups that come later, begin to vary, or have no unit."""

import pickle

import numpy as np
import pytest
from estimator_case import parameters_equal
from group_case import (
    GROUPS,
    IS_OWN,
    NEW,
    NEW_X,
    NEW_Y,
    NORMS,
    X,
    Y,
    each_kind,
    each_norm,
    make,
    panel,
    series,
    unit_of,
)
from numpy.testing import assert_allclose, assert_array_equal

pytestmark = pytest.mark.filterwarnings("error")


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
