"""What stands between two layers, written from the equations: residual sums and layer normalisation.

With ``residual = R`` the output of layer ``k`` (counted from 0; k >= R, k a multiple of R) is
``(h_k + y_{k-R}) / sqrt(2)``, ``y_{k-R}`` the output of the layer R below. Layer normalisation of a vector ``a`` of H
numbers (Ba, Kiros, Hinton 2016, eq. 4) is ``gain * (a - mean(a)) / sqrt(var(a) + 1e-5) + bias``, the variance over H.
The sum comes first.
"""

import numpy as np

from reference.lstm import NetworkForward, count_layers, layer_forward

EPSILON = 1e-5


def layer_norm(rows, gain, bias):
    """Normalise each row of (T, H)."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1, keepdims=True)
    return gain * centred / np.sqrt(variance + EPSILON) + bias


def deep_forward(parameters, sequences, *, residual=0, h0=None, c0=None):
    """Stack of layers with residual sums every `residual` layers and, where parameters name it, normalisation.

    Parameters
    ----------
    parameters : dict
    sequences : list of N arrays (T_n, D)
    residual : int
    h0, c0 : (L, N, H), default zeros

    Returns
    -------
    NetworkForward
        `hidden` is the output of the top layer after every step, `h_final` and `c_final` the recurrent states.
    """
    layers, outputs, below = [], [], sequences
    for k in range(count_layers(parameters)):
        layer = layer_forward(
            below,
            *(parameters[f"{name}_l{k}"] for name in ("weight_ih", "weight_hh", "bias")),
            None if h0 is None else h0[k],
            None if c0 is None else c0[k],
        )
        out = layer.hidden
        if residual and k >= residual and k % residual == 0:
            out = [(h + y) / np.sqrt(2.0) for h, y in zip(out, outputs[k - residual], strict=True)]
        if f"norm_weight_l{k}" in parameters:
            out = [layer_norm(y, parameters[f"norm_weight_l{k}"], parameters[f"norm_bias_l{k}"]) for y in out]
        layers.append(layer)
        outputs.append(out)
        below = out
    return NetworkForward(
        z=np.array([parameters["weight_out"] @ y[-1] + parameters["bias_out"] for y in below]),
        hidden=below,
        h_final=[layer.h_final for layer in layers],
        c_final=[layer.c_final for layer in layers],
        layers=layers,
    )
