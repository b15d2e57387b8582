"""Rows ahead: from the table, its groups, or `future`; what is missing or does not fit is refused."""

import numpy as np
import pandas as pd
import pytest
from decoder_case import BEHIND, HORIZON, SMALL, N, X, Y, each_decoder, fitted, make
from estimator_case import parameters_equal
from numpy.testing import assert_array_equal
from sklearn import set_config
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMRegressor, DeepRNNClassifier
from sklstm.exceptions import TimeOrderWarning

pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


def test_groups():
    labels = np.repeat(["b", "a", "c"], [40, 12, N - 52])
    after = {"b": X[40:45], "a": X[52:57], "c": BEHIND}
    future = np.concatenate([after[label] for label in "abc"])
    future_groups = np.repeat(["a", "b", "c"], HORIZON)
    model = make().fit(X[:N], Y, groups=labels, future=future, future_groups=future_groups)
    found = model.predict(X[:N], groups=labels, future=future, future_groups=future_groups)
    for label in "bac":
        alone = model.predict(
            X[:N][labels == label], groups=labels[labels == label], future=after[label], future_groups=[label] * HORIZON
        )
        assert_array_equal(found[labels == label], alone)
    rows = np.arange(46, 52)  # of "a", after its first rows
    answer = model.predict(
        X[rows], groups=labels[rows], context=X[40:46], context_groups=labels[40:46], future=future,
        future_groups=future_groups,
    )  # fmt: skip
    assert_array_equal(answer, found[rows])
    with pytest.raises(ValueError, match="future with groups needs future_groups too"):
        model.predict(X[:N], groups=labels, future=future)
    with pytest.raises(ValueError, match="future with future_groups needs groups too"):
        fitted().predict(X[:N], future=future, future_groups=future_groups)
    with pytest.raises(ValueError, match="future_groups needs future, the rows that these labels are of"):
        model.predict(X[:N], groups=labels, future_groups=future_groups)
    kept = future_groups != "a"
    with pytest.raises(ValueError, match="reads the known columns of the 5 rows after each row, but fewer come after"):
        model.predict(X[:N], groups=labels, future=future[kept], future_groups=future_groups[kept])


@each_decoder
def test_sets_of_sequences(decoder):
    rng = np.random.default_rng(3)
    array, after, y = rng.normal(size=(20, 7, 3)), rng.normal(size=(20, 6, 3)), rng.normal(size=(20, HORIZON))
    model = make(decoder).fit(array, y, future=after)
    expected = model.predict(array, future=after)
    assert_array_equal(model.predict(list(array), future=list(after[:, :HORIZON])), expected)
    assert_array_equal(model.predict(array[4:5], future=after[4:5])[0], expected[4])
    ragged = [one[k % 5 :] for k, one in enumerate(array)]
    other = make(decoder).fit(ragged, y, future=after)
    assert other.predict(ragged, future=after).shape == y.shape
    message = (
        r"reads the known columns of the 5 rows after each sequence, but none are known after sequence 0 of X\. Pass"
    )
    with pytest.raises(ValueError, match=message):
        model.predict(array)
    with pytest.raises(ValueError, match=r"but fewer come after sequence 2 of X"):
        model.predict(ragged, future=[*after[:2], after[2][:4], *after[3:]])
    with pytest.raises(ValueError, match="future holds the rows after 19 sequences, but X has 20"):
        model.predict(array, future=after[1:])
    with pytest.raises(ValueError, match="future must be a set of sequences like X"):
        model.predict(array, future=after[0])
    with pytest.raises(ValueError, match="future_groups goes with a 2-D table X"):
        model.predict(array, future=after, future_groups=np.arange(20))


@each_decoder
def test_missing_rows(decoder):
    message = (
        "the decoder reads the known columns of the 5 rows after each row, but only 4 come after row 90 of X. Pass the "
        r"rows that follow as future, of shape \(n_rows, n_features\) with the columns of X .*, or end X so many rows"
    )
    with pytest.raises(ValueError, match=message):
        make(decoder).fit(X[:N], Y)
    # Samples of weight 0 need nothing.
    weights = (np.arange(N) < N - HORIZON).astype(float)
    model = make(decoder).fit(X[:N], Y, sample_weight=weights)
    assert parameters_equal(model, make(decoder).fit(X[: N - HORIZON], Y[: N - HORIZON], future=X[N - HORIZON : N]))
    with pytest.raises(ValueError, match="but none come after row 0 of X"):
        model.predict(X[:1])
    with pytest.raises(ValueError, match="but fewer come after row 0 of X"):
        model.predict(X[:1], future=X[1:4])


@pytest.mark.parametrize(
    ("future", "message"),
    [
        (BEHIND[:, :2], "future has 2 features, but DeepRNNRegressor is expecting 3 features"),
        (np.where([0, 0, 1], np.nan, BEHIND), "Input future contains NaN"),
        (np.where([0, 0, 1], np.inf, BEHIND), "Input future contains infinity"),
        (np.where([0, 0, 1], 1e30, BEHIND), r"future holds 1e\+30 in column 2, too large for dtype='float32'"),
        (BEHIND[0], "future: Expected 2D array, got 1D array|Expected 2D array"),
    ],
)
def test_rows_ahead_that_cannot_be_read(future, message):
    model = fitted()
    with pytest.raises(ValueError, match=message):
        model.predict(X[:N], future=future)
    with pytest.raises(ValueError, match=message):
        make().fit(X[:N], Y, future=future)


