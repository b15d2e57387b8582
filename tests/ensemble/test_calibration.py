"""Calibration of the mixed probabilities on forward out-of-fold predictions."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TimeSeriesSplit
from sklearn.naive_bayes import GaussianNB

from ensemble.cases import LABELS, X, Y, classifier
from ensemble.members import Frequencies, ReturnsProbabilities
from sklstm import load_model, save_model

MEMBERS = [("logit", LogisticRegression()), ("bayes", GaussianNB())]
LOGITS = [("logit", LogisticRegression()), ("strict", LogisticRegression(C=0.01))]


class LogOdds(ClassifierMixin, BaseEstimator):
    """A classifier whose decision function is the log-odds of the probabilities that it is given as X."""

    def __init__(self, n_classes=2):
        self.n_classes = n_classes

    def fit(self, X, y):
        self.classes_ = np.arange(self.n_classes)
        return self

    def decision_function(self, X):
        odds = logit(np.clip(X, 1e-12, 1 - 1e-12))
        return odds[:, 1] if self.n_classes == 2 else odds

    def predict(self, X):
        return np.asarray(X).argmax(axis=1)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("labels", [LABELS, np.where(Y > 0, "up", "down")], ids=["three", "two"])
@pytest.mark.parametrize("weights", [(1, 3), "auto", "dynamic"])
def test_as_scikit_learn_calibrates_a_frozen_model(method, labels, weights):
    model = classifier(MEMBERS, weights=weights, calibration=method, cv=3).fit(X, labels)
    searched = classifier(MEMBERS, weights="auto", cv=3).fit(X, labels)
    plain = classifier(MEMBERS, weights=model.weights_).fit(X, labels)
    mixed = np.einsum("nmk,m->nk", searched.oof_predictions_, model.weights_)
    codes = np.searchsorted(model.classes_, labels)[searched.oof_indices_]
    n_classes = len(model.classes_)
    frozen = FrozenEstimator(LogOdds(n_classes).fit(mixed, codes))
    half = np.arange(len(codes)) % 2 == 0
    folds = [(np.flatnonzero(half), np.flatnonzero(~half)), (np.flatnonzero(~half), np.flatnonzero(half))]
    expected = CalibratedClassifierCV(frozen, method=method, ensemble=False, cv=folds).fit(mixed, codes)
    assert_allclose(model.predict_proba(X), expected.predict_proba(plain.predict_proba(X)), atol=1e-9)
    assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


def test_overconfident_members_are_calibrated_and_others_are_left_nearly_alone():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4000, 1))
    labels = (rng.uniform(size=4000) < expit(rows[:, 0])).astype(int)
    train, test = slice(0, 3000), slice(3000, 4000)

    def probabilities(factor):
        return lambda X: np.column_stack([expit(-factor * X[:, 0]), expit(factor * X[:, 0])])

    def brier(found):
        return ((found[:, 1] - labels[test]) ** 2).mean()

    for factor in (1.0, 4.0):
        member = [("fixed", ReturnsProbabilities(probabilities(factor)))]
        plain = brier(classifier(member).fit(rows[train], labels[train]).predict_proba(rows[test]))
        right = brier(probabilities(1.0)(rows[test]))
        for method in ("sigmoid", "isotonic"):
            model = classifier(member, calibration=method).fit(rows[train], labels[train])
            found = brier(model.predict_proba(rows[test]))
            assert found < right + 0.003, (factor, method)
            if factor == 4.0:
                assert found < plain - 0.03
    slope, intercept = classifier(member, calibration="sigmoid").fit(rows[train], labels[train]).calibration_["1"]
    assert_allclose([-slope, intercept], [0.25, 0.0], atol=0.05)


def test_calibrators_see_predictions_of_later_rows_only():
    """A member that knows its training rows by heart says nothing of them in the folds."""

    class ByHeart(Frequencies):
        def fit(self, X, y):
            super().fit(X, y)
            self.seen_ = dict(zip(np.asarray(X)[:, 0].tolist(), y, strict=True))
            return self

        def predict_proba(self, X):
            known = [self.seen_.get(one, 0) for one in np.asarray(X)[:, 0].tolist()]
            return 0.98 * np.eye(2)[known] + 0.01

    labels = np.random.default_rng(3).integers(0, 2, 60)
    model = classifier([("heart", ByHeart())], calibration="sigmoid", cv=TimeSeriesSplit(3)).fit(X, labels)
    # Later rows are unknown, 0 for all: nothing can be learned of them but how frequent the labels are.
    assert np.ptp(model.predict_proba(X)[:, 1]) < 0.3


def test_weights_of_rows_count():
    share = np.random.default_rng(0).integers(0, 3, 60).astype(float)
    share[:10] = 1.0
    weighted = classifier(LOGITS, calibration="sigmoid").fit(X, LABELS, sample_weight=share)
    plain = classifier(LOGITS, calibration="sigmoid").fit(X, LABELS)
    assert not np.allclose(weighted.calibration_["1"], plain.calibration_["1"])


@pytest.mark.filterwarnings("ignore:.*folds take no part:UserWarning")
def test_a_class_without_rows_in_the_folds_stays_as_it_is():
    labels = np.where(np.arange(60) < 3, 2, (Y > 0).astype(int))
    with pytest.warns(UserWarning, match="calibration='sigmoid' leaves classes without a calibrator: 1 of them"):
        model = classifier(MEMBERS, calibration="sigmoid", cv=2).fit(X, labels)
    assert sorted(model.calibration_) == ["0", "1"]
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_row_alone_pickles_files_and_updates(method, tmp_path):
    model = classifier(LOGITS, weights="dynamic", calibration=method).fit(X, LABELS)
    together = model.predict_proba(X)
    for row in range(60):
        # The products of the members are those of NumPy, which may add up a single row in another order.
        assert_allclose(model.predict_proba(X[row : row + 1])[0], together[row], rtol=1e-13)
    save_model(model, tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(model)), load_model(tmp_path / "model")):
        assert_array_equal(other.predict_proba(X), together)
    curves = model.calibration_
    model.update(X, LABELS)
    assert model.calibration_ is curves
    assert all(isinstance(curve, np.ndarray) for curve in curves.values())


def test_unknown_methods_and_no_calibration():
    with pytest.raises(ValueError, match="calibration"):
        classifier(calibration="platt").fit(X, LABELS)
    model = classifier(LOGITS, calibration="sigmoid").fit(X, LABELS)
    assert model.score(X, LABELS) > 0.5
    assert not hasattr(model.set_params(calibration=None).fit(X, LABELS), "calibration_")
