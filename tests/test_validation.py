"""What users may hand in: every accepted form becomes the same sequences. What they may not: test_bad_input.py."""

import numpy as np
import pandas as pd
import pytest

from sklstm import DeepLSTMRegressor
from sklstm._sequences import Sequences
from sklstm._validation import (
    check_groups,
    check_sequences,
    check_sequences_after,
    check_weights,
    is_list_of_sequences,
    is_set_of_sequences,
    naming,
)

TABLE = np.arange(12.0).reshape(6, 2)
RAGGED = [TABLE[:3], TABLE[3:4], TABLE[2:]]


def estimator(**parameters):
    return DeepLSTMRegressor(**{"sequence_length": 3, **parameters})


def check(X, **keywords):
    return check_sequences(estimator(), X, reset=True, **keywords)


def assert_same(found, expected):
    for name in ("table", "starts", "lengths", "blocks", "gap"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


# Tables, sets of sequences


def object_array(entries):
    array = np.empty(len(entries), object)
    for i, entry in enumerate(entries):
        array[i] = entry
    return array


TABLES = {
    "array": TABLE,
    "float32": TABLE.astype(np.float32),
    "integers": TABLE.astype(np.int16),
    "Fortran order": np.asfortranarray(TABLE),
    "every other row": np.repeat(TABLE, 2, axis=0)[::2],
    "objects that are numbers": TABLE.astype(object),
    "rows as lists": TABLE.tolist(),
    "rows as arrays": list(TABLE),
    "tuple of tuples": tuple(map(tuple, TABLE)),
    "DataFrame": pd.DataFrame(TABLE),
    "DataFrame of several dtypes": pd.DataFrame({"a": TABLE[:, 0].astype(np.int8), "b": TABLE[:, 1]}),
    "nullable DataFrame": pd.DataFrame(TABLE).convert_dtypes(),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables(kind):
    assert not is_set_of_sequences(TABLES[kind])
    found = check(TABLES[kind])
    assert found.table.dtype == ("float32" if kind == "float32" else "float64")
    assert found.table.flags.c_contiguous
    assert_same(found, Sequences.from_windows(TABLE, 3))


LISTS = {
    "arrays": RAGGED,
    "tuple": tuple(RAGGED),
    "object array": object_array(RAGGED),
    "DataFrames": [pd.DataFrame(one) for one in RAGGED],
    "nested lists": [one.tolist() for one in RAGGED],
    "lists of arrays": [list(one) for one in RAGGED],
    "Fortran order": [np.asfortranarray(one) for one in RAGGED],
    "mixed": [RAGGED[0], RAGGED[1].tolist(), RAGGED[2].astype(int)],
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_sequences(kind):
    assert is_list_of_sequences(LISTS[kind])
    assert is_set_of_sequences(LISTS[kind])
    assert_same(check(LISTS[kind]), Sequences.from_list(RAGGED))


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0]], [np.arange(4.0), np.arange(6.0)]])
def test_rows_of_two_lengths(rows):
    with pytest.raises(ValueError, match=r"X is a list of entries of different lengths\."):
        check(rows)


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, np.ndarray.tolist, list])
def test_three_dimensional_arrays(form):
    array = np.arange(24.0).reshape(4, 3, 2)
    assert is_set_of_sequences(form(array))
    assert_same(check(form(array)), Sequences.from_array(array))


def test_number_of_features_is_the_last_axis():
    model = estimator()
    check_sequences(model, np.zeros((4, 3, 2)), reset=True)
    assert model.n_features_in_ == 2
    check_sequences(model, np.zeros((5, 2)))
    check_sequences(model, [np.zeros((5, 2)), np.zeros((1, 2))])
    check_sequences(model, RAGGED, reset=True)
    assert model.n_features_in_ == 2


def test_a_set_of_sequences_forgets_feature_names():
    model = estimator()
    check_sequences(model, pd.DataFrame(TABLE, columns=["a", "b"]), reset=True)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    check_sequences(model, np.zeros((4, 3, 2)), reset=True)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_copy_of_what_fits(dtype):
    for array in (np.zeros((6, 2), dtype), np.zeros((6, 3, 2), dtype)):
        array.flags.writeable = False
        found = check_sequences(estimator(dtype=dtype), array, reset=True)
        assert np.shares_memory(found.table, array)


def test_no_copy_of_a_memmap(tmp_path):
    np.save(tmp_path / "table.npy", TABLE.astype(np.float32))
    table = np.load(tmp_path / "table.npy", mmap_mode="r")
    assert np.shares_memory(check(table).table, table)


# Groups

GROUPS = {
    "list": ["x", "x", "y", "y", "y", "z"],
    "Series": pd.Series([1, 1, 2, 2, 2, 3], index=range(10, 16)),
    "string Series": pd.Series(["x", "x", "y", "y", "y", "z"], dtype="str"),
    "categorical": pd.Series(["x", "x", "y", "y", "y", "z"], dtype="category"),
    "one column": pd.DataFrame({"g": [1, 1, 2, 2, 2, 3]}),
    "labels of two types": np.array(["x", "x", 5, 5, 5, 7.5], object),
}


