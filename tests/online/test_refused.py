"""Tables of rows or of truths are taken as a whole or not at all, from the first row on."""

import datetime as dt
import pickle
import shutil
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from online_case import LABELS, N_FITTED, X, Y, classifier, digest, learner, regressor
from sklearn.frozen import FrozenEstimator

from sklstm._online.outliers import outlier_in
from sklstm.online import OnlineLearner

THEN = X[N_FITTED:]


def fitted(**options):
    return learner(**options).fit(X[:N_FITTED], Y[:N_FITTED])


def state(one):
    engine = one._engine
    return pickle.dumps([engine.buffer.state, engine.waiting.state, engine.n_calls, engine.last_time])


@pytest.mark.parametrize(
    ("keys", "kind", "message"),
    [
        (["a", "b", "a"], ValueError, "comes twice"),
        (["a", "first", "c"], ValueError, "waits for its truth"),
        (["a", "b", 1.5], TypeError, "found float"),
        (["a", "b", "k" * 100_000], ValueError, "100000 characters"),
        (["a", "b", 1 << 100_000], ValueError, "100001 bits"),
    ],
)
def test_rows_with_a_wrong_key_are_not_taken(keys, kind, message):
    one = fitted()
    one.predict_one(THEN[0], key="first")
    before = state(one)
    with pytest.raises(kind, match=message):
        one.predict_many(THEN[1:4], keys=keys)
    assert state(one) == before


@pytest.mark.parametrize("keys", [None, ["a", "b"]])
def test_truths_of_other_rows_are_not_taken(keys):
    one = fitted()
    one.predict_many(THEN[:2], keys=keys)
    before = state(one)
    with pytest.raises(ValueError, match="x is not the row"):
        one.learn_many(THEN[[0, 2]], Y[:2], keys=keys)
    with pytest.raises(ValueError, match="no row waits" if keys is None else "'c' waits"):
        one.learn_many(None, Y[:3], keys=[None] * 3 if keys is None else ["a", "b", "c"])
    assert state(one) == before
    one.learn_many(THEN[:2], Y[:2], keys=keys)
    assert one.n_truths_seen_ == N_FITTED + 2


def test_truths_of_a_frame_with_times_come_after_its_predictions():
    frame = pd.DataFrame(THEN[:4], index=pd.date_range("2025", periods=4, freq="h"))
    one = fitted()
    one.predict_many(frame[:2])
    one.learn_many(frame, Y[:4])  # two rows that wait, and two new ones
    assert one.n_rows_seen_ == one.n_truths_seen_ == N_FITTED + 4
    with pytest.raises(ValueError, match="out of order in time"):
        one.predict_many(frame[3:])


def test_periods_are_times():
    frame = pd.DataFrame(THEN[:2], index=pd.period_range("2025-01", periods=2, freq="M"))
    one = fitted()
    one.predict_many(frame)
    with pytest.raises(ValueError, match="out of order in time"):
        one.predict_one(THEN[2], time=pd.Period("2025-01", "M"))


@pytest.mark.parametrize("time", [dt.datetime(1500, 1, 1), dt.date(9999, 1, 1), np.datetime64("2500", "Y")])
def test_times_beyond_64_bits_of_nanoseconds_do_not_wrap_around(time):
    one = fitted()
    one.predict_one(THEN[0], time=dt.datetime(2025, 1, 1))
    with pytest.raises(ValueError, match="between the years"):
        one.predict_one(THEN[1], time=time)
    assert one.n_rows_seen_ == N_FITTED + 1


WRONG = ["1.5", np.datetime64("2025"), np.timedelta64(1, "s"), 1j, np.float32("nan"), np.inf, pd.NA, None]


@pytest.mark.parametrize("truth", WRONG, ids=str)
def test_what_is_no_number_is_no_truth_before_the_first_fit_and_after(truth):
    for one in (fitted(), learner(warm_up=6)):
        for row in THEN[:4]:
            one.predict_one(row)
        with pytest.raises(ValueError, match="y "):
            one.learn_one(THEN[0], truth)
        with pytest.raises(ValueError, match="y "):
            one.learn_many(THEN[:2], [1.0, truth])
        for row in range(12):
            one.learn_one(THEN[row], Y[row])


def test_missing_numbers_of_rows_that_wait_are_held_once():
    rows = THEN[:3].copy()
    rows[0, 0] = rows[2, 1] = np.nan
    frame = pd.DataFrame(rows).convert_dtypes()
    for given in (rows, frame):
        one = fitted(on_missing="hold")
        one.predict_many(given)
        one.learn_many(given, Y[:3])
        assert one.n_truths_seen_ == N_FITTED + 3
        assert one.metrics()["held"] == 2


