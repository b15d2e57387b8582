"""Bad input: every row of the table in bad_input.py, for each of its estimators and calls.

A message names the argument, says what was found and what is expected. Nothing stays half-fitted.
"""

import copy
import re
from functools import cache

import pytest
from bad_input import CONSTRAINTS, FRAME, TABLE, TARGETS, X
from bad_input_of_options import CONSTRAINTS_OF_THE_REGRESSOR, TABLE_OF_OPTIONS
from estimator_case import Case
from sklearn.exceptions import NotFittedError

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor

ESTIMATORS = {"regressor": DeepLSTMRegressor, "classifier": DeepLSTMClassifier}
ANY_CELL = {"RNN regressor": DeepRNNRegressor, "RNN classifier": DeepRNNClassifier}
ONLY_OF_THE_CLASSIFIER = {"class_weight", "label_smoothing"}
OF_THE_REGRESSOR = {"loss", "target_column", "group_scaling", "group_weight", "quantile", "conformal", "decoder"}
OF_THE_REGRESSOR |= set(CONSTRAINTS_OF_THE_REGRESSOR)
# Where another argument takes the value, so that its name has to be in the message.
MOVED = {"X_val": "X", "context": "X", "y_val": "y", "sample_weight_val": "sample_weight"}


def targets_of(kind):
    return TARGETS[kind.split()[-1]]


@cache
def fitted(kind, carry_context=False):
    return make(kind, carry_context=carry_context).fit(FRAME, targets_of(kind))


def make(kind, **parameters):
    return Case({**ESTIMATORS, **ANY_CELL}[kind]).make(**parameters)


def prepare(bad, kind, call):
    """Return the estimator, the method and its arguments, of which one is bad."""
    y, given, parameters = targets_of(kind), dict(bad.given), dict(bad.parameters)
    if bad.argument in {*CONSTRAINTS, *ONLY_OF_THE_CLASSIFIER, *OF_THE_REGRESSOR, "cell"}:
        parameters[bad.argument] = bad.value
    elif call in MOVED:
        given[call] = bad.value
    else:
        given[bad.argument] = bad.value
    if call in MOVED:
        if call == "context":
            return fitted(kind), "predict", {"X": FRAME, **given}
        # Names of features are compared where the training table has some.
        return make(kind, **parameters), "fit", {"X": FRAME, "y": y, "X_val": FRAME, "y_val": y, **given}
    if call in ("fit", "partial_fit"):
        return make(kind, **parameters), call, {"X": X, "y": y, **given}
    if call in ("warm fit", "second partial_fit"):
        model = copy.deepcopy(fitted(kind)).set_params(warm_start=True, **parameters)
        return model, call.split()[1], {"X": FRAME, "y": y, **given}
    model = copy.deepcopy(fitted(kind, "carrying" in call)).set_params(**parameters)
    arguments = {"X": FRAME, **given}
    if call == "score":
        arguments["y"] = y
    return model, call.split()[0], arguments


def calls(families=("",)):
    """Every row with each of its estimators and calls; "RNN " is the family of estimators with any cell."""
    for bad in [*TABLE, *TABLE_OF_OPTIONS]:
        added = families if bad.any_cell else ("",)
        for kind in sorted({(family + kind).replace("RNN RNN", "RNN") for kind in bad.kinds for family in added}):
            for call in bad.calls:
                if "classifier" in kind or "proba" not in call:
                    yield bad, kind, call


def check(bad, kind, call):
    """Make a call, and look at what it raised and left."""
    model, method, arguments = prepare(bad, kind, call)
    before = copy.deepcopy(vars(model))
    name = call if call in MOVED else bad.argument
    # The same words, with the name of the argument that was given: X_val for X, y_val for y.
    message = re.sub(rf"(?<!\w){bad.argument}(?![\w(])", rf"({name}|{bad.argument})", bad.message)
    message = message.replace("DeepLSTM", "Deep(LSTM|RNN)")
    with pytest.raises(bad.exception, match=f"(?s){message}") as caught:
        getattr(model, method)(**arguments)
    assert not bad.is_named or re.search(rf"(?<!\w){name}(?!\w)", str(caught.value))
    assert len(str(caught.value)) < 800
    assert vars(model).keys() == before.keys()
    assert ("parameters_" in before) == hasattr(model, "parameters_")


# NumPy warns where a value has no place in float32, before scikit-learn finds infinity there; and scikit-learn where
# a model that knows names of features is given none.
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize(
    ("bad", "kind", "call"),
    [pytest.param(bad, kind, call, id=f"{bad.title}-{kind}-{call}") for bad, kind, call in calls()],
)
def test_bad_input(bad, kind, call):
    check(bad, kind, call)


@pytest.mark.parametrize("method", ["predict", "transform", "predict_proba", "predict_log_proba", "score"])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_not_fitted(kind, method):
    if kind == "regressor" and "proba" in method:
        return
    model = make(kind)
    arguments = (X, targets_of(kind)) if method == "score" else (X,)
    with pytest.raises(NotFittedError, match=f"This {type(model).__name__} instance is not fitted yet"):
        getattr(model, method)(*arguments)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.get_feature_names_out()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["up"], r"classes needs at least 2 labels, found \['up'\]"),
        ([["up", "down"]], r"classes must be 1-D, .*; its shape is \(1, 2\)"),
        ([0.0, 1.0, float("nan")], "Input classes contains NaN"),
        (["up", "flat"], r"y holds 'down', which is not among the classes \['flat', 'up'\]"),
    ],
)
def test_bad_classes(classes, message):
    model = make("classifier")
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, targets_of("classifier"), classes=classes)
    assert not hasattr(model, "classes_")


def test_classes_that_have_no_order():
    with pytest.raises(TypeError, match="classes: '<' not supported"):
        make("classifier").partial_fit(X, targets_of("classifier"), classes=[0, 1, None])


def test_every_constraint_is_in_the_table():
    assert set(CONSTRAINTS) | ONLY_OF_THE_CLASSIFIER | {"cell"} == set(DeepLSTMClassifier._parameter_constraints)
    assert set(CONSTRAINTS) | OF_THE_REGRESSOR | {"cell"} == set(DeepLSTMRegressor._parameter_constraints)
