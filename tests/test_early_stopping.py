"""When training stops, on what, which parameters are kept, and the numbers it leaves behind."""

import numpy as np
import pytest
from estimator_case import as_read
from reference.lstm import network_forward, table_windows
from scipy.special import logsumexp

from sklstm import DeepRNNClassifier

# A step this small leaves the parameters where they are: losses belong to known parameters.
FROZEN = {"learning_rate_init": 1e-300, "dtype": "float64", "max_iter": 1}
# Quick to learn and then to overfit: the best epoch is not the last.
OVERFIT = {"hidden_size": 16, "learning_rate_init": 0.03, "max_iter": 60, "batch_size": 8, "dtype": "float64"}


def losses(model, z, y):
    """Loss of each sample for raw outputs z, from the definitions."""
    if not isinstance(model, DeepRNNClassifier):
        target = (y - model.target_mean_) / model.target_scale_
        return 0.5 * ((z - target.reshape(len(y), -1)) ** 2).mean(axis=1)
    if z.shape[1] == 1:
        z = np.column_stack([np.zeros(len(z)), z[:, 0]])
    return logsumexp(z, axis=1) - z[np.arange(len(z)), np.searchsorted(model.classes_, y)]


def best_constant(model, y, weights):
    """The raw output that is best for these targets if it has to be one for all."""
    if not isinstance(model, DeepRNNClassifier):
        target = (y - model.target_mean_) / model.target_scale_
        return np.average(target.reshape(len(y), -1), axis=0, weights=weights)
    shares = np.array([weights[y == label].sum() for label in model.classes_]) / weights.sum()
    return np.log(shares) if len(shares) > 2 else np.log(shares[1:] / shares[0])


def score(model, z, y, weights, train_y, train_weights):
    constant = np.broadcast_to(best_constant(model, train_y, train_weights), z.shape)
    found, null = (np.average(losses(model, output, y), weights=weights) for output in (z, constant))
    return 1.0 - found / null


def raw(model, X):
    return network_forward(model.parameters_, table_windows(as_read(model, X), model.sequence_length)).z


# The training loss


@pytest.mark.parametrize("batch_size", [1, 16, 90])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_weighted_mean(case, batch_size, weighted):
    weights = np.linspace(0.0, 3.0, 90) if weighted else np.ones(90)
    model = case.make(batch_size=batch_size, **FROZEN)
    model.fit(case.X, case.y, sample_weight=weights if weighted else None)
    expected = np.average(losses(model, raw(model, case.X), case.y), weights=weights)
    assert model.loss_ == pytest.approx(expected, rel=1e-12)


def test_numbers_agree_without_early_stopping(case):
    # Steps so long that the last epoch is not the best.
    model = case.fit(max_iter=8, early_stopping=False, learning_rate_init=1.5)
    assert model.n_iter_ == len(model.loss_curve_) == 8
    assert model.loss_ == model.loss_curve_[-1]
    assert model.loss_ > model.best_loss_ == min(model.loss_curve_)
    assert model.validation_scores_ is None
    assert model.validation_loss_curve_ is None
    assert model.best_validation_score_ is None
    assert model.best_iteration_ == 8


def test_numbers_agree_with_early_stopping(case):
    model = case.fit(max_iter=5, early_stopping=True)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 5
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None


