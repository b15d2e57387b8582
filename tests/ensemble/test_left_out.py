"""Members that fail: an error, or left out with a warning in fit, predict and update."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression

from ensemble.cases import LABELS, X, Y, classifier, fitted_names, regressor
from ensemble.members import Column, FailsOn, Returns, ReturnsProbabilities

GOOD = [("one", Column(0)), ("two", Column(1))]


class Quantiles(Returns):
    """Answers for quantiles whatever `answer` makes of X."""

    def predict_quantiles(self, rows):
        return self.answer(rows)


def members(**params):
    return [GOOD[0], ("odd", FailsOn(2, **params)), GOOD[1]]


def test_an_error_by_default_and_nothing_is_fitted():
    model = regressor(members(troubles=("fit",)))
    with pytest.raises(RuntimeError, match="no luck") as caught:
        model.fit(X, Y)
    assert "Raised in the fit of Member 'odd'" in caught.value.__notes__[0]
    assert fitted_names(model) == []


FOUND = ["auto", "inverse_loss", "dynamic"]
IN_FOLDS = [("fit of 10", weights) for weights in FOUND]  # the first fold has 10 rows


@pytest.mark.parametrize(
    ("trouble", "weights"),
    IN_FOLDS + [(trouble, weights) for trouble in ("fit", "fit of 60") for weights in (None, (1, 5, 3), *FOUND)],
)
def test_a_member_that_fails_in_fit_is_as_if_it_were_dropped(trouble, weights):
    model = regressor(members(troubles=(trouble,)), weights=weights, error_score=np.nan)
    with pytest.warns(FitFailedWarning, match=r"1 of 3 members failed in fit .*'odd' \(RuntimeError: no luck\)"):
        model.fit(X, Y)
    assert model.named_estimators_["odd"] == "drop"
    assert [one.column for one in model.estimators_] == [0, 1]
    dropped = regressor([GOOD[0], ("odd", "drop"), GOOD[1]], weights=weights).fit(X, Y)
    if weights == "auto" and trouble == "fit of 60":  # the search took it into account
        assert_allclose(model.weights_.sum(), 1.0)
    else:
        assert_allclose(model.weights_, dropped.weights_, atol=0.02 if trouble == "fit of 60" else 1e-12)
    assert_array_equal(model.predict(X[:3]).shape, (3,))
    assert len(getattr(model, "oof_losses_", (0, 0))) == 2
    if weights == "dynamic":
        model.update(X, Y)
        assert model.weight_history_.shape == (2, 2)


def test_a_weight_that_is_left_alone_gets_all():
    model = regressor(members(troubles=("fit",)), weights=(0, 1, 0), error_score=0)
    with pytest.warns(FitFailedWarning):
        model.fit(X, Y)
    assert_array_equal(model.weights_, [0.5, 0.5])


def test_all_members_that_fail_are_an_error():
    odd = [("a", FailsOn(troubles=("fit",))), ("b", FailsOn(troubles=("fit",)))]
    model = regressor(odd, error_score=np.nan)
    with pytest.raises(RuntimeError, match="no luck") as caught:
        model.fit(X, Y)
    assert "All members failed; this is the error of the first." in caught.value.__notes__
    assert fitted_names(model) == []
    with pytest.raises(RuntimeError, match="no luck"):
        regressor(odd, weights="auto", error_score=np.nan).fit(X, Y)


@pytest.mark.parametrize("answers_nan", [False, True])
def test_predict_goes_on_without_it(answers_nan):
    model = regressor(members(), weights=(1, 1, 2), error_score=np.nan).fit(X, Y)
    expected = model.predict(X)
    model.estimators_[1].set_params(troubles=("predict",), answers_nan=answers_nan)
    with pytest.warns(UserWarning, match=r"1 of 3 members failed in predict and are left out: 'odd'"):
        found = model.predict(X)
    assert_allclose(found, (X[:, 0] + 2 * X[:, 1]) / 3, rtol=1e-12)
    with pytest.warns(UserWarning, match="failed in score"):
        model.score(X, Y)
    model.estimators_[1].set_params(troubles=())
    assert_array_equal(model.predict(X), expected)
    for member in model.estimators_:
        if not hasattr(member, "troubles"):
            member.set_params(column=7)
    model.estimators_[1].set_params(troubles=("predict",))
    with pytest.raises(IndexError, match="out of bounds"):
        model.predict(X)


def test_an_error_in_predict_is_one_by_default():
    model = regressor(members()).fit(X, Y)
    model.estimators_[1].set_params(troubles=("predict",))
    with pytest.raises(RuntimeError, match="no answer"):
        model.predict(X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_never_passed_on(value):
    def answer(rows):
        return np.where(np.arange(len(rows)) == 1, value, 1 / 3)

    message = "Member 'odd' .* predicted NaN or infinity: .* for 1 of 60 rows, the first is row 1"
    model = regressor([GOOD[0], ("odd", Returns(answer))]).fit(X, Y)
    for ask in (model.predict, lambda rows: model.score(rows, Y)):
        with pytest.raises(ValueError, match=message):
            ask(X)
    odd = ReturnsProbabilities(lambda rows: np.column_stack([answer(rows)] * 3), (0, 1, 2))
    votes = classifier([("logit", LogisticRegression()), ("odd", odd)]).fit(X, LABELS)
    for ask in (votes.predict, votes.predict_proba):
        with pytest.raises(ValueError, match=message):
            ask(X)
    model.estimators_ = [Quantiles(lambda rows: np.column_stack([answer(rows)] * 2))] * 2
    with pytest.raises(ValueError, match=r"Member 'one' .* predicted NaN or infinity: its predict_quantiles"):
        model.predict_quantiles(X)


@pytest.mark.parametrize("rule", ["exponential", "hedge", "best"])
def test_update_without_it_keeps_about_its_weight(rule):
    model = regressor(members(), weights="dynamic", initial_weights="equal", update_rule=rule, error_score=np.nan)
    model.fit(X, Y)
    model.estimators_[1].set_params(troubles=("predict",))
    with pytest.warns(UserWarning, match=r"1 of 3 members failed in update and are left out"):
        model.update(X, Y)
    losses = [((Y - X[:, k]) ** 2) for k in (0, 1)]
    counts = 0.5 ** (np.arange(60)[::-1] / 50.0)
    expected = [counts @ one / counts.sum() for one in (losses[0], (losses[0] + losses[1]) / 2, losses[1])]
    assert_allclose(model.recent_losses_, expected, rtol=1e-12)


def test_update_with_a_loss_for_it():
    model = regressor(members(), weights="dynamic", initial_weights="equal", error_score=1e6).fit(X, Y)
    model.estimators_[1].set_params(troubles=("predict",), answers_nan=True)
    for _ in range(5):
        with pytest.warns(UserWarning, match="NaN or infinity"):
            model.update(X, Y)
    assert model.recent_losses_[1] == pytest.approx(1e6)
    assert model.weights_[1] == pytest.approx(0.05 / 3, rel=1e-6)


def test_update_raises_and_stays_as_it_was():
    model = regressor(members(), weights="dynamic", initial_weights="equal").fit(X, Y)
    weights = model.weights_
    model.estimators_[1].set_params(troubles=("predict",))
    with pytest.raises(RuntimeError, match="no answer"):
        model.update(X, Y)
    assert model.weights_ is weights
    model.set_params(error_score=0.0)
    for member in model.estimators_:
        member.set_params(column=7)
    with pytest.raises(IndexError, match="out of bounds"):
        model.update(X, Y)
    assert model.weights_ is weights


def test_probabilities_of_the_others_sum_to_one():
    def refuse(rows):
        raise ValueError("none")

    odd = ReturnsProbabilities(refuse, (0, 1, 2))
    model = classifier([("logit", LogisticRegression()), ("odd", odd)], weights=(1, 3), error_score=np.nan)
    model.fit(X, LABELS)
    with pytest.warns(UserWarning, match="failed in predict_proba"):
        found = model.predict_proba(X)
    assert_allclose(found, model.estimators_[0].predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("row", [[-0.5, 0.5, 1.0], [5.0, 3.0, 2.0], [0.0, 0.0, 0.0], [0.3, 0.3, 0.3]])
def test_numbers_that_are_no_probabilities_are_refused(row):
    odd = ReturnsProbabilities(lambda rows: np.tile(row, (len(rows), 1)), (0, 1, 2))
    members = [("logit", LogisticRegression()), ("odd", odd)]
    model = classifier(members).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"Member 'odd' .* returned no probabilities: row 0 is \[.*of sum 1"):
        model.predict(X)
    with pytest.raises(ValueError, match="returned no probabilities"):
        classifier(members, weights="auto").fit(X, LABELS)


def test_labels_of_a_context_need_the_context():
    with pytest.raises(ValueError, match="context_groups needs context"):
        regressor().fit(X, Y).predict(X, context_groups=np.zeros(4))