@pytest.mark.parametrize("kind", GROUPS)
def test_groups(kind):
    assert check_groups(GROUPS[kind], 6).tolist() == [0, 2, 5, 6]
    found = check(TABLE, groups=GROUPS[kind])
    assert found.lengths.tolist() == [1, 2, 1, 2, 3, 1]


def test_no_groups():
    assert check_groups(None, 6) is None


# Context


@pytest.mark.parametrize("n_before", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 9])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_windows_after_a_context(n_before, n_rows, length):
    model = estimator(sequence_length=length, dtype="float64")
    joined = np.random.default_rng(0).normal(size=(n_before + n_rows, 2))
    whole = check_sequences(model, joined, reset=True)
    parts = check_sequences_after(model, joined[n_before:], joined[:n_before])
    windows = {}
    for sequences, keep, rows in parts:
        pairs = zip(np.arange(n_rows)[rows].tolist(), sequences.starts[keep], sequences.lengths[keep], strict=True)
        windows.update({row: sequences.table[start : start + n] for row, start, n in pairs})
    assert sorted(windows) == list(range(n_rows))
    windows = [windows[row] for row in range(n_rows)]
    expected = zip(whole.starts[n_before:], whole.lengths[n_before:], strict=True)
    for found, (start, n) in zip(windows, expected, strict=True):
        np.testing.assert_array_equal(found, joined[start : start + n])


@pytest.mark.parametrize("training", ["windows", "stateful"])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_windows_after_a_context_of_groups(length, training):
    model = estimator(sequence_length=length, dtype="float64", training=training)
    rng = np.random.default_rng(0)
    before = {"a": rng.normal(size=(5, 2)), "b": rng.normal(size=(1, 2)), "gone": rng.normal(size=(3, 2))}
    after = {"new": rng.normal(size=(3, 2)), "b": rng.normal(size=(4, 2)), "a": rng.normal(size=(2, 2))}
    X, context = np.concatenate([*after.values()]), np.concatenate([*before.values()])
    groups, context_groups = (np.repeat([*one], [len(part) for part in one.values()]) for one in (after, before))
    check_sequences(model, X, reset=True)
    found = {}
    for sequences, keep, rows in check_sequences_after(model, X, context, groups=groups, context_groups=context_groups):
        pairs = zip(np.arange(len(X))[rows].tolist(), sequences.starts[keep], sequences.lengths[keep], strict=True)
        found.update({row: sequences.table[start : start + n] for row, start, n in pairs})
    row = 0
    for label, part in after.items():
        joined = np.concatenate([before.get(label, part[:0]), part])
        for i in range(len(joined) - len(part), len(joined)):
            begin = max(0, i + 1 - length) if training == "windows" else 0
            np.testing.assert_array_equal(found.pop(row), joined[begin : i + 1])
            row += 1
    assert not found


def test_a_context_makes_no_copy_of_the_table():
    model = estimator(dtype="float64")
    X, context = np.zeros((1000, 2)), np.ones((500, 2))
    check_sequences(model, X, reset=True)
    (head, _, _), (rest, _, _) = check_sequences_after(model, X, context)
    assert np.shares_memory(rest.table, X)
    assert len(head.table) == 2 * (model.sequence_length - 1)


# Weights


def test_weights():
    assert check_weights(None, 3).tolist() == [1.0, 1.0, 1.0]
    assert check_weights(2, 3).tolist() == [2.0, 2.0, 2.0]
    for given in ([0, 3, 1], (0.0, 3.0, 1.0), pd.Series([0, 3, 1], index=[5, 6, 7]), np.array([0, 3, 1], np.float32)):
        found = check_weights(given, 3)
        assert found.dtype == np.float64
        assert found.tolist() == [0.0, 3.0, 1.0]


# Names in messages


def test_naming_adds_the_name_once():
    with pytest.raises(ValueError, match=r"^context: no good$"), naming("context"):
        raise ValueError("no good")
    with pytest.raises(TypeError, match=r"^X\[2\]: no good$"), naming("X"), naming("X[2]"):
        raise TypeError("no good")
    with pytest.raises(ValueError, match=r"^the context is no good$"), naming("context"):
        raise ValueError("the context is no good")
    # A name inside another word does not count.
    with pytest.raises(ValueError, match=r"^X: X_val is no good$"), naming("X"):
        raise ValueError("X_val is no good")


def test_naming_keeps_the_cause_and_leaves_other_errors_alone():
    cause = UnicodeDecodeError("ascii", b"\xff", 0, 1, "no good")
    with pytest.raises(ValueError, match=r"^X: 'ascii' codec") as caught, naming("X"):
        raise cause
    assert caught.value.__cause__ is cause
    with pytest.raises(KeyboardInterrupt), naming("X"):
        raise KeyboardInterrupt
