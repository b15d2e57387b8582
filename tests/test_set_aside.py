"""What is set aside and what is carried: validation parts, the rows before X, lengths that change after `fit`."""

import warnings

import numpy as np
import pandas as pd
import pytest
from estimator_case import parameters_equal

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._sequences import Sequences

# What decides here is what the last epoch's score was measured on: one step of no size.
FROZEN = {"hidden_size": 3, "max_iter": 1, "learning_rate_init": 1e-300, "n_jobs": 1, "random_state": 0}


# Sets of sequences that have classes


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.5, 0.95])
def test_each_class_gives_its_last_part(seed, fraction):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, rng.integers(1, 6), rng.integers(1, 60))
    if seed % 2:
        codes.sort()
    first, last = Sequences.split_last_of_classes(fraction, codes)
    assert sorted([*first, *last]) == list(range(len(codes)))
    n_last = int(np.ceil(fraction * len(codes)))
    n_classes = len(np.unique(codes))
    assert len(last) == min(n_last, len(codes) - n_classes)
    for code in np.unique(codes):
        own, held = np.flatnonzero(codes == code), last[codes[last] == code]
        # Its last ones, never all of it, and the same share as of all.
        assert len(held) < len(own)
        assert held.tolist() == own[len(own) - len(held) :].tolist()
        if len(last) == n_last:
            assert abs(len(held) - fraction * len(own)) < 2


def sorted_by_class(n_classes=6, n_each=40, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), n_each)
    X = rng.normal(size=(len(y), 5, 2)) * 0.2
    X[:, -1, 0] += np.cos(2 * np.pi * y / n_classes)
    X[:, -1, 1] += np.sin(2 * np.pi * y / n_classes)
    return X, y


def test_a_set_sorted_by_class_is_learnt():
    """Files of the UCR archive often are; the last tenth of this one is most of a class."""
    X, y = sorted_by_class()
    model = DeepLSTMClassifier(8, learning_rate_init=0.02, max_iter=40, random_state=0, n_jobs=1).fit(X, y)
    assert len(model.validation_scores_) > 1
    X_test, y_test = sorted_by_class(seed=1)
    recalls = [np.mean(model.predict(X_test[y_test == label]) == label) for label in range(6)]
    assert min(recalls) > 0.7


def test_scores_of_a_set_are_those_of_the_split():
    """The part that is set aside, handed over by hand, has the same score."""
    X, y = sorted_by_class(3, 30)
    automatic = DeepLSTMClassifier(**FROZEN, early_stopping=True, validation_fraction=0.2).fit(X, y)
    first, last = Sequences.split_last_of_classes(0.2, y)
    by_hand = DeepLSTMClassifier(**FROZEN).fit(X[first], y[first], X_val=X[last], y_val=y[last])
    assert automatic.validation_scores_ == by_hand.validation_scores_


def test_labels_in_columns_keep_their_order():
    """A sample may have several: the last samples are set aside."""
    X, y = sorted_by_class(3, 30)
    labels = np.eye(3, dtype=int)[y]
    automatic = DeepLSTMClassifier(**FROZEN, early_stopping=True, validation_fraction=0.2).fit(X, labels)
    by_hand = DeepLSTMClassifier(**FROZEN).fit(X[:72], labels[:72], X_val=X[72:], y_val=labels[72:])
    assert automatic.validation_scores_ == by_hand.validation_scores_


# Tables


