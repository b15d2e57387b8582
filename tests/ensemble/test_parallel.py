"""Members side by side: the same bits for any n_jobs, in threads that share the data, and what memory is held."""

import pickle
import threading
import tracemalloc

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor

from ensemble.cases import LABELS, X, Y, classifier, regressor
from ensemble.members import Column, Log, Returns
from sklstm import DeepRNNRegressor

NETWORK = DeepRNNRegressor(hidden_size=4, sequence_length=4, max_iter=2, random_state=0)
MEMBERS = [("net", NETWORK), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0)), ("ridge", Ridge())]


@pytest.mark.parametrize("weights", [None, "auto", "dynamic"])
def test_the_same_bits_for_any_number_of_jobs(weights):
    found = []
    for n_jobs in (None, 2, 3, -1):
        model = regressor(MEMBERS, weights=weights, cv=2, n_jobs=n_jobs).fit(X[:40], Y[:40])
        if weights == "dynamic":
            for row in range(40, 60):
                model.update(X[row : row + 1], Y[row : row + 1])
        found.append((model.weights_, model.predict(X), model.score(X, Y)))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert_array_equal(one, two)


def test_the_same_probabilities_for_any_number_of_jobs():
    members = [("logit", LogisticRegression()), ("bayes", GaussianNB())]
    one, two = (classifier(members, calibration="sigmoid", n_jobs=n).fit(X, LABELS) for n in (1, 2))
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))


class Meets(RegressorMixin, BaseEstimator):
    """Waits until so many members are in the same method."""

    def __init__(self, barrier=None, log=None):
        self.barrier, self.log = barrier, log

    def fit(self, X, y):
        self._meet("fit", X)
        return self

    def predict(self, X):
        self._meet("predict", X)
        return np.zeros(len(X))

    def _meet(self, method, X):
        self.barrier.wait(timeout=60)
        self.log.append((method, X))


class Barrier(threading.Barrier):
    def __deepcopy__(self, memo):
        return self


def test_members_are_fitted_and_asked_at_the_same_time_with_the_same_table():
    log = Log()
    members = [(name, Meets(Barrier(1), log)) for name in "abc"]
    together = Barrier(3)
    for _, member in members:
        member.barrier = together
    model = regressor(members, n_jobs=3, weights="dynamic", initial_weights="equal").fit(X, Y)
    model.predict(X)
    model.update(X, Y)
    assert [method for method, _ in log] == ["fit"] * 3 + ["predict"] * 6
    assert all(table is X for _, table in log)


def test_another_backend_of_joblib_is_taken_if_asked_for():
    with parallel_config(backend="multiprocessing", n_jobs=2):
        model = regressor(MEMBERS, weights="dynamic", cv=2).fit(X, Y).update(X, Y)
    expected = regressor(MEMBERS, weights="dynamic", cv=2).fit(X, Y).update(X, Y)
    assert_array_equal(model.weights_, expected.weights_)


def test_errors_come_from_threads_too():
    def refuse(rows):
        raise RuntimeError("broken")

    model = regressor([("a", Returns(refuse)), ("b", Column())], n_jobs=2).fit(X, Y)
    with pytest.raises(RuntimeError, match="broken"):
        model.predict(X)


LARGE = np.random.default_rng(0).normal(size=(20_000, 30))
TARGET = LARGE @ np.arange(30.0)
LINES = [("line", LinearRegression()), ("ridge", Ridge()), ("mean", Ridge(1e9))]


def peak_of(function):
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("weights", [None, "dynamic"])
def test_memory_is_that_of_the_members(weights):
    """Nothing is copied: at most 5 % above fitting and asking the members one after the other."""
    params = {"weights": weights, **({"initial_weights": "equal"} if weights else {})}
    alone = [clone(member).fit(LARGE, TARGET) for _, member in LINES]
    by_hand = peak_of(lambda: [clone(member).fit(LARGE, TARGET) for _, member in LINES])
    assert by_hand > LARGE.nbytes / 2, "what the members need themselves is not seen"
    assert peak_of(lambda: regressor(LINES, **params).fit(LARGE, TARGET)) <= 1.05 * by_hand
    model = regressor(LINES, **params).fit(LARGE, TARGET)
    assert len(pickle.dumps(model)) <= 1.05 * sum(len(pickle.dumps(one)) for one in alone) + 4096
    answers = peak_of(lambda: [member.predict(LARGE) for member in alone])
    assert peak_of(lambda: model.predict(LARGE)) <= 1.05 * answers
    if weights == "dynamic":
        assert peak_of(lambda: model.update(LARGE, TARGET)) < LARGE.nbytes  # answers and losses, no second table
        for _ in range(20):
            model.update(LARGE[:1], TARGET[:1])
        assert len(pickle.dumps(model)) <= 1.05 * sum(len(pickle.dumps(one)) for one in alone) + 4096
