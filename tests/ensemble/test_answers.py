"""Members that fail, or answer something else than they were asked."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge

from ensemble.cases import LABELS, REGRESSORS, X, Y, classifier, fitted_names, regressor
from ensemble.members import Breaks, Returns, ReturnsProbabilities


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda X: np.zeros(len(X) - 2),
            r"'bad' \(Returns\) returned 58 rows .* where 60 were expected",
        ),
        (lambda X: np.zeros(len(X) + 1), "returned 61 rows from predict where 60"),
        (lambda X: np.float64(1.0), "returned 0 rows from predict where 60"),
        (lambda X: np.zeros((len(X), 2)), r"predictions of shape \(60, 2\) where \(60, 1\)"),
        (lambda X: np.zeros((len(X), 1, 1)), r"predictions of shape \(60, 1, 1\)"),
        (lambda X: np.full(len(X), "high"), "returned no numbers from predict"),
        (lambda X: np.zeros((len(X), 1)), None),
    ],
    ids=["fewer", "more", "scalar", "columns", "dimensions", "strings", "column"],
)
@pytest.mark.parametrize("weights", [None, "auto"])
def test_answers_of_regressors(answer, message, weights):
    model = regressor([("linear", LinearRegression()), ("bad", Returns(answer))], weights=weights)

    def run():
        # For the search, the first mistake is found in the fit on 10 rows, asked for 20.
        return model.fit(X, Y).predict(X)

    if message is None:
        assert run().shape == (60,)
        return
    if weights == "auto":
        message = message.replace("58", "18").replace("61", "21").replace("60", "20")
    with pytest.raises(ValueError, match=message):
        run()
    assert hasattr(model, "weights_") == (weights is None)


def test_answers_with_another_number_of_outputs():
    model = regressor([("bad", Returns(lambda X: np.zeros(len(X))))]).fit(X, np.c_[Y, Y])
    with pytest.raises(ValueError, match=r"shape \(60,\) where \(60, 2\) was expected"):
        model.predict(X)


@pytest.mark.parametrize(
    ("answer", "classes", "message"),
    [
        (
            lambda X: np.zeros((len(X) - 1, 3)),
            (0, 1, 2),
            "59 rows from predict_proba where 60 were",
        ),
        (lambda X: np.zeros((len(X), 2)), (0, 1, 2), r"shape \(60, 2\) where \(60, 3\)"),
        (lambda X: np.zeros(len(X)), (0, 1, 2), r"shape \(60,\) where \(60, 3\)"),
        (lambda X: np.zeros((len(X), 2)), (0, 7), r"classes_ \[0, 7\] that it was not fitted on"),
        (lambda X: np.zeros((len(X), 2)), ("low", "top"), r"classes_ \['low', 'top'\]"),
    ],
)
def test_answers_of_classifiers(answer, classes, message):
    model = classifier([("bad", ReturnsProbabilities(answer, classes))]).fit(X, LABELS)
    for method in (model.predict, model.predict_proba, lambda X: model.score(X, LABELS)):
        with pytest.raises(ValueError, match=message):
            method(X)


def test_a_member_that_fails_is_named_and_leaves_nothing_behind():
    members = [("linear", LinearRegression()), ("unlucky", Breaks(limit=30))]
    model = regressor(members)
    for weights in (None, "auto"):
        model.set_params(weights=weights)
        with pytest.raises(RuntimeError, match=r"no luck\nRaised in the fit of Member 'unlucky'"):
            model.fit(X, Y)
        assert fitted_names(model) == []
        with pytest.raises(NotFittedError):
            model.predict(X)
    # A note survives the way back from another process.
    ill = regressor([REGRESSORS[1], ("ridge", Ridge(solver="lbfgs"))], n_jobs=2)
    with pytest.raises(ValueError, match=r"Raised in the fit of Member 'ridge' \(Ridge\)"):
        ill.fit(X, Y)


def test_a_fit_that_fails_leaves_the_model_as_it_was():
    model = regressor(weights="auto").fit(X, Y)
    before = {name: value for name, value in vars(model).items() if name.endswith("_")}
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((60, 2), np.nan), Y)
    after = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert all(after[name] is value for name, value in before.items())
    assert set(after) == set(before)


def test_failure_of_a_member_in_predict_is_named():
    model = regressor([("bad", Returns(lambda X: 1 / 0))]).fit(X, Y)
    with pytest.raises(ZeroDivisionError, match=r"Raised in the predict of Member 'bad' \(Returns\)"):
        model.predict(X)


def test_a_fit_during_predict_does_not_mix_two_models():
    model = classifier()
    other = np.char.add("other ", LABELS)

    class Refits(ReturnsProbabilities):
        def predict_proba(self, X):
            model.fit(X, other)  # what another thread might do just now
            return np.full((len(X), 3), 1 / 3)

    members = [("refits", Refits(classes=(0, 1, 2))), *model.estimators]
    model.set_params(estimators=members, weights=(1, 1, 1)).fit(X, LABELS)
    assert np.isin(model.predict(X), LABELS).all()
    assert model.classes_.tolist() == np.unique(other).tolist()
