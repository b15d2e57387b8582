"""Order in time between X and what has an entry per row of it, and between X and the rows before it."""

import numpy as np
import pandas as pd
import pytest

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, TimeOrderWarning

HOURS = pd.date_range("2024-01-01", periods=120, freq="h")
X = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 2)), columns=["a", "b"], index=HOURS)
Y = X["a"] + X["b"].shift(fill_value=0.0)
FOLLOWS = "X does not come after {}: its first row is {}, the last one before it {}"


def model(**parameters):
    small = {"hidden_size": 4, "sequence_length": 5, "max_iter": 1, "random_state": 0, "n_jobs": 1}
    return DeepLSTMRegressor(**{**small, **parameters})


def warns(message):
    return pytest.warns(TimeOrderWarning, match=message)


# X and y


@pytest.mark.parametrize("as_numbers", [False, True])
def test_targets_in_another_order(as_numbers):
    table, y = (X, Y) if not as_numbers else (X.set_index(np.arange(5, 125)), Y.set_axis(np.arange(5, 125)))
    for other in (y[::-1], y.sample(frac=1, random_state=0), y[::-1].to_frame()):
        with warns(r"y has the rows of X in another order: row 0 of X .* use y.loc\[X.index\]"):
            model().fit(table, other)
    with warns("y has the rows of X in another order"):
        model().partial_fit(table, y[::-1])
    with warns("y has the rows of X in another order"):
        model().fit(table, y).score(table, y[::-1])
    with warns("sample_weight has the rows of X in another order"):
        model().fit(table, y, sample_weight=(y + 9)[::-1])
    with warns("y_val has the rows of X_val in another order"):
        model().fit(table[:60], y[:60], X_val=table[60:], y_val=y[60:][::-1])


def test_targets_of_other_rows():
    for y in (Y[60:], Y[60:].to_frame()):
        with pytest.raises(ValueError, match=r"X and y share no row: .*hand over y.to_numpy\(\)"):
            model().fit(X[:60], y)
    with pytest.raises(ValueError, match="X and y share no row"):
        model().fit(X.reset_index(drop=True)[10:60], Y.reset_index(drop=True)[60:110])
    with pytest.raises(ValueError, match="X_val and y_val share no row"):
        model().fit(X[:60], Y[:60], X_val=X[60:90], y_val=Y[90:])
    with pytest.raises(ValueError, match="X and y share no row"):
        DeepLSTMClassifier(max_iter=1).fit(X[:60], (Y > 0)[60:])


def test_targets_by_name():
    """Of text only whether it is the same."""
    names = pd.Index([f"row {i}" for i in range(120)])
    table, y = X.set_axis(names), Y.set_axis(names)
    with pytest.raises(ValueError, match="X and y share no row: the index of X runs from row 0 to row 59, that of y"):
        model().fit(table[:60], y[60:])
    with warns("y has the rows of X in another order: row 0 of X is row 0, of y row 119. "):
        model().fit(table, y[::-1])
    model().fit(table[::-1], y[::-1])
    model().fit(table[:-24], y[24:])
    model().fit(table, Y)
    model().fit(X.set_axis(["same"] * 120), Y.set_axis(["same"] * 120))
    text = HOURS.astype(str)
    fitted = model().fit(X.set_axis(text)[:80], Y[:80])  # not comparable
    with warns("X does not come after context"):
        fitted.predict(X.set_axis(text)[80:], context=X.set_axis(text)[:90])


def test_targets_that_are_fine():
    model().fit(X[:-24], Y[24:])  # what will be
    model().fit(X[:60], Y[60:].to_numpy())
    model().fit(X[:60], Y[60:].reset_index(drop=True))  # a plain numbering says nothing
    model().fit(X.reset_index(drop=True)[60:], Y.reset_index(drop=True)[60:].reset_index(drop=True))
    model().fit(X, Y.set_axis([f"row {i}" for i in range(120)]))
    model().fit(X, Y.set_axis(HOURS.tz_localize("UTC")))  # not comparable


# The rows before X