def test_a_detector_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="detector='adwin'"):
        fitted(detector="adwin")


def test_rows_before_the_first_fit_have_keys_times_and_names():
    frame = pd.DataFrame(THEN[:20], columns=list("abc"), index=pd.date_range("2025", periods=20, freq="h"))
    one = learner(warm_up=10)
    for k, (_, row) in enumerate(frame[:10].iterrows()):
        one.predict_one(row, key=k)
    with pytest.raises(ValueError, match="out of order in time"):
        one.predict_one(frame.iloc[3])
    one.learn_many(None, Y[9::-1], keys=range(9, -1, -1))
    other = learner(warm_up=10)
    other.learn_many(frame[:10], Y[:10])
    assert one.n_rows_seen_ == other.n_rows_seen_ == 10
    with pytest.raises(ValueError, match="out of order in time"):
        one.predict_one(frame.iloc[3])
    shown = other.predict_one(frame.iloc[10][["c", "a", "b"]])
    assert one.predict_one(dict(frame.iloc[10])) == shown


def test_labels_before_the_first_fit_are_of_one_kind():
    one = learner(classifier(), warm_up=6)
    one.learn_one(THEN[0], "up")
    for wrong in (1, None, np.nan):
        with pytest.raises(ValueError, match="y is"):
            one.learn_one(THEN[1], wrong)
    one.learn_many(THEN[1:12], LABELS[:11])
    assert one.classes_.tolist() == ["down", "up"]


def test_a_first_fit_that_fails_takes_no_truth(tmp_path):
    run = tmp_path / "run"
    one = learner(warm_up=3, path=run)
    one.learn_many(THEN[:2], Y[:2])
    fitted(path=run).close()  # another learner was faster
    for _ in range(2):
        with pytest.raises(ValueError, match="run"):
            one.learn_one(THEN[2], Y[2])
    one.set_params(path=None)
    one.learn_one(THEN[2], Y[2])
    assert one.n_rows_seen_ == 3


def test_truths_of_other_rows_by_their_index_are_not_taken():
    times = pd.date_range("2025", periods=20, freq="h")
    frame, truths = pd.DataFrame(THEN[:20], times), pd.Series(Y[N_FITTED : N_FITTED + 20], times)
    one, new = fitted(), learner()
    before = state(one)
    for call in (one.learn_many, one.partial_fit, one.score, new.learn_many):
        with pytest.raises(ValueError, match="X and y share no row"):
            call(frame[:5], truths[10:15])
    with pytest.raises(ValueError, match="X and keys share no row"):
        one.predict_many(frame[:5], keys=pd.Series(range(5), times[5:10]))
    assert state(one) == before
    assert not hasattr(new, "_warm_up")
    one.learn_many(frame[:5], truths[:5])


@pytest.mark.parametrize("key", [None, "k"])
def test_a_truth_comes_with_a_row_that_is_whole(key):
    one = fitted()
    one.predict_one(THEN[0], key=key)
    before = state(one)
    for x in (THEN[0] * np.nan, [np.nan, *THEN[0, 1:]], pd.Series(THEN[0] * np.nan)):
        with pytest.raises(ValueError, match="x contains NaN at feature 0"):
            one.learn_one(x, 1.0, key=key)
    assert state(one) == before
    one.learn_one(THEN[0], 1.0, key=key)


def test_a_truth_that_is_far_off_is_not_taken(tmp_path):
    one = fitted(path=tmp_path / "run", update_every=None)
    before = state(one)
    for far in (1e30, -1e5, np.float64(1e308)):
        with pytest.raises(ValueError, match="more than 1000 times as far as any before it"):
            one.learn_one(THEN[0], far)
    with pytest.raises(ValueError, match=r"y holds 1e\+20 in row 1, .* \(300"):
        one.learn_many(THEN[:2], [300.0, 1e20])
    assert state(one) == before
    one.learn_many(THEN[:2], [300.0, 1e4])  # each of the size that those before allow
    one.close()
    again = type(one).resume(tmp_path / "run")
    again.learn_one(THEN[2], 1e6)
    with pytest.raises(ValueError, match=r"as far as any before it \(1e\+06\)"):
        again.learn_one(THEN[3], 1e10)
    again.close()


def test_a_target_that_did_not_move_says_nothing_of_how_far_it_may():
    one = learner().fit(X[:N_FITTED], np.ones(N_FITTED))
    one.learn_many(THEN[:3], [1.0, 1.0 + 1e-9, 1e4])
    assert one.n_truths_seen_ == N_FITTED + 3


