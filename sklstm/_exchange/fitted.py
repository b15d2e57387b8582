"""A fitted estimator from the parameters of a network that was trained elsewhere."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from sklstm._cell_choice import check_cell
from sklstm._compression.models import check_model
from sklstm._dtypes import array_dtype
from sklstm._exchange.arrays import as_array
from sklstm._exchange.refusals import refuse_options
from sklstm._fitted import freeze
from sklstm._network.parameters import ParameterLayout
from sklstm._options import describe_network, refuse_exclusions, refuse_reach_beyond
from sklstm._scaling import Moments
from sklstm._seeds import draw_seeds
from sklstm._snapshot import replace_fitted
from sklstm._validation import check_quantiles

KNOWN_OPTIONS = ("projection_size",)


@dataclass
class FoundNetwork:
    """Layers and head of another library.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Parameters by the names of this package, in float64.
    cell : Cell
    hidden_sizes : tuple of int
    bidirectional : bool
    parameters : dict
        Further parameters of the constructor that the network decides.
    activation : str or None
        What goes over the outputs of the head: "linear", "sigmoid", "softmax", "exponential"; None if it is not known.
    scales : dict
        ``input_mean`` and ``input_scale``, where the network has them.
    """

    arrays: dict
    cell: Any
    hidden_sizes: tuple
    bidirectional: bool
    parameters: dict = field(default_factory=dict)
    activation: str | None = None
    scales: dict = field(default_factory=dict)


@dataclass
class Given:
    """What is known beside the network.

    Attributes
    ----------
    classes : array-like or None
        In the order of the outputs.
    multilabel : bool
    input_mean, input_scale, target_mean, target_scale : array-like or None
    """

    classes: Any = None
    multilabel: bool = False
    input_mean: Any = None
    input_scale: Any = None
    target_mean: Any = None
    target_scale: Any = None


def fitted_estimator(estimator, network, given, caller):
    """Return a fitted clone of an estimator with the parameters of a network.

    Parameters
    ----------
    estimator : object
        Regressor or classifier of this package, fitted or not.
    network : FoundNetwork
    given : Given
    caller : str
        Name of the function that was called.
    """
    model = _with_parameters(estimator, network, caller)
    arrays, targets = _targets(model, network, given, caller)
    n_features, n_outputs = arrays["weight_ih_l0"].shape[1], len(arrays["bias_out"])
    parameters = model.get_params(deep=False)
    layout = ParameterLayout(**describe_network(parameters, n_features, n_outputs))
    refuse_options(layout.architecture, caller, "the network", KNOWN_OPTIONS)
    dtype = array_dtype(model.dtype)
    try:
        with np.errstate(over="ignore"):
            flat = layout.flatten(arrays, dtype)
    except ValueError as error:
        raise ValueError(f"{caller}: these are not the parameters of one network: {error}.") from error
    if not np.isfinite(flat).all():
        raise ValueError(f"{caller}: the network has weights that dtype={model.dtype!r} cannot hold.")
    fitted = {
        "parameters_": {name: view.copy() for name, view in layout.views(flat).items()},
        "n_features_in_": n_features,
        **_input_scales(network, given, n_features, caller),
        **_untrained(),
        **targets,
        "_architecture": asdict(layout.architecture),
        "_trained_dtype": model.dtype,
        # A table says windows; sequences are accepted then, too.
        "_fitted_on": "sequences" if model.targets == "sequence" else "table",
        "_row_order": {"span": None, "groups": False},
        "_training_state": {"seed": draw_seeds(model.random_state, 1)[0]},
    }
    replace_fitted(model, fitted)
    model.__dict__.update({name: value for name, value in fitted.items() if name.startswith("_")})
    freeze(model)
    model._network()
    return model


def _with_parameters(estimator, network, caller):
    """Return a clone of the estimator whose parameters describe the network."""
    check_model(estimator, caller, "estimator")
    sizes = network.hidden_sizes
    alike = len(set(sizes)) == 1
    model = clone(estimator).set_params(
        cell=_as_given(network.cell),
        hidden_size=sizes[0] if alike else sizes,
        n_layers=len(sizes) if alike else 1,
        bidirectional=network.bidirectional,
        **network.parameters,
    )
    model._validate_params()
    parameters = model.get_params(deep=False)
    refuse_exclusions(parameters)
    refuse_reach_beyond(parameters)
    refused = {
        "n_seeds": (1, "there is one network"),
        "conformal": (False, "bands are corrected by a validation part; call calibrate afterwards"),
        "group_scaling": (None, "the units of groups are not known"),
        "carry_context": (False, "no rows were seen"),
    }
    for name, (plain, why) in refused.items():
        if parameters.get(name, plain) != plain:
            raise ValueError(f"{caller}: estimator has {name}={parameters[name]!r}, but {why}.")
    return model


def _as_given(cell):
    """Return the name of a cell where it has no option."""
    name = type(cell).__name__.lower()
    return name if repr(cell) == repr(check_cell(name)) else cell


def _targets(model, network, given, caller):
    """Return the arrays, with the head as the estimator has it, and what is fitted of the targets."""
    given_numbers = [name for name in ("target_mean", "target_scale") if getattr(given, name) is not None]
    if is_classifier(model):
        if given_numbers:
            raise ValueError(f"{caller}: {given_numbers[0]} is of numbers, but estimator is a classifier.")
        weight, bias, classes = _classes(network, given, caller)
        return {**network.arrays, "weight_out": weight, "bias_out": bias}, {"classes_": classes}
    for name, plain in (("classes", None), ("multilabel", False)):
        if getattr(given, name) is not plain:
            raise ValueError(f"{caller}: {name} is of labels, but estimator is a {type(model).__name__}.")
    return network.arrays, _numbers(model, network, given, caller)


def _classes(network, given, caller):
    """Return weight and bias of the head for sorted classes, one row for two of them, and the classes."""
    weight, bias = network.arrays["weight_out"], network.arrays["bias_out"]
    n, kinds = len(bias), {None, "linear", "sigmoid", "softmax"}
    if network.activation not in kinds:
        raise ValueError(f"{caller}: activation={network.activation!r} of the head gives no probabilities.")
    if given.multilabel or (network.activation == "sigmoid" and n > 1):
        if given.classes is not None:
            raise ValueError(f"{caller}: classes={given.classes!r} does not go with labels of their own, 0 and 1 each.")
        if n < 2 or network.activation == "softmax":
            raise ValueError(f"{caller}: multilabel=True needs an output for each of 2 or more labels, found {n}.")
        return weight, bias, np.tile([0, 1], (n, 1))
    if network.activation == "softmax" and n == 1:
        raise ValueError(f"{caller}: softmax over one output is always 1.")
    labels = np.arange(max(n, 2)) if given.classes is None else np.asarray(given.classes)
    if labels.ndim != 1 or len(labels) != max(n, 2) or len(np.unique(labels)) != len(labels):
        raise ValueError(
            f"{caller}: classes={given.classes!r}, expected {max(n, 2)} different labels for the {n} "
            f"output{'s' * (n > 1)} of the head, in their order."
        )
    order = np.argsort(labels)
    if n == 1:
        sign = 1.0 if order[0] == 0 else -1.0
        return sign * weight, sign * bias, labels[order]
    weight, bias = weight[order], bias[order]
    if n == 2:  # softmax of two is the sigmoid of their difference
        weight, bias = np.diff(weight, axis=0), np.diff(bias)
    return weight, bias, labels[order]


def _numbers(model, network, given, caller):
    """Return what is fitted of the targets of a regressor."""
    wanted = "exponential" if model.loss == "poisson" else "linear"
    if network.activation not in (None, wanted):
        raise ValueError(
            f"{caller}: activation={network.activation!r} of the head does not go with loss={model.loss!r}, which "
            f"needs {wanted!r}."
        )
    quantiles = check_quantiles(model.quantile) if model.loss == "quantile" else None
    n_outputs, n_quantiles = len(network.arrays["bias_out"]), len(quantiles or (None,))
    if n_outputs % n_quantiles:
        raise ValueError(f"{caller}: the {n_outputs} outputs of the head are not those of {n_quantiles} quantiles.")
    n_targets = n_outputs // n_quantiles
    shape = () if n_targets == 1 else (n_targets,)
    mean = _vector(given.target_mean, 0.0, n_targets, "target_mean", caller)
    scale = _vector(given.target_scale, 1.0, n_targets, "target_scale", caller)
    if model.loss == "poisson" and mean.any():
        raise ValueError(f"{caller}: target_mean={given.target_mean!r} does not go with loss='poisson': exp has none.")
    coding = {
        "loss": model.loss,
        "quantiles": quantiles,
        "columns": None,
        "shape": shape,
        "group_scaling": None,
        "unit_columns": None,
        "is_huge": bool(max(np.abs(mean).max(), scale.max()) > 1e300),
        "moments": asdict(_moments(mean, scale)),
    }
    return {"target_mean_": mean.reshape(shape)[()], "target_scale_": scale.reshape(shape)[()], "_coding": coding}


def _input_scales(network, given, n_features, caller):
    """Return what is fitted of the columns."""
    values = {}
    for name, default in (("input_mean", 0.0), ("input_scale", 1.0)):
        own = getattr(given, name)
        if own is not None and name in network.scales:
            raise ValueError(f"{caller}: {name} was given, but the network has a layer that standardises its input.")
        values[name] = _vector(network.scales.get(name) if own is None else own, default, n_features, name, caller)
    moments = _moments(values["input_mean"], values["input_scale"])
    return {**{f"{name}_": value for name, value in values.items()}, "_input_moments": asdict(moments)}


def _vector(value, default, n, name, caller):
    """Return one number, or n of them, as n; scales are above 0."""
    array = np.full(n, default) if value is None else as_array(value, f"{caller}: {name}")
    if array.ndim > 1 or array.size not in (1, n):
        raise ValueError(f"{caller}: {name} has shape {array.shape}, expected one number or {n}.")
    array = np.broadcast_to(array, n).copy()
    if name.endswith("scale") and not (array > 0).all():
        raise ValueError(f"{caller}: {name} holds {array.min():g}, expected numbers above 0.")
    return array


def _moments(mean, scale):
    """Return moments that count as one row, so that `partial_fit` keeps them."""
    return Moments(np.ones(len(mean)), 0, mean.copy(), scale.copy())


def _untrained():
    """Return the attributes that tell of a training, of which nothing is known."""
    return {
        "n_iter_": 0,
        "loss_": float("inf"),
        "loss_curve_": [],
        "gradient_norms_": [],
        "validation_scores_": None,
        "validation_loss_curve_": None,
        "best_validation_score_": None,
        "best_iteration_": 0,
        "best_loss_": None,
    }