def test_names_of_the_columns():
    frame = pd.DataFrame(X, columns=["load", "price", "hour"])
    model = make(known_columns=["hour"]).fit(frame[:N], Y, future=frame[N:])
    assert parameters_equal(model, fitted())
    expected = model.predict(frame[:N], future=frame[N:])
    assert_array_equal(expected, fitted().predict(X[:N], future=BEHIND))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[:N], future=frame[N:].rename(columns={"hour": "minute"}))


def test_rows_ahead_follow_in_time():
    index = pd.date_range("2024-01-01", periods=100, freq="h")
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=index)
    model = make(known_columns="c").fit(frame[:N], Y, future=frame[N:])
    assert model.predict(frame[20:30], context=frame[:20], future=frame[30:]).shape == (10, HORIZON)
    calls = (
        lambda future: model.predict(frame[20:30], context=frame[:20], future=future),
        lambda future: make(known_columns="c").fit(frame[:30], Y[:30], future=future),
    )
    for call in calls:
        with pytest.warns(TimeOrderWarning, match="future does not come after X: its first row is 2024-01-02 05:00:00"):
            call(frame[29:40])
        with pytest.warns(TimeOrderWarning, match="Rows are missing between X and future: .* A decoder would read the"):
            call(frame[40:50])
        with pytest.warns(TimeOrderWarning, match="future is not in time order"):
            call(frame.iloc[[30, 32, 31, 33, 34, 35]])
    labels = np.repeat(["a", "b"], 15)
    two = pd.concat([frame[:15], frame[:15]])
    grouped = make(known_columns="c").fit(two, Y[:30], groups=labels, future=pd.concat([frame[15:20]] * 2),
                                          future_groups=["a"] * 5 + ["b"] * 5)  # fmt: skip
    with pytest.warns(TimeOrderWarning, match="future does not come after X: its first row of group 'b' is"):
        grouped.predict(two, groups=labels, future=pd.concat([frame[15:20], frame[3:8]]),
                        future_groups=["a"] * 5 + ["b"] * 5)  # fmt: skip


def test_metadata_routing():
    set_config(enable_metadata_routing=True)
    try:
        model = make().set_fit_request(future=True).set_predict_request(future=True)
        pipeline = make_pipeline(model).fit(X[:N], Y, future=BEHIND)
        assert_array_equal(pipeline.predict(X[:N], future=BEHIND), fitted().predict(X[:N], future=BEHIND))
    finally:
        set_config(enable_metadata_routing=False)


def test_rows_ahead_are_for_decoders():
    model = DeepLSTMRegressor(**SMALL)
    with pytest.raises(ValueError, match="future is read by decoders alone: set decoder='recurrent' or 'parallel'"):
        model.fit(X[:N], Y, future=BEHIND)
    with pytest.raises(ValueError, match="future is read by decoders alone"):
        model.fit(X[:N], Y).predict(X, future=BEHIND)
    with pytest.raises(ValueError, match="future needs known_columns"):
        make(known_columns=None).fit(X[:N], Y, future=BEHIND)
    assert "decoder" not in DeepRNNClassifier().get_params()


def test_raw_rows_ahead_beside_scaled_ones_are_told():
    """A pipeline does not take them through its steps."""
    raw = 100.0 + 20.0 * X
    pipeline = make_pipeline(StandardScaler(), make(max_iter=1))
    with pytest.warns(UserWarning, match=r"future lives on another scale than X: column 2 is .*transform\(...\)\)\.$"):
        pipeline.fit(raw[:N], Y, deeprnnregressor__future=raw[N:])
    scaler = pipeline[0]
    model = make(max_iter=1).fit(scaler.transform(raw[:N]), Y, future=scaler.transform(raw[N:]))
    for rows in (slice(60, N), slice(N - 1, N)):
        with pytest.warns(UserWarning, match="future lives on another scale than X"):
            model.predict(scaler.transform(raw[rows]), future=raw[N:])
    sequences, ahead = scaler.transform(raw[:60]).reshape(12, 5, 3), raw[:60].reshape(12, 5, 3)
    with pytest.warns(UserWarning, match="future lives on another scale than X"):
        make(max_iter=1).fit(sequences, Y[:60:5], future=ahead)


def test_holidays_and_trends_ahead_are_no_other_scale():
    table = np.column_stack([X, np.arange(len(X)), np.arange(len(X)) == 3])
    table[N:, 4] = 1.0
    for one in (table, StandardScaler().fit_transform(table)):
        model = make(max_iter=1, known_columns=[2, 3, 4]).fit(one[:N], Y, future=one[N:])
        model.predict(one[N - 1 : N], future=one[N:])
