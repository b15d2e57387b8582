"""The kind of input is remembered and checked on every path; names count inside lists too."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, LSTMFeatureSelector, WeightedEnsembleRegressor

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(12, 10, 2))
Y = ARRAY[:, -1, 0]
RAGGED = [sequence[: 3 + i % 5] for i, sequence in enumerate(ARRAY)]
FRAMES = [pd.DataFrame(sequence, columns=["a", "b"]) for sequence in RAGGED]
TABLE, TABLE_Y = ARRAY.reshape(-1, 2), ARRAY[:, :, 0].ravel()
SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 1, "random_state": 0, "n_jobs": 1}


def model(**parameters):
    return DeepLSTMRegressor(**{**SMALL, **parameters})


# Tables and sequences


@pytest.mark.parametrize("X", [ARRAY, RAGGED, FRAMES], ids=["3-D", "list", "frames"])
def test_a_table_for_a_model_of_sequences(X, case):
    y = case.target(Y)
    fitted = case.make().fit(X, y)
    message = r"X is a table, .* fitted on sequences. .*pass X\[np.newaxis\] \(or \[X\]\)"
    for method in case.methods(fitted):
        with pytest.raises(ValueError, match=message):
            method(X[0])
    with pytest.raises(ValueError, match=message):
        fitted.score(X[0], case.target(X[0] if isinstance(X[0], np.ndarray) else X[0].to_numpy())[:, 0])
    with pytest.raises(ValueError, match=message):
        fitted.partial_fit(X[0], np.resize(y, len(X[0])))
    with pytest.raises(ValueError, match="X_val is a table"):
        case.make().fit(X, y, X_val=X[0], y_val=np.resize(y, len(X[0])))
    assert fitted.predict([X[0]]) == fitted.predict(X)[:1]


def test_sequences_for_a_model_of_a_table():
    """Each is a window of its own."""
    fitted = model().fit(TABLE, TABLE_Y)
    assert fitted.predict(TABLE[np.newaxis, :5])[0] == fitted.predict(TABLE)[4]


def test_groups_that_are_missing():
    groups = np.repeat(np.arange(12), 10)
    fitted = model().fit(TABLE, TABLE_Y, groups=groups)
    for method in (fitted.predict, fitted.transform):
        with pytest.warns(UserWarning, match="groups is missing: the model was fitted with groups"):
            method(TABLE)
    with pytest.warns(UserWarning, match="groups is missing"):
        fitted.score(TABLE, TABLE_Y)
    fitted.predict(TABLE, groups=groups)
    fitted.predict(TABLE[:1])
    fitted.predict(TABLE[10:20], groups=["one"] * 10)
    fitted.predict(TABLE[15:20], context=TABLE[10:15])
    fitted.predict(ARRAY)
    # An index of times that increase: these rows are one series.
    dated = pd.DataFrame(TABLE[:10], index=pd.date_range("2024", periods=10))
    model().fit(pd.DataFrame(TABLE), TABLE_Y, groups=groups).predict(dated)
    model().fit(TABLE, TABLE_Y).predict(TABLE)
    # So are those of one entry of a level of names, and no others.
    index = pd.MultiIndex.from_product([range(12), pd.date_range("2024", periods=10)])
    panel = pd.DataFrame(TABLE, index=index)
    fitted = model().fit(panel, TABLE_Y, groups=groups)
    fitted.predict(panel.loc[[3]])
    with pytest.warns(UserWarning, match="groups is missing"):
        fitted.predict(panel[:20].set_axis([np.repeat([3, 5], 10), pd.date_range("2024", periods=20)]))


def test_groups_that_are_missing_in_a_later_block():
    groups = np.repeat(np.arange(12), 10)
    fitted = model().partial_fit(TABLE, TABLE_Y, groups=groups).partial_fit(TABLE, TABLE_Y, groups=groups)
    with pytest.warns(UserWarning, match="groups is missing"):
        fitted.partial_fit(TABLE, TABLE_Y)
    with pytest.warns(UserWarning, match="groups is missing"):  # still a model of groups
        fitted.predict(TABLE)
    model(sequence_length=1).partial_fit(TABLE, TABLE_Y, groups=groups).partial_fit(TABLE, TABLE_Y)


# Targets of steps


@pytest.mark.parametrize("X", [ARRAY, [*ARRAY], RAGGED, FRAMES], ids=["3-D", "list", "ragged", "frames"])
@pytest.mark.parametrize("form", [np.asarray, list, pd.Series])
@pytest.mark.parametrize("container", [list, tuple, pd.Series])
def test_a_target_for_every_step(X, form, container):
    y = container([form(sequence[:, 0] if isinstance(sequence, np.ndarray) else sequence["a"]) for sequence in X])
    for call in (model().fit, model().partial_fit):
        with pytest.raises(ValueError, match=r"y is a list of 12 arrays.* one target per sequence.*groups=") as caught:
            call(X, y)
        # Only targets of one length can be stacked.
        assert ("np.stack" in str(caught.value)) == (len({len(entry) for entry in y}) == 1)
    with pytest.raises(ValueError, match="y_val is a list of 12 arrays"):
        model().fit(X, Y, X_val=X, y_val=y)
    fitted = model().fit(X, Y)
    with pytest.raises(ValueError, match="y is a list of 12 arrays"):
        fitted.score(X, y)


@pytest.mark.parametrize("X", [ARRAY, [*ARRAY]], ids=["3-D", "list"])
def test_a_target_for_every_step_in_an_array(X):
    for kind in (DeepLSTMRegressor, DeepLSTMClassifier):
        with pytest.raises(ValueError, match=r"y has shape \(12, 10, 1\), an entry for every step.* groups="):
            kind(**SMALL).fit(X, (ARRAY[:, :, :1] > 0).astype(float))
    # Three steps of a horizon, not of the sequence.
    assert model().fit(X, np.ones((12, 3, 1))).predict(X).shape == (12, 3, 1)
    with pytest.raises(ValueError, match="y has 4 dimensions, expected"):
        model().fit(X, np.ones((12, 3, 1, 1)))


def test_several_targets_of_a_sequence():
    fitted = model().fit(ARRAY, ARRAY[:, :, 0])  # an array says so
    assert fitted.predict(ARRAY).shape == (12, 10)
    assert model().fit(ARRAY, [sequence[:3, 0] for sequence in ARRAY]).predict(ARRAY).shape == (12, 3)
    assert model().fit(ARRAY[:, :1], [[value] for value in Y]).predict(ARRAY).shape == (12, 1)


def test_the_way_that_is_named_for_targets_of_steps():
    groups = np.repeat(np.arange(len(RAGGED)), [len(x) for x in RAGGED])
    stacked = np.concatenate(RAGGED)
    assert model().fit(stacked, stacked[:, 0], groups=groups).predict(stacked, groups=groups).shape == (len(stacked),)


# Names in lists


def test_names_in_lists(case):
    y = case.target(Y)
    fitted = case.make().fit(FRAMES, y)
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    expected = case.output(case.make().fit(RAGGED, y), RAGGED)
    np.testing.assert_array_equal(case.output(fitted, FRAMES), expected)
    np.testing.assert_array_equal(case.output(fitted, [*FRAMES[:2], *RAGGED[2:]]), expected)
    other, fewer = FRAMES[3][["b", "a"]], FRAMES[3].rename(columns={"b": "c"})
    for method in case.methods(fitted):
        with pytest.raises(ValueError, match=r"X\[3\]: The feature names.*\n?.*same order"):
            method([*FRAMES[:3], other, *FRAMES[4:]])
        with pytest.raises(ValueError, match=r"X\[3\]: The feature names.*\n.*unseen at fit time:\n- c"):
            method([*FRAMES[:3], fewer])
    for call in (case.make().fit, case.make().partial_fit, fitted.partial_fit):
        with pytest.raises(ValueError, match=r"X\[1\]: The feature names"):
            call([FRAMES[0], other], y[:2])
    with pytest.raises(ValueError, match=r"X_val\[0\]: The feature names"):
        case.make().fit(FRAMES, y, X_val=[other] * 12, y_val=y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        fitted.predict(RAGGED)
    assert not hasattr(case.make().fit(RAGGED, y), "feature_names_in_")


def test_target_column_by_name_in_lists():
    by_name = model(window_norm="last", target_column="b").fit(FRAMES, Y)
    by_place = model(window_norm="last", target_column=1).fit(RAGGED, Y)
    np.testing.assert_array_equal(by_name.predict(FRAMES), by_place.predict(RAGGED))


def record_batch(frame):
    return pa.RecordBatch.from_pandas(frame.reset_index(drop=True), preserve_index=False)


OTHER_FRAMES = {"polars": pl.DataFrame, "pyarrow": pa.Table.from_pandas, "a batch": record_batch}


@pytest.mark.parametrize("kind", OTHER_FRAMES)
def test_other_frames(kind):
    make = OTHER_FRAMES[kind]
    expected = model().fit(FRAMES, Y)
    fitted = model().fit([make(frame) for frame in FRAMES], pl.Series(Y))
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(fitted.predict([make(frame) for frame in FRAMES]), expected.predict(FRAMES))
    with pytest.raises(ValueError, match=r"X\[0\]: The feature names"):
        fitted.predict([make(FRAMES[0][["b", "a"]])])
    frame = pd.DataFrame(TABLE, columns=["a", "b"])
    fitted = model().fit(make(frame), pa.array(TABLE_Y))
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(fitted.predict(make(frame)), model().fit(frame, TABLE_Y).predict(frame))
    with pytest.raises(ValueError, match="The feature names"):
        fitted.predict(make(frame[["b", "a"]]))


# What is no table and no list


FRAME = pd.DataFrame(TABLE, columns=["a", "b"])
NO_CONTAINERS = {
    "a query": (pl.DataFrame(FRAME).lazy(), r"X is a LazyFrame, .* Pass X.collect\(\)"),
    "queries": ([pl.DataFrame(FRAME).lazy()], r"X\[0\] is a LazyFrame"),
    "a dict": ({"a": Y, "b": Y}, r"X is a dict. .*pandas.DataFrame\(X\); of sequences a list, list\(X.values\(\)\)"),
    "values": (dict(enumerate(ARRAY)).values(), r"X is a dict_values.* Pass list\(X\)"),
    "items": (dict(enumerate(ARRAY)).items(), r"X is a dict_items"),
    "a generator": ((x for x in ARRAY), r"X is a generator.* Pass list\(X\)"),
    "groupby": (FRAME.groupby(np.arange(120) // 10), r"X is a DataFrameGroupBy. Pass its table and groups"),
    "a nested frame": (
        pd.DataFrame({"a": [pd.Series(x[:, 0]) for x in RAGGED]}),
        "X has cells that hold series.*np.column_stack",
    ),
    "a nested polars frame": (pl.DataFrame({"a": [[1.0, 2.0]] * 12}), "X has cells that hold series.*iter_rows"),
    "a nested array": (
        pd.DataFrame({"a": [pd.Series(x) for x in ARRAY[:, :, 0]]}).to_numpy(),
        "X has cells that hold series",
    ),
    "a Series of arrays": (pd.Series([*ARRAY]), "X has cells that hold series. Pass a list of 2-D arrays"),
}


@pytest.mark.parametrize("kind", NO_CONTAINERS)
def test_what_holds_no_numbers(kind):
    X, message = NO_CONTAINERS[kind]
    fitted = model().fit(TABLE, TABLE_Y)
    ask = model().fit(ARRAY, Y).predict
    for call in (
        lambda X: model().fit(X, Y),
        lambda X: model().partial_fit(X, Y),
        fitted.predict,
        fitted.transform,
        ask,
    ):
        with pytest.raises(TypeError, match=message):
            call(X)
    with pytest.raises(TypeError, match=r"^X_val(\[0\])? (is|has)"):
        model().fit(TABLE, TABLE_Y, X_val=X, y_val=Y)
    with pytest.raises(TypeError, match=r"^context(\[0\])? (is|has)"):
        fitted.predict(TABLE, context=X)


@pytest.mark.parametrize("y", [{"a": Y}, {"a": Y}.values(), iter(Y), pl.DataFrame({"y": Y}).lazy()])
def test_targets_that_hold_no_numbers(y):
    with pytest.raises(TypeError, match="y is a "):
        model().fit(ARRAY, y)


@pytest.mark.parametrize("name", ["sample_weight", "groups"])
def test_labels_and_weights_that_hold_no_numbers(name):
    values = dict(enumerate(np.repeat(np.arange(1, 13), 10)))
    ensemble = WeightedEnsembleRegressor([("one", model()), ("two", model())])
    for fit in (model().fit, model().partial_fit, ensemble.fit, LSTMFeatureSelector().fit):
        with pytest.raises(TypeError, match=rf"^{name} is a dict_values, .* Pass list\({name}\)"):
            fit(TABLE, TABLE_Y, **{name: values.values()})
        with pytest.raises(TypeError, match=f"^{name} is a dict"):
            fit(TABLE, TABLE_Y, **{name: values})


TIMES = pd.date_range("2024", periods=120, freq="h")
DATED = pd.DataFrame({"a": TABLE_Y, "t": TIMES})
HOLDING_TIMES = {
    "a column": DATED,
    "all columns": DATED[["t"]],
    "a zone": DATED.assign(t=TIMES.tz_localize("UTC")),
    "differences": DATED.assign(t=TIMES - TIMES[0]),
    "periods": DATED.assign(t=TIMES.to_period("h")),
    "polars": pl.from_pandas(DATED),
    "pyarrow": pa.Table.from_pandas(DATED),
    "an array": DATED[["t"]].to_numpy(),
    "an array of differences": (TIMES - TIMES[0]).to_numpy()[:, np.newaxis],
    "3-D": TIMES.to_numpy().reshape(12, 10, 1),
    "a list": [DATED[:50], DATED[50:]],
}


@pytest.mark.parametrize("kind", HOLDING_TIMES)
def test_columns_of_times(kind):
    """NumPy would make numbers near 1e18 of them."""
    X = HOLDING_TIMES[kind]
    y = np.arange(float(len(X)))
    for call in (model().fit, model().partial_fit, LSTMFeatureSelector().fit):
        with pytest.raises(
            TypeError, match=r"^X(\[0\])? holds dates or times \(.*expected numbers. Make them the index"
        ):
            call(X, y)
    with pytest.raises(TypeError, match=r"^X_val(\[0\])? holds dates or times"):
        model().fit(TABLE, TABLE_Y, X_val=X, y_val=y)
    with pytest.raises(TypeError, match=r"^X(\[0\])? holds dates or times"):
        model().fit(TABLE, TABLE_Y).predict(X)


# Axes

SMOOTH = np.cumsum(RNG.normal(size=(20, 6, 60)), axis=2)  # as aeon's loaders give it: channels first


def test_swapped_axes_are_told_where_they_disagree():
    fitted = model().fit(ARRAY, Y)
    with pytest.raises(
        ValueError, match=r"10 features.*\(n_sequences, n_steps, n_features\): pass X.transpose\(0, 2, 1\)"
    ):
        fitted.predict(ARRAY.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"10 features.*\(n_steps, n_features\): pass \[x.T for x in X\]"):
        fitted.predict([sequence.T for sequence in ARRAY])
    with pytest.raises(ValueError, match=r"X_val of shape .*pass X_val.transpose\(0, 2, 1\)"):
        model().fit(ARRAY, Y, X_val=ARRAY.transpose(0, 2, 1), y_val=Y)
    with pytest.raises(ValueError, match=r"X\[1\] has 51 features.*pass \[x.T for x in X\]"):
        model().fit([sequence[:, : 50 + i] for i, sequence in enumerate(SMOOTH[:10])], Y[:10])
    ensemble = WeightedEnsembleRegressor([("one", model()), ("two", model())]).fit(ARRAY, Y)
    with pytest.raises(ValueError, match=r"10 features.*: pass X.transpose\(0, 2, 1\)"):
        ensemble.predict(ARRAY.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"sequence 1 has 51.*pass \[x.T for x in X\]"):
        ensemble.fit([sequence[:, : 50 + i] for i, sequence in enumerate(SMOOTH[:10])], Y[:10])
    with pytest.raises(ValueError, match=r"expecting 2 features as input \(the last axis\)\.$"):
        ensemble.predict(ARRAY[:, :, [0, 1, 1]])
    with pytest.raises(ValueError, match=r"has 3 features, .*\(the last axis\)\.$"):
        fitted.predict(ARRAY[:, :, [0, 1, 1]])


@pytest.mark.parametrize(
    "X", [SMOOTH, [*SMOOTH], SMOOTH[:, :1], 1e300 * SMOOTH[:, :2] / 10], ids=["3-D", "list", "one", "huge"]
)
def test_swapped_axes_are_told_where_values_show_them(X):
    with pytest.warns(UserWarning, match=r"X\[0\] has shape .* is the last axis time\? .*pass (X.transpose|\[x.T)"):
        model(dtype="float64").fit(X, np.arange(20.0))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_few_steps_of_many_columns_are_asked_about(n_channels):
    X = RNG.normal(size=(20, n_channels, 50))
    steps = "1 step of 50" if n_channels == 1 else "3 steps of 50"
    for fit in (model().fit, model().partial_fit):
        with pytest.warns(
            UserWarning, match=f"{steps} features: is the last axis time.*If so, pass X.transpose"
        ) as told:
            fit(X, np.arange(20.0))
        assert [(one.filename, one.category) for one in told] == [(__file__, UserWarning)]


def test_axes_that_are_fine():
    model().fit(SMOOTH.transpose(0, 2, 1), np.arange(20.0))
    model().fit(RNG.normal(size=(20, 4, 50)) * np.arange(50), np.arange(20.0))  # few steps of many columns
    model().fit(np.cumsum(RNG.normal(size=(20, 3, 50)), axis=1) + 9 * RNG.normal(size=50), np.arange(20.0))
    model().fit(RNG.normal(size=(20, 1, 20)), np.arange(20.0))
    spectra = np.cumsum(np.cumsum(RNG.normal(size=(20, 30, 40)), axis=2), axis=1)  # smooth both ways
    model().fit(spectra, np.arange(20.0))
    model().fit(np.ones((20, 2, 20)), np.arange(20.0))
    DeepLSTMClassifier(**SMALL).fit(SMOOTH.transpose(0, 2, 1), np.arange(20) % 2)


@pytest.mark.parametrize("empty", [[], (), np.empty(0, object), np.empty((0, 3)), np.empty((0, 3, 2))])
def test_nothing_at_all_is_refused_as_such(empty):
    with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array|X: Found array with 0 sample"):
        DeepLSTMRegressor().fit(empty, [])
