"""Fitted attributes: kept read-only, and checked before they reach a kernel."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklstm._dtypes import fitted_dtype
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._network.integers import DTYPES, IntegerLayout, integer_names, to_flat
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._network.several import Networks


def freeze(model):
    """Make the fitted arrays read-only."""
    known = model.__dict__
    names = ("input_mean_", "input_scale_", "conformal_correction_", "group_means_", "group_scales_")
    scales = [known.get(name) for name in names]
    networks = [known.get("parameters_", {}), *(one["parameters_"] for one in known.get("other_networks_", ()))]
    for array in [*(array for arrays in networks for array in arrays.values()), *scales]:
        if isinstance(array, np.ndarray):
            array.flags.writeable = False


def upgraded(state):
    """Return the attributes of a pickle of an earlier version as they are called now."""
    if "layer_norm" not in state:
        return state
    state = dict(state)
    state["norm"] = {"output": "layer"}.get(state.pop("layer_norm"))
    if "_architecture" in state:
        before = dict(state["_architecture"])
        norm = {"output": "layer"}.get(before.pop("layer_norm"))
        added = {"norm": norm, "norm_first": False, "feedforward": 0.0, "output_gate": None, "compete_groups": 1}
        added |= {"cell_numbers": (), "time_column": None}
        state["_architecture"] = {**added, **before}
    return state


def refuse_quantised(model):
    """Raise for a model of `quantize`, whose parameters cannot be changed."""
    if hasattr(model, "quantization_dtype_"):
        kind = model.quantization_dtype_
        raise ValueError(
            f"this {type(model).__name__} was quantised to {kind}, and integers cannot be trained: go on with the "
            "float model that it was made from, or train a new one by fit with warm_start=False."
        )


def empty_network(model, layout, dtype, n_threads=None, make=None):
    """Return a network without parameters that standardises the columns by the fitted scales.

    Parameters
    ----------
    model : estimator
    layout : ParameterLayout
    dtype : "float32", "float64" or "bfloat16"
    n_threads : int or None, default=None
        None for what `n_jobs` says.
    make : callable or None, default=None
        What is called with layout, dtype and threads, and with the scales where there are any; None for `Network`.
    """
    n_threads = resolve_num_threads(model.n_jobs) if n_threads is None else n_threads
    make, mean, scale = make or Network, model.input_mean_, model.input_scale_
    if not mean.any() and (scale == 1.0).all():
        return make(layout, dtype, n_threads)
    return make(layout, dtype, n_threads, input_mean=mean, input_scale=scale)


def fitted_network(model, targets):
    """Return the network with the fitted parameters, as they are now.

    Parameters
    ----------
    model : estimator
    targets : Targets
        Those of the estimator.

    Returns
    -------
    Network or Networks
        The second if there are several.

    Raises
    ------
    ValueError
        If the fitted attributes are inconsistent: none reaches a kernel unchecked.
    """
    check_is_fitted(model)
    try:
        layout, vectors = _checked_parameters(model, targets)
        dtype = "float32" if hasattr(model, "quantization_dtype_") else fitted_dtype(model, vectors[0].dtype)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"this {type(model).__name__} is damaged, perhaps by a truncated or edited file: {error}. Fit it again, "
            "or load another copy."
        ) from error
    networks = [empty_network(model, layout, dtype) for _ in vectors]
    for one, flat in zip(networks, vectors, strict=True):
        one.load(flat)
    network = networks[0] if len(networks) == 1 else Networks(networks)
    # Only predictions are mapped back: training and its validation compare normalised targets.
    network.reference_columns = targets.reference_columns
    return network


def check_fitted_attributes(model, targets):
    """Raise ValueError unless the fitted attributes are consistent, as for `fitted_network`, without a copy of any.

    Parameters
    ----------
    model : estimator
    targets : Targets
        Those of the estimator.
    """
    layout, networks = ParameterLayout(**model._architecture), _networks_of(model)
    if hasattr(model, "quantization_dtype_"):
        layout = _checked_integers(model, layout, networks)
        dtype = np.dtype(np.float32)
    else:
        dtype = model.parameters_["weight_out"].dtype
        for arrays in networks:
            layout.check(arrays)
            for name, array in arrays.items():
                _check_finite(array)
                if array.dtype != dtype:
                    raise ValueError(f"{name} is an array of {array.dtype}, but weight_out of {dtype}")
    _check_others(model, targets, layout, dtype)


def _networks_of(model):
    """Return the parameters of each network."""
    return [model.parameters_, *(one["parameters_"] for one in getattr(model, "other_networks_", ()))]


def _checked_parameters(model, targets):
    """Return layout and flat vectors of the fitted parameters, checked: they may come from a damaged file."""
    layout, networks = ParameterLayout(**model._architecture), _networks_of(model)
    if hasattr(model, "quantization_dtype_"):
        layout = _checked_integers(model, layout, networks)
        vectors = [to_flat(arrays, layout) for arrays in networks]
    else:
        dtype = model.parameters_["weight_out"].dtype
        vectors = [layout.flatten(arrays, dtype) for arrays in networks]
        for flat in vectors:
            _check_finite(flat)
    _check_others(model, targets, layout, vectors[0].dtype)
    return layout, vectors


def _check_others(model, targets, layout, dtype):
    """Raise unless the other attributes go with the network and its dtype."""
    n_features, n_outputs = model.n_features_in_, targets.n_outputs
    lost = vars(layout.architecture).keys() - model._architecture.keys()
    if lost:
        raise ValueError(f"the architecture lacks {sorted(lost)}")
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"parameters_ are of {dtype}, expected float32 or float64")
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


def _check_finite(numbers):
    if not np.isfinite(numbers).all():
        raise ValueError("parameters_ hold NaN or infinity")


def _checked_integers(model, layout, networks):
    """Return the layout of a quantised model, whose arrays are checked."""
    if model.quantization_dtype_ not in DTYPES:
        raise ValueError(f"quantization_dtype_={model.quantization_dtype_!r}, expected one of {DTYPES}")
    formats = (model.quantization_dtype_,) * layout.architecture.n_layers
    own = integer_names(layout.architecture, formats)
    expected = {p.name: (p.shape, np.float32) for p in layout.parameters} | own
    integers = IntegerLayout(layout.architecture, formats)
    for arrays in networks:
        _check_integers(arrays, expected)
    return integers


def _check_integers(arrays, expected):
    """Raise unless these are the arrays of a quantised network, given names, shapes and dtypes."""
    if set(arrays) != set(expected):
        raise ValueError(f"the arrays are called {sorted(map(str, arrays))}, expected {sorted(expected)}")
    for name, (shape, dtype) in expected.items():
        array = arrays[name]
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
            found = f"an array of {array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else type(array)
            raise ValueError(f"{name} is {found}, expected {np.dtype(dtype)} of shape {shape}")
        if dtype == np.float32:
            _check_finite(array)
        if name.startswith(("scale_", "step_")) and not (array > 0).all():
            raise ValueError(f"{name} holds numbers that are not above 0")