def test_a_class_that_comes_last_alone_is_told():
    y = np.repeat(["a", "b", "c"], [120, 100, 20])
    X = np.random.default_rng(0).normal(size=(240, 2))
    settings = {**FROZEN, "sequence_length": 4}
    with pytest.warns(UserWarning, match="sets the last rows aside, and with them every sample of class 'c'") as caught:
        DeepLSTMClassifier(**settings).fit(X, y)
    assert caught[0].filename == __file__
    weights = np.where(y == "c", 0.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepLSTMClassifier(**settings).fit(X, y, sample_weight=weights)
        DeepLSTMClassifier(**settings, early_stopping=False).fit(X, y)


def test_many_short_groups_are_not_thrown_away():
    """31 of 50 rows would lie between the parts of each group."""
    X = np.random.default_rng(0).normal(size=(1000, 2))
    groups = np.repeat(np.arange(20), 50)
    automatic = DeepLSTMRegressor(**FROZEN).fit(X, X[:, 0], groups=groups)
    assert automatic.validation_scores_ is None
    message = r"early_stopping=True trains on 280 of 1000 rows: sequence_length - 1 = 31 rows .* in each of 20 groups"
    with pytest.warns(UserWarning, match=message) as caught:
        wanted = DeepLSTMRegressor(**FROZEN, early_stopping=True).fit(X, X[:, 0], groups=groups)
    assert caught[0].filename == __file__
    assert len(wanted.validation_scores_) == 1
    short = DeepLSTMRegressor(**FROZEN, sequence_length=8).fit(X, X[:, 0], groups=groups)
    assert len(short.validation_scores_) == 1


def test_no_room_in_any_group_is_told():
    X = np.random.default_rng(0).normal(size=(120, 2))
    model = DeepLSTMRegressor(**FROZEN, sequence_length=8, early_stopping=True)
    message = (
        r"leaves no .* of 120: sequence_length - 1 = 7 rows .* in each of 30 groups. Take a shorter sequence_length"
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X, X[:, 0], groups=np.repeat(np.arange(30), 4))


# A part of one's own


def test_groups_of_the_validation_part(case):
    """No window of X_val crosses from one group into another: the same as sequences written by hand."""
    X, y = case.X, case.y
    groups, own = np.repeat([0, 1], 45), np.repeat([5, 6, 7], 10)
    model = case.make(**{**FROZEN, "sequence_length": 6})
    crossing = model.fit(X, y, X_val=X[:30], y_val=y[:30]).validation_scores_
    grouped = model.fit(X, y, groups=groups, X_val=X[:30], y_val=y[:30], groups_val=own).validation_scores_
    windows = [X[max(first, i - 5) : i + 1] for first in (0, 10, 20) for i in range(first, first + 10)]
    # Nothing was learnt: the network is the same, and the training part has the same constant.
    listed = model.fit(X, y, groups=groups, X_val=windows, y_val=y[:30]).validation_scores_
    assert grouped == pytest.approx(listed, rel=1e-5)
    assert grouped != pytest.approx(crossing, rel=1e-3)


def test_groups_without_groups_of_the_validation_part(case):
    with pytest.raises(ValueError, match="groups without groups_val: windows of X_val would cross"):
        case.make().fit(case.X, case.y, groups=case.groups, X_val=case.X, y_val=case.y)
    with pytest.raises(ValueError, match="groups_val has 3 labels, but X_val has 90 rows"):
        case.make().fit(case.X, case.y, X_val=case.X, y_val=case.y, groups_val=[1, 2, 3])
    with pytest.raises(ValueError, match="groups_val goes with a 2-D table X_val; here each sequence of X_val"):
        case.make().fit(case.array, case.array_y, X_val=case.array, y_val=case.array_y, groups_val=np.arange(24))
    with pytest.raises(ValueError, match="groups_val: label 1 comes in 2 separate blocks"):
        case.make().fit(case.X, case.y, X_val=case.X, y_val=case.y, groups_val=np.repeat([1, 2, 1], 30))


# Going on


def test_rows_are_not_carried_any_more():
    X = np.random.default_rng(0).normal(size=(60, 3))
    settings = {**FROZEN, "sequence_length": 4, "warm_start": True}
    model = DeepLSTMRegressor(**settings, carry_context=True).fit(X, X[:, 0])
    again = DeepLSTMRegressor(**settings, carry_context=True).fit(X, X[:, 0])
    model.set_params(carry_context=False).fit(X[:30], X[:30, 0])
    again.set_params(carry_context=False).partial_fit(X[:30], X[:30, 0])
    for one in (model, again):
        assert not hasattr(one, "context_")
        np.testing.assert_array_equal(one.predict(X[:2]), one.predict(X[:2], context=np.empty((0, 3))))


def test_carried_rows_of_a_frame_have_no_names_to_miss():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
    model = DeepLSTMRegressor(**FROZEN, sequence_length=4, carry_context=True).fit(frame, frame["a"])
    np.testing.assert_array_equal(model.predict(frame), model.predict(frame, context=frame))


@pytest.mark.parametrize("length", [-3, 0, 2.5, None, "a"])
def test_a_length_set_after_fit_is_looked_at(case, length):
    """A length below one made the kernels write where nothing was theirs."""
    model = case.fit().set_params(sequence_length=length)
    message = "sequence_length=.* was set after the network had been fitted; it must be an integer of at least 1"
    for method in case.methods(model):
        with pytest.raises(ValueError, match=message):
            method(case.X)
        with pytest.raises(ValueError, match=message):
            method(case.X, context=case.X[:9])
    with pytest.raises(ValueError, match=message):
        model.stream(window=True)


def test_a_length_beyond_all_tables_is_all_rows(case):
    parameters = case.make(sequence_length=10**19, early_stopping=False).fit(case.X, case.y)
    expected = case.make(sequence_length=90, early_stopping=False).fit(case.X, case.y)
    assert parameters_equal(parameters, expected)