def test_a_table_before_the_first_fit_is_taken_as_row_by_row():
    frame = pd.DataFrame(THEN[:4], pd.date_range("2025", periods=4, freq="h"), list("abc"))
    one, other = learner(), learner()
    assert one.predict_many(frame, keys=list("wxyz")).tolist() == [None] * 4
    for time, row in frame.iterrows():
        assert other.predict_one(row, key="wxyz"[frame.index.get_loc(time)]) is None
    assert vars(one._warm_up).keys() == vars(other._warm_up).keys()
    assert pickle.dumps(one._warm_up.keys) == pickle.dumps(other._warm_up.keys)
    np.testing.assert_array_equal(one._warm_up.rows, other._warm_up.rows)
    for rows, keys, message in ((frame[3:], None, "out of order"), (THEN[:2], ["a", "w"], "has come before")):
        with pytest.raises(ValueError, match=message):
            one.predict_many(rows, keys=keys)
    assert len(one._warm_up.rows) == 4


def test_the_first_truth_is_of_the_shape_that_the_model_takes():
    trained = regressor().fit(X[:N_FITTED], np.column_stack([Y, Y])[:N_FITTED])
    labelled = classifier().fit(X[:N_FITTED], LABELS[:N_FITTED])
    for model, y, message in (
        (regressor(), [1.0], "an array of one number"),
        (regressor(), [], "the truth of one row is a number"),
        (regressor(decoder="recurrent"), 1.0, r"an array of shape \(horizon,\)"),
        (FrozenEstimator(trained), 1.0, r"y has shape \(\), expected \(2,\), which the model's targets have"),
        (FrozenEstimator(labelled), "left", "is not among the classes"),
    ):
        one = learner(model)
        with pytest.raises(ValueError, match=message):
            one.learn_one(X[0], y)
        assert not hasattr(one, "_warm_up")
    with pytest.raises(ValueError, match="expected a row of 3 numbers"):
        learner(FrozenEstimator(trained)).predict_one(X[0, :2])
    one = learner()
    one.learn_one(X[0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"expected \(2,\), which the first truth had"):
        one.learn_one(X[1], 1.0)
    one = learner(warm_up=3).learn_many(X[:3], Y[:3, np.newaxis])  # a column of numbers
    assert one.predict_one(X[3]) is not None


@pytest.mark.parametrize("call", ["predict_one", "predict_many", "learn_one", "learn_many", "partial_fit"])
def test_a_closed_learner_takes_nothing(call):
    one = fitted()
    one.close()
    one.close()
    rows, truths = (X[0], Y[0]) if call.endswith("one") else (X[:5], Y[:5])
    with pytest.raises(ValueError, match="was closed"):
        getattr(one, call)(*((rows,) if call.startswith("predict") else (rows, truths)))
    assert one.fit(X[:N_FITTED], Y[:N_FITTED]).predict_one(X[0]) is not None


def test_what_the_first_fit_would_refuse_is_refused_at_the_first_row(tmp_path):
    fitted(path=tmp_path / "run").close()
    for one, message in (
        (learner(update_every=0), "The 'update_every' parameter"),
        (learner(regressor(batch_size=0)), "batch_size"),
        (learner(buffer_size=3), "buffer_size=3 must be at least"),
        (learner(detector="adwin"), "detector='adwin'"),
        (learner(path=tmp_path / "run"), "holds the run of a learner like this one"),
    ):
        with pytest.raises(ValueError, match=message):
            one.learn_one(X[0], Y[0])


def test_masks_and_columns_of_one_name_are_refused():
    row, truths = np.ma.array(X[0], mask=[0, 1, 0]), np.ma.array(Y[:2], mask=[0, 1])
    for one in (fitted(), learner()):
        with pytest.raises(ValueError, match="x is a masked array"):
            one.predict_one(row)
        with pytest.raises(ValueError, match="y is a masked array"):
            one.learn_many(X[:2], truths)
        with pytest.raises(ValueError, match="y is a masked array"):
            one.learn_one(X[0], np.ma.masked)
    with pytest.raises(ValueError, match="X is a masked array"):
        learner().predict_many(np.ma.array(X[:1], mask=[[0, 1, 0]]))
    for x in (np.array(["2024"] * 3, "M8[s]"), ["1", "2", "3"], [1j, 2, 3]):
        with pytest.raises(ValueError, match="x must hold numbers"):
            learner().predict_one(x)
    with pytest.raises(ValueError, match="two columns of the same name"):
        learner().predict_one(pd.Series(X[0], index=["a", "b", "a"]))


@pytest.mark.parametrize("keys", ["ab", {"a": 1, "b": 2}, {"a", "b"}, pd.DataFrame({"a": [1, 2], "b": [1, 2]})])
def test_keys_are_a_sequence(keys):
    for one in (fitted(), learner()):
        with pytest.raises(TypeError, match="keys must be a sequence with a key for each row"):
            one.predict_many(X[:2], keys=keys)


def test_rows_before_a_partial_fit_are_not_lost():
    one = learner()
    one.predict_one(X[0], key="late")
    one.learn_many(X[1:60], Y[1:60])
    one.partial_fit(X[60:N_FITTED], Y[60:N_FITTED])
    assert (one.n_rows_seen_, one.n_truths_seen_, [key for key, _ in one.pending_]) == (
        N_FITTED,
        N_FITTED - 1,
        ["late"],
    )
    one.learn_one(None, Y[0], key="late")
    labelled = learner(classifier())
    labelled.learn_one(X[0], "up")
    labelled.partial_fit(X[1:N_FITTED], LABELS[1:N_FITTED], classes=["up", "down", "same"])
    assert labelled.classes_.tolist() == ["down", "same", "up"]


class Breaks:
    """A detector that fails at its fifth value."""

    drift_detected, n = False, 0

    def update(self, x):
        self.n += 1
        if self.n == 5:
            raise RuntimeError("no more values")


def test_a_detector_that_fails_takes_no_truth_along(tmp_path):
    """A truth whose journal entry cannot be applied again would end every `resume`."""
    one = fitted(detector=Breaks(), path=tmp_path / "run", update_every=None)
    with pytest.warns(UserWarning, match="the detector failed, and nothing looks for drift .*: RuntimeError: no more"):
        one.learn_many(THEN[:200], Y[N_FITTED : N_FITTED + 200])
    assert (one.n_truths_seen_, list(one.history_["kind"]).count("detector_failed")) == (N_FITTED + 200, 1)
    found, kind = digest(one), type(one)
    del one  # as a crash would
    with pytest.warns(UserWarning, match="the detector failed"):
        again = kind.resume(tmp_path / "run", trust=True)
    assert digest(again) == found
    again.learn_one(THEN[200], Y[N_FITTED + 200])
    again.close()


def test_a_last_checkpoint_that_cannot_be_written_is_told(tmp_path):
    one = fitted(path=tmp_path / "run")
    one.learn_one(THEN[0], Y[N_FITTED])
    shutil.rmtree(tmp_path / "run")
    with pytest.warns(UserWarning, match="no checkpoint could be written"):
        one.close()
    with pytest.raises(ValueError, match="holds no run of a learner: there is no such folder"):
        type(one).resume(tmp_path / "run")


@pytest.mark.parametrize("input_scaling", ["standard", "robust"])
def test_an_outlier_of_x_in_the_rows_of_a_refit_is_told_where_it_does_harm(input_scaling):
    """One number of 1e6 among 400 rows: standardised, the column is a constant."""
    rows, truths = X[:900].copy(), 2 * X[:900, 0]
    rows[300, 0] = 1e6
    network = regressor(max_iter=20, learning_rate_init=0.02, input_scaling=input_scaling)
    one = learner(network, update_every=None, refit="inline", refit_every=500, refit_rows=400)
    one.fit(X[:N_FITTED], truths[:N_FITTED])
    message = r"x=1e\+06 in column 0, row 300 of the stream.*input_scaling='robust'"
    with pytest.warns(UserWarning, match=message) if input_scaling == "standard" else nullcontext():
        one.partial_fit(rows[N_FITTED:500], truths[N_FITTED:500])
    assert one.version_ == 2
    is_useless = one.score(X[500:], truths[500:]) < 0.5
    assert is_useless == (input_scaling == "standard")


def test_what_is_no_outlier():
    """Heavy tails, rare events, and few rows."""
    rng = np.random.default_rng(0)
    heavy = np.column_stack([rng.standard_t(2, 20_000), rng.lognormal(0, 2, 20_000), rng.random(20_000) < 0.01])
    assert outlier_in(heavy) is None
    assert outlier_in(heavy[:20] * [[1e9]] * (np.arange(20) == 3)[:, np.newaxis]) is None


def test_what_a_run_or_classes_cannot_be(tmp_path):
    one = fitted()
    with pytest.raises(ValueError, match="classes goes with a classifier; model is a DeepLSTMRegressor"):
        one.partial_fit(X[:3], Y[:3], classes=[0, 1])
    with pytest.raises(ValueError, match=r"expected \(n_rows,\)"):
        one.partial_fit(X[:3], np.ones((3, 2)))
    with pytest.raises(ValueError, match="path='', expected the name of a folder"):
        learner(path="").fit(X[:N_FITTED], Y[:N_FITTED])
    with pytest.raises(TypeError, match="model must be a network of sklstm or None, found int"):
        OnlineLearner.resume(tmp_path, 3)
