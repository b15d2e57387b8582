"""Models that are compressed: what is refused, copies, and their layout of parameters."""

import inspect
from copy import deepcopy

from sklearn.base import clone

from sklstm._base import BaseRNN
from sklstm._fitted import freeze
from sklstm._network.parameters import ParameterLayout
from sklstm._snapshot import snapshot_of

EXPECTED = "a DeepRNNRegressor or DeepRNNClassifier (or one of their LSTM forms)"


def check_model(model, caller, argument="model"):
    """Raise a TypeError unless `model` is an estimator with a network.

    Parameters
    ----------
    model : object
    caller : str
        Name of the function that was called.
    argument : str, default="model"
        Name of its argument.
    """
    if isinstance(model, BaseRNN):
        return
    if inspect.isclass(model):
        raise TypeError(f"{caller}: {argument} is the class {model.__name__}, expected {EXPECTED}.")
    kind = type(model).__name__
    raise TypeError(f"{caller}: {argument} is a {kind}, expected {EXPECTED}.{_suggestion(model, argument)}")


def _suggestion(model, argument):
    """Return what to hand over instead, as a sentence."""
    if hasattr(model, "steps"):
        return f" Hand over the last step of the pipeline, {argument}[-1]."
    if hasattr(model, "param_distributions") or hasattr(model, "param_grid") or hasattr(model, "best_estimator_"):
        return f" Hand over what the search found, {argument}.best_estimator_."
    if hasattr(model, "estimators") or hasattr(model, "estimators_"):
        return f" It holds several models: hand over one of {argument}.estimators_ at a time."
    if type(model).__name__ == "LSTMFeatureSelector":
        return " The selector computes statistics of columns and holds no network."
    return ""


def checked_layout(model, caller):
    """Return the `ParameterLayout` of a model; NotFittedError, or ValueError where its weights are integers."""
    model._network()
    if hasattr(model, "quantization_dtype_"):
        raise ValueError(
            f"{caller}: the model was quantised to {model.quantization_dtype_}. Use {caller} on the float model that "
            "it was made from, and quantize the result."
        )
    return ParameterLayout(**model._architecture)


def fitted_copy(model):
    """Return a fitted copy: constructor parameters as `sklearn.base.clone` copies them, all else deeply."""
    before = snapshot_of(model)
    copy, names = clone(before), before.get_params(deep=False)
    copy.__dict__.update({name: deepcopy(value) for name, value in before.__dict__.items() if name not in names})
    freeze(copy)
    return copy


def set_parameters(model, layout, flat):
    """Replace the fitted parameters by a flat vector."""
    parameters = {name: view.copy() for name, view in layout.views(flat).items()}
    for array in parameters.values():
        array.flags.writeable = False
    model.parameters_ = parameters
