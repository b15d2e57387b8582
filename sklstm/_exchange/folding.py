"""Standardisation of columns and targets taken into the weights of the first layer and of the head."""

import numpy as np

# exp of it is 0 in float64 too, and no infinity stands in the file.
LOG_OF_ZERO = -1e4


def for_columns_as_they_come(model, arrays, directions):
    """Return the parameters of a network that reads x where the model's reads ``(x - input_mean_) / input_scale_``.

    Parameters
    ----------
    model : estimator
        Fitted.
    arrays : dict of str to ndarray
        Its parameters.
    directions : sequence of str
        Suffixes of their names.

    Returns
    -------
    dict of str to ndarray
        In float64.
    """
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    for suffix in directions:
        weights = arrays[f"weight_ih_l0{suffix}"] / model.input_scale_
        moved = weights @ model.input_mean_
        arrays[f"weight_ih_l0{suffix}"] = weights
        # The last of a GRU's four sums reads no x.
        arrays[f"bias_l0{suffix}"][: len(moved)] -= moved
    return arrays


def for_the_unit_of_y(model, arrays):
    """Return the parameters of a network whose output is in the unit of y; of counts, the logarithm of that.

    Parameters
    ----------
    model : estimator
        Fitted regressor.
    arrays : dict of str to ndarray
        In float64.
    """
    mean, scale = units_of(model)
    factor, shift = scale, mean
    if model._coding["loss"] == "poisson":
        with np.errstate(divide="ignore"):
            shift = np.maximum(np.log(np.where(scale > 0, scale, mean)), LOG_OF_ZERO)
        factor = np.where(scale > 0, 1.0, 0.0)
    n = len(arrays["bias_out"]) // len(factor)  # quantiles of a target stand side by side
    factor, shift = np.repeat(factor, n), np.repeat(shift, n)
    weights = arrays["weight_out"] * factor[:, np.newaxis]
    return {**arrays, "weight_out": weights, "bias_out": arrays["bias_out"] * factor + shift}


def units_of(model):
    """Return mean and scale of each target of a fitted regressor."""
    return tuple(np.ravel(np.asarray(one, np.float64)) for one in (model.target_mean_, model.target_scale_))