def test_the_validation_loss_and_the_epoch_that_was_kept(case):
    """In the unit of the training loss; the curve is the last fit's, epochs are counted through."""
    rng = np.random.default_rng(0)
    X_val = rng.normal(size=(40, 3))
    y_val, weights = case.target(X_val[:, 0]), rng.uniform(0.5, 2.0, 40)
    model = case.make(**{**OVERFIT, "max_iter": 20, "warm_start": True}, n_iter_no_change=50)
    for n_before in (0, 20):
        model.fit(case.X, case.y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
        curve, scores = model.validation_loss_curve_, model.validation_scores_
        assert len(curve) == len(scores) == 20
        best = int(np.argmax(scores))
        assert best == int(np.argmin(curve)) < 19
        assert model.best_iteration_ == n_before + best + 1
        expected = np.average(losses(model, raw(model, X_val), y_val), weights=weights)
        assert curve[best] == pytest.approx(expected, rel=1e-12)
        assert model.n_iter_ == n_before + 20
    model.set_params(early_stopping=False).fit(case.X, case.y)
    assert (model.validation_loss_curve_, model.best_iteration_) == (None, 60)


def test_training_stops_when_the_loss_stops_to_fall(case):
    settings = {"max_iter": 300, "tol": 0.02, "n_iter_no_change": 3, "early_stopping": False}
    curve = np.array(case.fit(**settings).loss_curve_)
    check_stop(-curve, tol=0.02, patience=3)


def check_stop(scores, tol, patience):
    """The last epochs brought no improvement of `tol`, the one before them did, and none earlier was that patient."""
    best = np.maximum.accumulate(scores)
    improved = np.r_[True, scores[1:] > best[:-1] + tol]
    assert patience < len(scores) < 300
    assert improved[-patience - 1]
    assert not improved[-patience:].any()
    waits = np.diff(np.flatnonzero(np.r_[improved, True]))
    assert (waits[:-1] <= patience).all()


# The validation part


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_is_the_share_of_the_loss_explained(case, own, weighted):
    weights = np.linspace(0.5, 3.0, 90) if weighted else np.ones(90)
    given = weights if weighted else None
    train, last = (slice(60), slice(60, 90)) if own else (slice(81 - 4), slice(81, 90))
    model = case.make(early_stopping=not own, **FROZEN)
    if own:
        model.fit(
            *(case.X[:60], case.y[:60]),
            sample_weight=None if given is None else given[:60],
            X_val=case.X[60:],
            y_val=case.y[60:],
            sample_weight_val=None if given is None else given[60:],
        )
        z = raw(model, case.X[60:])
    else:
        model.fit(case.X, case.y, sample_weight=given)
        z = raw(model, case.X)[last]
    expected = score(model, z, case.y[last], weights[last], case.y[train], weights[train])
    assert model.validation_scores_ == pytest.approx([expected], rel=1e-10)
    assert model.best_validation_score_ == model.validation_scores_[0]


def test_the_score_of_several_classes(classifier):
    y = np.array(["x", "y", "z"])[np.digitize(classifier.X[:, 0], [-0.4, 0.4])]
    model = classifier.make(early_stopping=True, **FROZEN).fit(classifier.X, y)
    z = raw(model, classifier.X)[81:]
    expected = score(model, z, y[81:], np.ones(9), y[:77], np.ones(77))
    assert model.validation_scores_ == pytest.approx([expected], rel=1e-10)


def test_the_score_of_several_outputs(regressor):
    y = regressor.X[:, :2] * [1.0, 100.0] + [3.0, -500.0]
    model = regressor.make(early_stopping=True, **FROZEN).fit(regressor.X, y)
    z = raw(model, regressor.X)[81:]
    expected = score(model, z, y[81:], np.ones(9), y[:77], np.ones(77))
    assert model.validation_scores_ == pytest.approx([expected], rel=1e-10)


def test_a_score_where_there_is_nothing_to_explain(case):
    """All targets of the training part are equal to those of the validation part."""
    y = np.full(90, case.y[0])
    if case.is_classifier:
        y[0] = {"up": "down", "down": "up"}[y[0]]
        weights = np.r_[1e-9, np.ones(89)]
    else:
        weights = np.ones(90)
    model = case.make(early_stopping=True).fit(case.X, y, sample_weight=weights)
    assert np.isfinite(model.validation_scores_).all()


@pytest.mark.parametrize("own", [False, True])
def test_the_best_parameters_are_restored(case, own):
    rng = np.random.default_rng(0)
    y = case.target(rng.normal(size=90) + case.X[:, 0])
    if own:
        validation = {"X_val": case.X[60:], "y_val": y[60:]}
        model = case.make(**OVERFIT).fit(case.X[:60], y[:60], **validation)
        z, last, train = raw(model, case.X[60:]), slice(60, 90), slice(60)
    else:
        model = case.make(**OVERFIT, early_stopping=True).fit(case.X, y)
        z, last, train = raw(model, case.X)[81:], slice(81, 90), slice(77)
    scores = np.array(model.validation_scores_)
    assert scores.argmax() < len(scores) - 1  # or there would be nothing to restore
    ones = np.ones(90)
    kept = score(model, z, y[last], ones[last], y[train], ones[train])
    assert model.best_validation_score_ == scores.max() == pytest.approx(kept, rel=1e-9)


def test_it_stops_after_the_patience_is_exhausted(case):
    settings = {**OVERFIT, "max_iter": 299, "early_stopping": True, "n_iter_no_change": 4, "tol": 0.01}
    check_stop(np.array(case.fit(**settings).validation_scores_), tol=0.01, patience=4)


def test_the_epochs_do_not_depend_on_stopping(case):
    """A longer fit begins with the epochs of a shorter one."""
    short, long = (case.fit(early_stopping=True, max_iter=n, n_iter_no_change=99) for n in (2, 6))
    assert long.loss_curve_[:2] == short.loss_curve_
    assert long.validation_scores_[:2] == short.validation_scores_


# Switching it on and off


@pytest.mark.parametrize(
    ("n_samples", "early_stopping", "on"),
    [
        (199, "auto", False),
        (200, "auto", True),
        (200, False, False),
        (90, "auto", False),
        (90, True, True),
        (90, np.True_, True),
    ],
)
def test_when_it_is_on(case, n_samples, early_stopping, on):
    X = np.random.default_rng(0).normal(size=(n_samples, 2))
    model = case.make(early_stopping=early_stopping, max_iter=1, hidden_size=2).fit(X, case.target(X[:, 0]))
    assert (model.validation_scores_ is not None) is on


def test_auto_trains_on_everything_where_a_split_is_impossible(case):
    """1000 rows and a gap of 950 leave no training row before a validation part of 100."""
    X = np.random.default_rng(0).normal(size=(1000, 1))
    model = case.make(max_iter=1, hidden_size=2, sequence_length=951, batch_size=500).fit(X, case.target(X[:, 0]))
    assert model.validation_scores_ is None


@pytest.mark.parametrize("early_stopping", [False, True, "auto"])
def test_a_validation_part_of_your_own_switches_it_on(case, early_stopping):
    """And then all of X is for training."""
    model = case.make(early_stopping=early_stopping, n_iter_no_change=9)
    model.fit(case.X, case.y, X_val=case.array, y_val=case.array_y)
    assert len(model.validation_scores_) == 3
    assert model.loss_curve_ == case.fit(early_stopping=False).loss_curve_


def test_any_kind_of_validation_part(case):
    expected = case.make(n_iter_no_change=9).fit(case.X, case.y, X_val=case.array, y_val=case.array_y)
    for X_val in (list(case.array), case.array.tolist()):
        model = case.make(n_iter_no_change=9).fit(case.X, case.y, X_val=X_val, y_val=list(case.array_y))
        assert model.validation_scores_ == expected.validation_scores_


def test_weights_of_the_validation_part_count(case):
    """A weight of zero is a sample that is not there."""
    halves = {"X_val": case.array[:12], "y_val": case.array_y[:12]}
    zeros = {"X_val": case.array, "y_val": case.array_y, "sample_weight_val": np.repeat([2.0, 0.0], 12)}
    first, second = (case.make(dtype="float64").fit(case.X, case.y, **part) for part in (halves, zeros))
    assert first.validation_scores_ == pytest.approx(second.validation_scores_, rel=1e-12)
