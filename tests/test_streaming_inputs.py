"""What a stream takes and what it refuses: rows, `out`, arguments and states; a refusal changes nothing."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from stream_case import (
    LENGTH,
    ROWS,
    TABLE,
    TARGETS,
    all_same,
    fitted,
    run,
    same,
)

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm.streaming import Stream


@pytest.fixture(scope="module")
def regressor():
    return fitted("one")


# Rows of any kind


def test_kinds_of_rows(regressor):
    row = np.array([1.0, -2.0, 3.0])
    kinds = [
        row.astype(np.float32), row.astype(int), row.tolist(), tuple(row), row[np.newaxis], np.repeat(row, 2)[::2],
        row.astype(">f8"), row.astype(np.longdouble), row.astype(object), pd.Series(row), pd.DataFrame([row]),
        row.astype(np.float16), np.array([1, -2, 3], np.int8), np.frombuffer(b"-" + row.tobytes(), offset=1),
    ]  # fmt: skip
    for window in (False, True):
        answers = {regressor.stream(window=window).step(kind) for kind in kinds}
        assert answers == {float(regressor.predict(row[np.newaxis, np.newaxis])[0])}
    rows = np.stack([row, 2 * row])
    expected = regressor.predict(rows[:, np.newaxis])
    for kind in (rows, rows.tolist(), rows.astype(int), np.asfortranarray(rows), pd.DataFrame(rows), rows[::-1][::-1]):
        assert same(regressor.stream(n_streams=2).step(kind), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_rounded_as_predict_rounds_them(dtype):
    model = fitted("one", dtype=dtype)
    rows = ROWS[0, :5] * [1e-40, 1.0 / 3.0, 1e14]
    for given in (rows, rows.astype(np.float32), (rows / 1e12).astype(np.int64)):
        assert all_same(run(model.stream(), given), list(model.predict(given)))
        carried = [model.predict(given[np.newaxis, : t + 1])[0] for t in range(5)]
        assert all_same(run(model.stream(window=False), given), carried)


def test_names_of_features():
    names = ["a", "b", "c"]
    frame = pd.DataFrame(TABLE, columns=names)
    model = DeepRNNRegressor(4, max_iter=1, random_state=0).fit(frame, TARGETS["one"])
    expected = model.predict(frame[:1])
    for row in (frame.iloc[0], frame[:1], TABLE[0], pd.Series(TABLE[0])):
        assert same(model.stream().step(row), expected[0])
    assert same(model.stream(n_streams=1).step(frame[:1]), expected)
    stream = model.stream()
    for wrong in (frame[["a", "c", "b"]].iloc[0], frame[["a", "c", "b"]][:1]):
        with pytest.raises(ValueError, match="feature 1 of x is named 'c', expected 'b'"):
            stream.step(wrong)
    assert same(stream.step(TABLE[0]), expected[0])


def test_types_of_answers(regressor):
    assert type(regressor.stream().step(TABLE[0])) is float
    assert regressor.stream(n_streams=1).step(TABLE[:1]).shape == (1,)
    assert fitted("column").stream().step(TABLE[0]).shape == (1,)
    assert fitted("two labels").stream().step(TABLE[0]) in ("up", "down")
    assert fitted("three labels").stream().step(TABLE[0]) in (0, 10, 20)


def test_answers_are_not_overwritten(regressor):
    for method in ("predict", "transform"):
        stream = regressor.stream(n_streams=2, response_method=method)
        first = stream.step(TABLE[:2])
        kept = first.copy()
        stream.step(TABLE[2:4])
        assert same(first, kept)


@pytest.mark.parametrize("n_streams", [None, 2])
def test_the_kernels_see_plain_rows_alone(regressor, n_streams):
    """C-contiguous, in shape, float32 or float64 of this machine's byte order: they check no more than the values."""
    row = TABLE[0] if n_streams is None else TABLE[:2]
    double = np.repeat(row, 2, axis=-1)[..., ::2]
    kinds = [row, row.astype("f4"), row.tolist(), row.astype(int), row.astype(">f8"), np.asfortranarray(row), double,
             pd.DataFrame(np.atleast_2d(row)), row[::-1][::-1]]  # fmt: skip
    stream, seen = regressor.stream(n_streams=n_streams, response_method="transform"), []
    advance = stream._advance
    stream._advance = lambda x: seen.append(x) or advance(x)
    for kind in kinds:
        stream.step(kind)
    assert {x.shape for x in seen} == {row.shape}
    assert all(x.flags.c_contiguous and x.dtype in ("f4", "f8") and x.dtype.isnative for x in seen)
    assert [x is kind for x, kind in zip(seen, kinds, strict=True)][:3] == [True, True, False]


