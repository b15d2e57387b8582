"""Fitted attributes: kept read-only, and checked before they reach a kernel."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklstm._dtypes import fitted_dtype
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout


def freeze(model):
    """Make the fitted arrays read-only."""
    known = model.__dict__
    scales = [known.get(name) for name in ("input_mean_", "input_scale_")]
    for array in [*known.get("parameters_", {}).values(), *scales]:
        if isinstance(array, np.ndarray):
            array.flags.writeable = False


def empty_network(model, layout, dtype):
    """Return a network without parameters that standardises the columns by the fitted scales."""
    n_threads, mean, scale = resolve_num_threads(model.n_jobs), model.input_mean_, model.input_scale_
    if not mean.any() and (scale == 1.0).all():
        return Network(layout, dtype, n_threads)
    return Network(layout, dtype, n_threads, input_mean=mean, input_scale=scale)


def fitted_network(model, targets):
    """Return the network with the fitted parameters, as they are now.

    Parameters
    ----------
    model : estimator
    targets : Targets
        Those of the estimator.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If the fitted attributes are inconsistent: none reaches a kernel unchecked.
    """
    check_is_fitted(model)
    try:
        layout, flat = _checked_parameters(model, targets)
        dtype = fitted_dtype(model, flat.dtype)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"this {type(model).__name__} is damaged, perhaps by a truncated or edited file: {error}. Fit it again, "
            "or load another copy."
        ) from error
    network = empty_network(model, layout, dtype)
    # Only predictions are mapped back: training and its validation compare normalised targets.
    network.reference_columns = targets.reference_columns
    network.load(flat)
    return network


def _checked_parameters(model, targets):
    """Return layout and flat vector of the fitted parameters, checked: they may come from a damaged file."""
    layout, n_features, n_outputs = ParameterLayout(**model._architecture), model.n_features_in_, targets.n_outputs
    flat = layout.flatten(model.parameters_, model.parameters_["weight_out"].dtype)
    lost = vars(layout.architecture).keys() - model._architecture.keys()
    if lost:
        raise ValueError(f"the architecture lacks {sorted(lost)}")
    if flat.dtype not in (np.float32, np.float64):
        raise ValueError(f"parameters_ are of {flat.dtype}, expected float32 or float64")
    if not np.isfinite(flat).all():
        raise ValueError("parameters_ hold NaN or infinity")
    if layout.architecture.input_size != n_features:
        raise ValueError(f"n_features_in_={n_features}, but the network reads {layout.architecture.input_size}")
    if layout.n_outputs != n_outputs:
        raise ValueError(f"the network has {layout.n_outputs} outputs, but the targets need {n_outputs}")
    for name in ("input_mean_", "input_scale_"):
        numbers = getattr(model, name)
        if np.shape(numbers) != (n_features,) or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
            raise ValueError(f"{name} is {numbers!r}, expected {n_features} finite numbers of float64")
    if not (model.input_scale_ > 0).all():
        raise ValueError(f"input_scale_ is {model.input_scale_!r}, expected numbers above 0")
    if not np.isfinite(getattr(model, "context_", 0.0)).all():
        raise ValueError("context_ holds NaN or infinity")
    targets.check_fitted(n_features, layout.architecture.window_norm)
    return layout, flat
