"""`target_column`: which column of X the targets are the future of, and the warning where they do not look like it."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from estimator_case import flat, parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm._target_columns import check_target_column, warn_of_other_unit
from sklstm.datasets import load_etth1

each_norm = pytest.mark.parametrize("norm", ["last", "standard"])


# Targets here need not look like the future of a column, but where the warning is tested.
pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


# The column, found or named


def named(X):
    return pd.DataFrame(X, columns=["a", "b", "OT"])


def test_which_of_several_columns_must_be_said(regressor):
    """A first column taken for granted would be the wrong one without a word."""
    model = regressor.make(window_norm="last", target_column=None)
    message = (
        r"window_norm='last' takes y for the future of a column of X, but target_column=None does not say which of the "
        r"3 columns{}\. Set target_column to its {} \(0 to 2\){}\. If y holds no future values .* window_norm=None\."
    )
    Y = np.column_stack([regressor.y, regressor.y])
    for X, y, parts in (
        (regressor.X, regressor.y, ("", "position", "")),
        (regressor.X, Y, ("", "position", "; with 2 targets in y, to one column for all or to a list, one for each")),
        (regressor.array, regressor.array_y, ("", "position", "")),
        (named(regressor.X), regressor.y, (r" \('a', 'b', 'OT'\)", "name or its position", "")),
    ):
        for method in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=f"^{message.format(*parts)}$"):
                method(X, y)
    with pytest.raises(ValueError, match=r"30 columns \('x0', .*, 'x19', \.\.\.\)"):
        model.fit(pd.DataFrame(np.tile(regressor.X, 10), columns=[f"x{k}" for k in range(30)]), regressor.y)
    assert not hasattr(model, "parameters_")


@each_norm
@pytest.mark.parametrize("n_targets", [1, 2])
def test_the_only_column_need_not_be_said(regressor, norm, n_targets):
    X = regressor.X[:, :1]
    y = regressor.y if n_targets == 1 else np.column_stack([regressor.y] * n_targets)
    one, other = (regressor.make(window_norm=norm, target_column=column).fit(X, y) for column in (None, 0))
    assert parameters_equal(one, other)
    assert_array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize(
    ("column", "position"),
    [
        ("OT", 2),
        (["b"], [1]),
        (["OT", "a"], [2, 0]),
        (("OT", 0), [2, 0]),
        (np.array(["a", "b"]), [0, 1]),
        (pd.Index(["a", "b"]), [0, 1]),
        (np.int64(1), 1),
        (np.array([2, 0], np.uint8), [2, 0]),
        ([np.int32(2), "b"], [2, 1]),
    ],
    ids=str,
)
def test_names_of_columns(regressor, column, position):
    y = regressor.y if np.ndim(position) == 0 or len(position) == 1 else np.column_stack([regressor.y] * 2)
    one = regressor.make(window_norm="last", target_column=column).fit(named(regressor.X), y)
    other = regressor.make(window_norm="last", target_column=position).fit(regressor.X, y)
    assert parameters_equal(one, other)
    assert_array_equal(one.predict(named(regressor.X)), other.predict(regressor.X))
    assert clone(one).fit(named(regressor.X), y).n_iter_ == 3


@pytest.mark.parametrize(
    ("column", "n_targets", "message"),
    [
        ("ot", 1, r"target_column='ot': X has no column 'ot'; it has 'a', 'b', 'OT'\."),
        (
            ["a", "HULL"],
            2,
            r"target_column=\['a', 'HULL'\]: X has no column 'HULL'; it has 'a', 'b', 'OT'\.",
        ),
        ([0.0], 1, r"target_column=\[0.0\] holds 0.0, expected an integer position, 0 to 2, or the name of a column"),
    ],
)
def test_names_that_are_none(regressor, column, n_targets, message):
    y = regressor.y if n_targets == 1 else np.column_stack([regressor.y] * n_targets)
    with pytest.raises(ValueError, match=message):
        regressor.make(window_norm="last", target_column=column).fit(named(regressor.X), y)


def test_names_that_a_pipeline_hands_on(regressor):
    model = regressor.make(window_norm="last", target_column="OT")
    scaler = StandardScaler()
    with pytest.raises(ValueError, match=r"X came without names: .*in a pipeline, set_output\(transform='pandas'\)"):
        make_pipeline(scaler, model).fit(named(regressor.X), regressor.y)
    fitted = make_pipeline(scaler.set_output(transform="pandas"), model).fit(named(regressor.X), regressor.y)
    scaled = scaler.fit_transform(named(regressor.X)).to_numpy()
    assert parameters_equal(fitted[-1], model.set_params(target_column=2).fit(scaled, regressor.y))


def test_a_name_that_two_columns_have(regressor):
    """Some versions of scikit-learn let such a table pass."""
    with pytest.raises(ValueError, match=r"target_column='b': X has 2 columns 'b'; it has 'a', 'b', 'b'\."):
        check_target_column("b", "last", regressor.y, 3, np.array(["a", "b", "b"], object))


def test_columns_without_strings_have_no_names(regressor):
    model = regressor.make(window_norm="last", target_column="OT")
    for X, y in (
        (pd.DataFrame(regressor.X), regressor.y),
        ([pd.DataFrame(one) for one in regressor.ragged], regressor.ragged_y),
    ):
        with pytest.raises(ValueError, match="target_column='OT' names a column, but X came without names"):
            model.fit(X, y)


def test_training_goes_on_with_the_same_column_however_it_is_said(regressor):
    X = named(regressor.X)
    for column, same, other in (("OT", 2, "b"), (2, "OT", 1), (["OT"], 2, ["a"])):
        for method in ("fit", "partial_fit"):
            model = regressor.make(window_norm="last", target_column=column, warm_start=True).fit(X, regressor.y)
            n_epochs = model.n_iter_
            getattr(model.set_params(target_column=same), method)(X, regressor.y)
            assert model.n_iter_ > n_epochs
            message = r"cannot go on with target_column=.*: the network was trained for the columns \['OT'\]\. Set"
            with pytest.raises(ValueError, match=message):
                getattr(model.set_params(target_column=other), method)(X, regressor.y)


def test_grid_search_over_columns(regressor):
    grid = {"target_column": ["OT", "b", 0]}
    model = regressor.make(window_norm="standard")
    search = GridSearchCV(model, grid, cv=TimeSeriesSplit(2), error_score="raise").fit(named(regressor.X), regressor.y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3


# Before and after training


def test_target_column_needs_window_norm(regressor):
    """Without it there is nothing to put back: it is not even read."""
    assert parameters_equal(regressor.fit(), regressor.fit(target_column=[7, 8]))


def test_fitted_columns_stay(regressor):
    model = regressor.fit(window_norm="last", target_column=1)
    expected = model.predict(regressor.X)
    assert_array_equal(model.set_params(target_column=2, window_norm=None).predict(regressor.X), expected)
    model.set_params(window_norm="last", warm_start=True)
    with pytest.raises(ValueError, match=r"cannot go on with target_column=2: .* for the columns \[1\]\. Set warm_st"):
        model.fit(regressor.X, regressor.y)
    with pytest.raises(ValueError, match="cannot go on with target_column=2"):
        model.partial_fit(regressor.X, regressor.y)
    before = flat(model)
    model.set_params(target_column=[1]).fit(regressor.X, regressor.y)
    assert (flat(model) != before).any()
    with pytest.raises(ValueError, match=r"y has shape \(90, 2\), but the targets of this model have shape"):
        model.set_params(target_column=1).fit(regressor.X, np.column_stack([regressor.y, regressor.y]))


@pytest.mark.parametrize(
    ("column", "n_targets", "message"),
    [
        (3, 1, r"target_column=3 is beyond the columns of X, 0 to 2\."),
        ([0, -1], 2, r"target_column=\[0, -1\] is beyond the columns of X, 0 to 2"),
        ([0, 1], 1, r"one column of X, or a list with one for each target of y \(1 here\); found \[0, 1\]"),
        ([0], 2, r"a list with one for each target of y \(2 here\); found \[0\]"),
        ([[0, 1]], 2, r"found \[\[0, 1\]\]"),
        ([0, 1.0], 2, r"target_column=\[0, 1.0\] holds 1.0, expected an integer position, 0 to 2, or the name"),
        ([None], 1, r"target_column=\[None\] holds None, expected an integer position"),
        ([True, 0], 2, r"target_column=\[True, 0\] holds True, expected an integer position"),
        (
            ["a", 0],
            2,
            r"\['a', 0\] names a column, but X came without names: they need a DataFrame .* position, 0 to 2\.",
        ),
        ([], 1, r"found \[\]"),
        ([[0], [1, 2]], 2, r"holds \[0\], expected an integer position"),
    ],
)
def test_bad_target_columns(regressor, column, n_targets, message):
    y = regressor.y if n_targets == 1 else np.column_stack([regressor.y] * n_targets)
    model = regressor.make(window_norm="last", target_column=column)
    with pytest.raises(ValueError, match=message):
        model.fit(regressor.X, y)


# The unit


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_unit(regressor, method):
    """A scaler for X alone, as a pipeline has it, is noticed; the future of the column itself is not."""
    walk = 500.0 + 20.0 * np.cumsum(regressor.X, axis=0)
    X, y = walk[:-1], walk[1:, 1]
    model = regressor.make(window_norm="last", target_column=1)
    getattr(clone(model), method)(X, y)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    message = r"target 0 of y for the future of column 1 of X, but its deviation is .* and the column's 1\."
    with pytest.warns(UserWarning, match=message):
        getattr(clone(model), method)(scaled, y)
    # A unit that happens to be near: 1.4 times the deviation could be chance, 1.6 times could not.
    for factor, warned in ((1.4, False), (1.6, True), (0.4, False), (0.3, True)):
        with pytest.warns(UserWarning, match=message) if warned else nullcontext() as caught:
            getattr(clone(model), method)(scaled, factor * y / X[:, 1].std())
        assert not warned or len(caught) == 1
    with pytest.warns(UserWarning, match=r"target 1 of y for the future of column 'c' of X"):
        model.set_params(target_column=["b", "c"]).fit(pd.DataFrame(X, columns=list("abc")), walk[1:, [1, 1]] * [1, 9])


def test_the_warning_shows_the_call_of_fit(regressor):
    with pytest.warns(UserWarning, match="window_norm takes target") as caught:
        regressor.fit(window_norm="last").fit(regressor.X, 9 * regressor.y)
    assert caught[-1].filename == __file__


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hours", [24, 96, 336])
def test_futures_and_means_of_a_real_table_are_of_its_unit(hours):
    """Of the first year of ETTh1: the hour so far ahead, and the mean of all until then, which varies less."""
    table = load_etth1().data[:8640]
    X = table[:-hours]
    deviations = tuple(X.std(axis=0))
    sums = np.cumsum(np.vstack([np.zeros(7), table]), axis=0)
    means = (sums[hours + 1 :] - sums[1:-hours]) / hours
    assert_allclose(means[0], table[1 : hours + 1].mean(axis=0), rtol=1e-9)
    for y in (table[hours:], means):
        warn_of_other_unit(y, np.ones(len(y)), range(7), deviations, None)