# What must not pass

NAN, INF = float("nan"), float("inf")
BAD_ROWS = [
    (None, [1.0, NAN, 1.0], r"x contains NaN at feature 1\."),
    (None, np.array([1.0, 1.0, INF]), r"x contains infinity at feature 2\."),
    (
        None,
        np.array([-1e300, 1.0, 1.0]),
        r"x contains -1e\+300 at feature 0, too large for dtype='float32'.* Rescale or clip",
    ),
    (None, [1e300, 1.0, 1.0], r"x contains 1e\+300 at feature 0, too large"),
    (None, np.array([NAN, 1, 1], np.float32), r"x contains NaN at feature 0\."),
    (None, np.array([None, 1.0, 1.0]), "x contains NaN at feature 0"),
    (None, [1.0, 2.0], r"x has shape \(2,\), expected \(3,\): one row of the 3 features that .*Regressor was fitted"),
    (None, np.ones((2, 3)), r"x has shape \(2, 3\), expected \(3,\)"),
    (None, np.ones((3, 1)), r"x has shape \(3, 1\), expected \(3,\)"),
    (None, np.ones((1, 1, 3)), r"x has shape \(1, 1, 3\), expected \(3,\)"),
    (None, 1.0, r"x has shape \(\), expected \(3,\)"),
    (None, np.ones(3) + 1j, "Complex data not supported: x must hold real numbers"),
    (None, ["a", "b", "c"], "x must hold numbers, found dtype <U1"),
    (None, np.array(["a", 1.0, 2.0], object), "x: could not convert string to float: 'a'"),
    (None, np.ones(3, "M8[s]"), r"x must hold numbers, found dtype datetime64\[s\]"),
    (None, np.ma.masked_array(np.ones(3)), "x is a masked array"),
    (None, [[1.0], [2.0, 3.0]], "x: .*inhomogeneous"),
    (2, np.ones(3), r"x has shape \(3,\), expected \(2, 3\): one row .* for each of 2 streams"),
    (2, np.ones((3, 3)), r"x has shape \(3, 3\), expected \(2, 3\)"),
    (2, [[1.0, 1.0, 1.0], [1.0, 1.0, NAN]], r"x contains NaN at feature 2 of stream 1\."),
    (1, np.ones(3), r"x has shape \(3,\), expected \(1, 3\)"),
]


def test_what_is_no_row(regressor):
    pl = pytest.importorskip("polars")
    stream = regressor.stream()
    for x, message in ((dict.fromkeys("abc", 1.0), "x is a dict; expected one row: a list or array of its values"),
                       (pl.DataFrame(TABLE[:1]).lazy(), r"x is a LazyFrame; .* x\.collect\(\)")):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            stream.step(x)


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize(("n_streams", "x", "message"), BAD_ROWS, ids=[row[2] for row in BAD_ROWS])
def test_a_refused_row_leaves_the_state(regressor, n_streams, x, message, window):
    stream = regressor.stream(n_streams=n_streams, window=window)
    rows = ROWS[0] if n_streams is None else ROWS[:n_streams]
    run(stream, rows[..., :5, :])
    before, copied = pickle.dumps(stream.state), copy.deepcopy(stream)
    with pytest.raises(ValueError, match=message):
        stream.step(x)
    assert pickle.dumps(stream.state) == before
    assert all_same(run(stream, rows[..., 5:, :]), run(copied, rows[..., 5:, :]))