NUMBERED = X.reset_index(drop=True)
MISSING = "Rows are missing between context and X: the last one is .*21:00:00, the next .*08:00:00"
JUNCTIONS = {
    "right after": (X[80:], X[:80], None),
    "overlap": (X[80:], X[:90], FOLLOWS.format("context", ".*08:00:00", ".*17:00:00")),
    "one row twice": (X[80:], X[:81], FOLLOWS.format("context", ".*08:00:00", ".*08:00:00")),
    "later rows": (X[:60], X[60:], FOLLOWS.format("context", ".*-01 00:00:00", ".*-05 23:00:00")),
    "a hole": (X[80:], X[:70], MISSING),
    "newest first": (X[80:], X[:80][::-1], "context is not in time order: row 1 .*reverse it with context.iloc"),
    "no index": (X[80:], X[:90].reset_index(drop=True), None),
    "X without": (X[80:].reset_index(drop=True), X[:90], None),
    "numbers": (NUMBERED[80:], NUMBERED[:80], None),
    "numbers, X anew": (NUMBERED[80:].reset_index(drop=True), NUMBERED[:80], None),
    "numbers, overlap": (NUMBERED[80:], NUMBERED[:90], FOLLOWS.format("context", 80, 89)),
    "numbers, a hole": (NUMBERED[80:], NUMBERED[:70], "Rows are missing between context"),
}


@pytest.mark.filterwarnings("ignore:Rows are missing:sklstm.TimeOrderWarning")
@pytest.mark.parametrize("case", [name for name, (*_, message) in JUNCTIONS.items() if message])
def test_context_that_does_not_fit(case):
    table, context, message = JUNCTIONS[case]
    fitted = model().fit(X[:70], Y[:70])
    for method in (fitted.predict, fitted.transform):
        with warns(message):
            method(table, context=context)
    with warns(message):
        fitted.score(table, np.arange(len(table)), context=context)


@pytest.mark.parametrize("case", [name for name, (*_, message) in JUNCTIONS.items() if not message])
def test_context_that_fits(case):
    table, context, _ = JUNCTIONS[case]
    model().fit(X[:70], Y[:70]).predict(table, context=context)


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:context. X has feature names:UserWarning")
def test_context_over_a_week_end():
    days = pd.bdate_range("2024-01-01", periods=120)
    table = X.set_index(days)
    fitted = model().fit(table[:62], Y[:62].to_numpy())
    unknowing = model().fit(X.to_numpy(), Y.to_numpy())
    for begin in range(62, 75):
        fitted.predict(table[begin : begin + 1], context=table[begin - 4 : begin])
        unknowing.predict(table[begin : begin + 2], context=table[begin - 4 : begin])
    with warns("Rows are missing between context and X"):
        fitted.predict(table[90:], context=table[:80])


def test_carried_rows():
    kept = model(carry_context=True).fit(X[:80], Y[:80])
    kept.predict(X[80:])
    kept.predict(X[80:].reset_index(drop=True))
    kept.predict(X[:80], context=np.empty((0, 2)))
    with warns(FOLLOWS.format("the rows kept by carry_context=True", ".*00:00:00", ".*07:00:00")):
        kept.predict(X[:80])
    with warns("Rows are missing between the rows kept by carry_context=True and X: .*07:00:00, the next .*18:00:00"):
        kept.predict(X[90:])
    assert model(carry_context=True).fit_transform(X, Y).shape == (120, 4)


def test_carried_rows_of_a_pipeline_without_names():
    """Behind a scaler X has no index; that of y tells when the kept rows were."""
    kept = model(carry_context=True).fit(X[:80].to_numpy(), Y[:80])
    kept.predict(X[80:].to_numpy())


def test_validation_part():
    def fit(train, validation):
        return model().fit(X[train], Y[train], X_val=X[validation], y_val=Y[validation])

    fit(slice(0, 80), slice(80, 120))
    fit(slice(0, 60), slice(80, 120))  # a gap is well
    for validation in (slice(0, 40), slice(60, 120)):
        with warns("X_val does not come after X: .*take the last rows for X_val"):
            fit(slice(40, 100), validation)
    with warns("X_val does not come after X"):
        model().fit(X[40:].to_numpy(), Y[40:], X_val=X[:40].to_numpy(), y_val=Y[:40])
    with warns("X_val is not in time order"):
        model().fit(X[:60], Y[:60], X_val=X[60:][::-1], y_val=Y[60:][::-1])


