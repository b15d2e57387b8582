"""A fitted model is one object: a call answers for the model of before or for that of after, never for both."""

import threading

import numpy as np
import pytest

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))


SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 1, "random_state": 0}


def regressor(**parameters):
    return DeepLSTMRegressor(**{**SMALL, **parameters})


def classifier(**parameters):
    return DeepLSTMClassifier(**{**SMALL, **parameters})


CASES = {
    "predict": (regressor(), X[:, 0], X[:, 1] * 1e3 + 7e5),
    "predict_quantiles": (regressor(loss="quantile", quantile=[0.1, 0.5]), X[:, 0], X[:, 1] * 1e3),
    "predict window_norm": (regressor(window_norm="last", target_column=0), X[:, 0], X[:, 0] * 1.1),
    "predict carry_context": (regressor(carry_context=True), X[:, 0], X[:, 1] * 1e3),
    "transform": (regressor(), X[:, 0], X[:, 1] * 1e3),
    "attention_weights": (regressor(attention_heads=2), X[:, 0], X[:, 1] * 1e3),
    "stream": (regressor(), X[:, 0], X[:, 1] * 1e3 + 7e5),
    "predict_proba": (classifier(), X[:, 0] > 0, np.digitize(X[:, 0], [-1, 0, 1]) + 10),
    "predict_log_proba": (classifier(), X[:, 0] > 0, np.digitize(X[:, 0], [-1, 0, 1]) + 10),
    "predict classes": (classifier(), X[:, 0] > 0, np.digitize(X[:, 0], [-1, 0, 1]) + 10),
}


def answer(model, method):
    if method == "stream":
        stream = model.stream()
        return np.array([stream.step(row) for row in X[:4]])
    found = getattr(model, method)(X)
    return np.concatenate([part.ravel() for part in found.values()]) if isinstance(found, dict) else found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("when", ["_network", "_parts", "_targets"])
def test_a_fit_in_the_middle_of_a_call_changes_nothing_of_its_answer(monkeypatch, name, when):
    model, y, other_y = CASES[name]
    method = name.split()[0]
    expected = answer(model.fit(X, y), method)
    original, fitted_again = getattr(type(model), when), []

    def fit_then_go_on(self, *args, **kwargs):
        if not fitted_again:
            fitted_again.append(True)
            thread = threading.Thread(target=model.set_params(hidden_size=6).fit, args=(X[10:] + 1, other_y[10:]))
            thread.start()
            thread.join()
        return original(self, *args, **kwargs)

    monkeypatch.setattr(type(model), when, fit_then_go_on)
    found = answer(model, method)
    monkeypatch.undo()
    model.set_params(hidden_size=4)
    np.testing.assert_array_equal(found, expected)
    if fitted_again:
        assert not np.array_equal(answer(model, method), expected)


def test_what_was_learnt_is_replaced_in_one_step():
    """At every assignment of an attribute of the model, it is whole: that of before, or that of after."""
    seen = []

    class Watched(DeepLSTMRegressor):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if self is watched[0]:
                seen.append(name)

    watched = [None]
    model = Watched(hidden_size=3, max_iter=1, random_state=0).fit(X, X[:, 0])
    watched[0] = model
    model.fit(X, X[:, 1])
    assert seen == ["__dict__"]


def test_a_fit_keeps_what_was_set_beside_it():
    model = regressor(carry_context=True).fit(X, X[:, 0]).set_output(transform="pandas")
    model.note = "kept"
    model.set_params(carry_context=False).fit(X, X[:, 1])
    assert model.note == "kept"
    assert not hasattr(model, "context_")
    assert type(model.transform(X)).__name__ == "DataFrame"
    assert model.get_params()["hidden_size"] == 4