def read_only(shape):
    array = np.empty(shape)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("n_streams", "out", "exception", "message"),
    [
        (None, np.empty(1), ValueError, r"out has shape \(1,\) and dtype float64, expected \(\) and float64"),
        (2, np.empty(3), ValueError, r"out has shape \(3,\) and dtype float64, expected \(2,\) and float64"),
        (
            2,
            np.empty(2, np.float32),
            ValueError,
            r"out has shape \(2,\) and dtype float32, expected \(2,\) and float64",
        ),
        (2, [0.0, 0.0], TypeError, "out must be a NumPy array, found <class 'list'>"),
        (2, np.ma.zeros(2), TypeError, "out must be a NumPy array, found <class 'numpy.ma"),
        (2, read_only(2), ValueError, "out is read-only"),
    ],
)
def test_a_refused_out_leaves_the_state(regressor, n_streams, out, exception, message):
    stream = regressor.stream(n_streams=n_streams)
    before = pickle.dumps(stream.state)
    with pytest.raises(exception, match=message):
        stream.step(TABLE[0] if n_streams is None else TABLE[:2], out=out)
    assert pickle.dumps(stream.state) == before


def test_out_of_labels_and_hidden_states():
    model = fitted("two labels")
    with pytest.raises(ValueError, match=r"out has shape \(2,\) and dtype float64, expected \(2,\) and <U4"):
        model.stream(n_streams=2).step(TABLE[:2], out=np.empty(2))
    with pytest.raises(ValueError, match=r"dtype float64, expected \(2, 7\) and float32"):
        model.stream(n_streams=2, response_method="transform").step(TABLE[:2], out=np.empty((2, 7)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_streams": 0}, "n_streams must be None or an integer of at least 1, found 0"),
        ({"n_streams": -2}, "n_streams must be .*, found -2"),
        ({"n_streams": True}, "n_streams must be .*, found True"),
        ({"n_streams": 2.0}, r"n_streams must be .*, found 2\.0"),
        ({"n_streams": "2"}, "n_streams must be .*, found '2'"),
        ({"window": 5}, "window must be None, True or False, found 5"),
        ({"window": "windows"}, "window must be None, True or False, found 'windows'"),
        ({"response_method": "score"}, r"response_method of .*Regressor .* \['predict', 'transform'\], found 'score'"),
        ({"response_method": "predict_proba"}, "response_method .*, found 'predict_proba'"),
        ({"context": TABLE[:, :2]}, "context.* 2 features, but DeepRNNRegressor is expecting 3 features"),
        ({"context": np.full((2, 3), NAN)}, "context: Input X contains NaN"),
        ({"context": [["a", "b", "c"]]}, "context: could not convert string"),
        ({"context": ROWS[:2]}, r"context has shape \(2, 11, 3\), expected \(n_rows, n_features\) for n_streams=None"),
        ({"context": list(ROWS[:2])}, r"context has 3 axes, expected \(n_rows, n_features\)"),
        ({"context": TABLE, "n_streams": 2}, r"context has shape \(60, 3\), expected \(2, n_rows, n_features\)"),
        ({"context": TABLE.tolist(), "n_streams": 2}, r"context has 2 axes, expected \(2, n_rows, n_features\)"),
        ({"context": ROWS[:3], "n_streams": 2}, "context holds 3 sequences of 11 rows, expected 2 of equal length"),
        ({"context": [TABLE[:3], TABLE[:4]], "n_streams": 2}, "context holds 2 sequences of 3 or 4 rows, expected 2"),
        ({"context": np.ma.masked_array(TABLE)}, "context is a masked array"),
    ],
)
@pytest.mark.parametrize("window", [False, True])
def test_bad_arguments(regressor, arguments, message, window):
    with pytest.raises(ValueError, match=message):
        regressor.stream(**{"window": window, **arguments})


def test_bad_response_method_of_a_classifier():
    methods = r"\['predict', 'predict_proba', 'predict_log_proba', 'transform'\]"
    with pytest.raises(ValueError, match=f"response_method of DeepRNNClassifier must be one of {methods}, found 3"):
        fitted("two labels").stream(response_method=3)


@pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepRNNClassifier])
def test_not_fitted(kind):
    with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fitted yet"):
        kind().stream()


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ([3], r"streams holds \[3\], but there are 3 streams"),
        ([0, -4], r"streams holds \[0, -4\], but there are 3 streams"),
        ([True, False], r"streams is a mask of shape \(2,\), expected \(3,\)"),
        ([0.0], "streams must hold integers or bools, found dtype float64"),
        ("all", "streams must hold integers or bools, found dtype <U3"),
    ],
)
def test_bad_reset(regressor, streams, message):
    stream = regressor.stream(n_streams=3)
    run(stream, ROWS[:3])
    before = pickle.dumps(stream.state)
    with pytest.raises(ValueError, match=message):
        stream.reset(streams)
    assert pickle.dumps(stream.state) == before


def replaced(**entries):
    return lambda state: {**state, **entries}


BAD_STATES = [
    (False, list, TypeError, "state must be a dict of arrays .*, found <class 'list'>"),
    (False, lambda state: {"h_l0": state["h_l0"]}, ValueError, r"\['h_l0'\], expected \['c_l0', 'h_l0'\] for window=F"),
    (False, replaced(h_l1=0), ValueError, r"state has the entries \['c_l0', 'h_l0', 'h_l1'\], expected"),
    (True, lambda state: {"h_l0": 0, "c_l0": 0}, ValueError, r"expected \['n_rows', 'rows'\] for window=True"),
    (
        False,
        replaced(c_l0=np.zeros((2, 6), "f4")),
        ValueError,
        r"state\['c_l0'\] has shape \(2, 6\), expected \(2, 7\)",
    ),
    (False, replaced(c_l0=np.zeros((2, 7))), ValueError, r"state\['c_l0'\] has dtype float64, expected float32"),
    (False, replaced(c_l0=np.full((2, 7), NAN, "f4")), ValueError, r"state\['c_l0'\] contains NaN or infinity"),
    (False, replaced(c_l0=[[1], [1, 2]]), ValueError, r"state\['c_l0'\].*inhomogeneous"),
    (False, replaced(c_l0=np.ma.zeros((2, 7), "f4")), ValueError, r"state\['c_l0'\] is a masked array"),
    (True, replaced(rows=np.zeros((2, LENGTH, 3), "f4")), ValueError, r"\['rows'\] has shape .* expected \(2, 3, 3\)"),
    (True, replaced(rows=np.full((2, 3, 3), INF)), ValueError, r"state\['rows'\] contains NaN or infinity"),
    (True, replaced(n_rows=np.zeros(3, int)), ValueError, r"state\['n_rows'\] has shape \(3,\), expected \(2,\)"),
    (True, replaced(n_rows=np.zeros(2)), ValueError, r"state\['n_rows'\] has dtype float64, expected integers"),
    (True, replaced(n_rows=[0, LENGTH]), ValueError, r"state\['n_rows'\] is \[0, 4\], expected numbers from 0 to 3"),
    (True, replaced(n_rows=[-1, 0]), ValueError, r"state\['n_rows'\] is \[-1, 0\], expected numbers from 0 to 3"),
]


@pytest.mark.parametrize(("window", "make", "exception", "message"), BAD_STATES, ids=[row[3] for row in BAD_STATES])
def test_a_refused_state_changes_nothing(regressor, window, make, exception, message):
    """Nor do its good entries, which are others here."""
    stream = regressor.stream(n_streams=2, window=window)
    good = {name: np.full_like(array, LENGTH - 1) for name, array in stream.state.items()}
    run(stream, ROWS[:2])
    before = pickle.dumps(stream.state)
    with pytest.raises(exception, match=message):
        stream.state = make(good)
    assert pickle.dumps(stream.state) == before
    stream.state = good
    assert pickle.dumps(stream.state) == pickle.dumps(good)


def test_states_of_other_byte_orders(regressor):
    for window in (False, True):
        stream = regressor.stream(window=window)
        run(stream, ROWS[0])
        swapped = {name: array.astype(array.dtype.newbyteorder("S")) for name, array in stream.state.items()}
        before = pickle.dumps(stream.state)
        stream.reset().state = swapped
        assert pickle.dumps(stream.state) == before


def test_streams_are_made_by_the_estimators(regressor):
    assert type(regressor.stream()) is Stream