def test_validation_part_of_groups():
    """Those of other series may be of any time."""
    groups = np.repeat(["a", "b"], 60)
    table, y = pd.concat([X[:60], X[:60]]), np.arange(120.0)

    def fit(groups_val, rows):
        model().fit(table, y, groups=groups, X_val=X[rows], y_val=Y[rows].to_numpy(), groups_val=[groups_val] * 60)

    fit("a", slice(60, 120))
    fit("c", slice(0, 60))
    with warns("X_val does not come after X: its first row of group 'a' is"):
        fit("a", slice(0, 60))


# Blocks of partial_fit

BLOCKS = [slice(0, 40), slice(40, 80), slice(80, 120)]


def partial_fits(blocks, **weights):
    going_on = model()
    for block in blocks:
        going_on.partial_fit(X[block], Y[block], **{name: weight[block] for name, weight in weights.items()})
    return going_on


@pytest.mark.parametrize("blocks", [BLOCKS, BLOCKS * 2, BLOCKS[:1] * 3, BLOCKS[::2], [slice(0, 40), slice(60, 90)]])
def test_blocks_in_time_order(blocks):
    partial_fits(blocks)


@pytest.mark.parametrize("blocks", [BLOCKS[::-1], [slice(0, 50), slice(40, 80)], [*BLOCKS, BLOCKS[1]]])
def test_blocks_that_go_back(blocks):
    with warns("X begins at .* but the block before it ended at .*in time order"):
        partial_fits(blocks)


@pytest.mark.parametrize("labels", [None, ["a"] * 120])
def test_blocks_of_the_default_index(labels):
    """Each pass begins with a block whose index is 0, 1, ...: the blocks after it come after that one."""
    table, going_on = X.reset_index(drop=True), model()

    def partial_fit(block):
        going_on.partial_fit(table[block], Y[block].to_numpy(), groups=labels and labels[block])

    for block in BLOCKS * 2:
        partial_fit(block)
    with warns("X begins at 40, but the block before it ended at 119"):
        partial_fit(BLOCKS[1])
    partial_fit(BLOCKS[0])
    partial_fit(BLOCKS[1])


def test_rows_that_only_fill_windows_may_come_again():
    weight = np.ones(120)
    weight[36:40] = 0.0
    going_on = model().partial_fit(X[:40], Y[:40])
    going_on.partial_fit(X[36:80], Y[36:80], sample_weight=weight[36:80])


def test_blocks_of_series():
    going_on = model()
    for label in ("a", "b", "a"):
        rows = slice(60, 120) if label in vars(going_on).get("seen", ()) else slice(0, 60)
        going_on.partial_fit(X[rows], Y[rows], groups=[label] * 60)
        going_on.seen = {label}
    with warns("X begins at"):
        going_on.partial_fit(X[30:90], Y[30:90], groups=["b"] * 60)


@pytest.mark.parametrize("absent", [0, 1])
def test_blocks_of_series_one_of_which_is_not_there(absent):
    """A group whose weights are all zero has no row that counts: nothing to say, and nothing to look for."""
    groups, times = np.repeat(["p", "q"], 20), HOURS[:20].append(HOURS[:20])
    first = X[:40].set_axis(times)
    going_on = model().partial_fit(first, Y[:40].to_numpy(), groups=groups)
    weights = np.where(groups == "pq"[absent], 0.0, 1.0)
    later = first.set_axis(times + pd.Timedelta("20h"))
    going_on.partial_fit(later, Y[:40].to_numpy(), groups=groups, sample_weight=weights)
    assert going_on.n_iter_ == 2


def test_fit_then_partial_fit():
    model().fit(X[:60], Y[:60]).partial_fit(X[60:], Y[60:])
    with warns("X begins at"):
        model().fit(X[60:], Y[60:]).partial_fit(X[:60], Y[:60])
