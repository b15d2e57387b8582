"""What stands between two layers, written from the equations: residual sums and layer normalisation.

With ``residual = R`` the output of layer ``k`` (counted from 0; k >= R, k a multiple of R) is
``(h_k + y_{k-R}) / sqrt(2)``, ``y_{k-R}`` the output of the layer R below. Layer normalisation of a vector ``a`` of H
numbers (Ba, Kiros, Hinton 2016, eq. 4) is ``gain * (a - mean(a)) / sqrt(var(a) + 1e-5) + bias``, the variance over H.
The sum comes first, a feedforward block after both. With `norm_first`
the sum is ``h_k + y_{k-R}``, and the layer above reads y_k normalised.
"""

import numpy as np

from reference.lstm import NetworkForward, count_layers, layer_forward

EPSILON = 1e-5


def layer_norm(rows, gain, bias):
    """Normalise each row of (T, H)."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1, keepdims=True)
    return gain * centred / np.sqrt(variance + EPSILON) + bias


def rms_norm(rows, gain):
    """Root mean square normalisation of each row of (T, H) (Zhang, Sennrich 2019, eq. 4)."""
    return gain * rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + EPSILON)


def output_gate(rows, read, parameters, end, kind, groups):
    """h silu(W x), or h times k softmax(W x) over groups of k units; as it is where there is no gate."""
    if kind is None:
        return rows
    a = read @ parameters[f"weight_gate{end}"].T
    if kind == "silu":
        return rows * a / (1.0 + np.exp(-a))
    a = a.reshape(len(a), groups, -1)
    e = np.exp(a - a.max(axis=2, keepdims=True))
    return rows * (e / e.mean(axis=2, keepdims=True)).reshape(rows.shape)


def normalise(rows, parameters, end):
    """By the parameters of a norm whose names end so; as it is where there are none."""
    if f"norm_bias{end}" in parameters:
        return layer_norm(rows, parameters[f"norm_weight{end}"], parameters[f"norm_bias{end}"])
    return rms_norm(rows, parameters[f"norm_weight{end}"]) if f"norm_weight{end}" in parameters else rows


def feedforward(rows, parameters, end):
    """y + W_out (silu(a) b), a and b from N(y) (Shazeer 2020, eq. 6); as it is where there is no block."""
    if f"weight_feedforward_in{end}" not in parameters:
        return rows
    normalised = normalise(rows, parameters, f"_feedforward{end}")
    a, b = np.split(normalised @ parameters[f"weight_feedforward_in{end}"].T, 2, axis=1)
    return rows + (a / (1.0 + np.exp(-a)) * b) @ parameters[f"weight_feedforward_out{end}"].T


def deep_forward(parameters, sequences, *, residual=0, norm_first=False, gate=None, h0=None, c0=None):
    """Stack of layers with residual sums every `residual` layers and, where parameters name them, norms and blocks.

    Parameters
    ----------
    parameters : dict
    sequences : list of N arrays (T_n, D)
    residual : int
    norm_first : bool
        Whether a layer, and the head, normalise what they read, and sums add what is not normalised.
    gate : str or None
        Kind of the output gate.
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
        out = [output_gate(h, x, parameters, f"_l{k}", gate, 1) for h, x in zip(layer.hidden, below, strict=True)]
        if residual and k >= residual and k % residual == 0:
            scale = 1.0 if norm_first else np.sqrt(2.0)
            out = [(h + y) / scale for h, y in zip(out, outputs[k - residual], strict=True)]
        if not norm_first:
            out = [normalise(y, parameters, f"_l{k}") for y in out]
        out = [feedforward(y, parameters, f"_l{k}") for y in out]
        layers.append(layer)
        outputs.append(out)
        below = [normalise(y, parameters, f"_l{k}") for y in out] if norm_first else out
    return NetworkForward(
        z=np.array([parameters["weight_out"] @ y[-1] + parameters["bias_out"] for y in below]),
        hidden=below,
        h_final=[layer.h_final for layer in layers],
        c_final=[layer.c_final for layer in layers],
        layers=layers,
    )
