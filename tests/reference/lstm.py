"""Long short-term memory network, written from its equations.

For one sequence ``x_0, ..., x_{T-1}`` and a state ``h_{-1} = h0``, ``c_{-1} = c0``, step ``t`` is::

    i = sigmoid(W_i x_t + U_i h_{t-1} + b_i)        input gate
    f = sigmoid(W_f x_t + U_f h_{t-1} + b_f)        forget gate
    g = tanh   (W_g x_t + U_g h_{t-1} + b_g)        candidate
    o = sigmoid(W_o x_t + U_o h_{t-1} + b_o)        output gate
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t)

``weight_ih`` stacks ``W_i, W_f, W_g, W_o`` (4H, D), ``weight_hh`` the four ``U`` (4H, H), and
``bias`` the four ``b`` (4H,). Layers are stacked on ``h_t``; the head reads the last ``h_t`` of the
top layer: ``z = weight_out h_{T-1} + bias_out``.

Parameters are a dict of the names ``weight_ih_l0, weight_hh_l0, bias_l0, weight_ih_l1, ...,
weight_out, bias_out``. A set of sequences is a list of N arrays (T_n, D), of any lengths T_n >= 1.
Everything is computed in float64 whatever comes in. Gradients are those of a scalar: the argument
``d_y`` of a backward function is the derivative of that scalar by ``y``.

References
----------
Hochreiter, S., Schmidhuber, J. (1997). Long Short-Term Memory. Neural Computation 9(8).
Gers, F. A., Schmidhuber, J., Cummins, F. (2000). Learning to Forget: Continual Prediction with
LSTM. Neural Computation 12(10). (The forget gate; its gradient here is the exact one, through
all steps, not the truncated one of 1997.)
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit as sigmoid


class CellStep(NamedTuple):
    """One step of one sequence: what went in, the gates, and the new state. All vectors."""

    x: np.ndarray  # (D,)
    h_prev: np.ndarray  # (H,), as all that follow
    c_prev: np.ndarray
    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray
    c: np.ndarray
    h: np.ndarray


class CellGradients(NamedTuple):
    """Gradients by everything that went into one step; `gates` (4H,) is by the sums before
    sigmoid and tanh."""

    x: np.ndarray
    h_prev: np.ndarray
    c_prev: np.ndarray
    gates: np.ndarray
    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias: np.ndarray


class LayerForward(NamedTuple):
    """One layer over N sequences."""

    hidden: list  # N arrays (T_n, H): h after every step
    cell: list  # N arrays (T_n, H): c after every step
    h_final: np.ndarray  # (N, H): h after the last step of each sequence
    c_final: np.ndarray  # (N, H)
    steps: list  # N lists of T_n CellStep


class LayerGradients(NamedTuple):
    """Gradients by everything that went into one layer."""

    sequences: list  # N arrays (T_n, D)
    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias: np.ndarray
    h0: np.ndarray  # (N, H)
    c0: np.ndarray  # (N, H)


class NetworkForward(NamedTuple):
    """The whole network over N sequences."""

    z: np.ndarray  # (N, O): output of the head, without an activation
    hidden: list  # N arrays (T_n, H): h of the top layer after every step
    h_final: np.ndarray  # (L, N, H)
    c_final: np.ndarray  # (L, N, H)
    layers: list  # L LayerForward


class NetworkGradients(NamedTuple):
    """Gradients by everything that went into the network."""

    parameters: dict  # the names and shapes of the parameters
    sequences: list  # N arrays (T_n, D)
    h0: np.ndarray  # (L, N, H)
    c0: np.ndarray  # (L, N, H)


def _float64(array):
    return np.asarray(array, dtype=np.float64)


def cell_forward(x, h_prev, c_prev, weight_ih, weight_hh, bias):
    """One step of one sequence.

    Parameters
    ----------
    x : (D,)
    h_prev, c_prev : (H,)
    weight_ih : (4H, D)
    weight_hh : (4H, H)
    bias : (4H,)

    Returns
    -------
    CellStep
    """
    x, h_prev, c_prev = _float64(x), _float64(h_prev), _float64(c_prev)
    sums = _float64(weight_ih) @ x + _float64(weight_hh) @ h_prev + _float64(bias)
    sum_i, sum_f, sum_g, sum_o = np.split(sums, 4)
    i, f, g, o = sigmoid(sum_i), sigmoid(sum_f), np.tanh(sum_g), sigmoid(sum_o)
    c = f * c_prev + i * g
    h = o * np.tanh(c)
    return CellStep(x, h_prev, c_prev, i, f, g, o, c, h)


def cell_backward(step, d_h, d_c, weight_ih, weight_hh):
    """Gradients of one step, given those by its new state.

    Parameters
    ----------
    step : CellStep
        What `cell_forward` returned.
    d_h, d_c : (H,)
        `d_c` is what reaches ``c`` from later steps only; what reaches it through ``h`` of this
        step is added here.
    weight_ih, weight_hh
        As in `cell_forward`.

    Returns
    -------
    CellGradients
    """
    x, h_prev, c_prev, i, f, g, o, c, _ = step
    tanh_c = np.tanh(c)
    d_o = d_h * tanh_c
    d_c = d_c + d_h * o * (1.0 - tanh_c**2)
    d_i = d_c * g
    d_f = d_c * c_prev
    d_g = d_c * i
    # sigmoid' = s (1 - s), tanh' = 1 - t^2.
    d_gates = np.concatenate([d_i * i * (1.0 - i), d_f * f * (1.0 - f), d_g * (1.0 - g**2), d_o * o * (1.0 - o)])
    return CellGradients(
        x=_float64(weight_ih).T @ d_gates,
        h_prev=_float64(weight_hh).T @ d_gates,
        c_prev=d_c * f,
        gates=d_gates,
        weight_ih=np.outer(d_gates, x),
        weight_hh=np.outer(d_gates, h_prev),
        bias=d_gates,
    )


def layer_forward(sequences, weight_ih, weight_hh, bias, h0=None, c0=None):
    """One layer over sequences of different lengths.

    Each sequence starts at its step 0 from its own row of `h0` and `c0`, and ends after its own
    last step.

    Parameters
    ----------
    sequences : list of N arrays (T_n, D)
    weight_ih, weight_hh, bias
        As in `cell_forward`.
    h0, c0 : (N, H), default zeros

    Returns
    -------
    LayerForward
    """
    shape = len(sequences), np.shape(weight_hh)[1]
    h0 = np.zeros(shape) if h0 is None else _float64(h0)
    c0 = np.zeros(shape) if c0 is None else _float64(c0)
    steps = []
    for sequence, h, c in zip(sequences, h0, c0, strict=True):
        steps_of_sequence = []
        for x in sequence:
            step = cell_forward(x, h, c, weight_ih, weight_hh, bias)
            h, c = step.h, step.c
            steps_of_sequence.append(step)
        steps.append(steps_of_sequence)
    hidden = [np.array([step.h for step in one]) for one in steps]
    cell = [np.array([step.c for step in one]) for one in steps]
    return LayerForward(
        hidden=hidden,
        cell=cell,
        h_final=np.array([one[-1] for one in hidden]),
        c_final=np.array([one[-1] for one in cell]),
        steps=steps,
    )


def layer_backward(forward, weight_ih, weight_hh, d_hidden=None, d_h_final=None, d_c_final=None):
    """Gradients of one layer, given those by its outputs.

    Parameters
    ----------
    forward : LayerForward
    weight_ih, weight_hh
        As in `layer_forward`.
    d_hidden : list of N arrays (T_n, H), default zeros
        By ``h`` after every step.
    d_h_final, d_c_final : (N, H), default zeros
        By the last ``h`` and ``c``; added to what `d_hidden` says of the last step.

    Returns
    -------
    LayerGradients
    """
    if d_hidden is None:
        d_hidden = [np.zeros_like(one) for one in forward.hidden]
    d_h_final = np.zeros_like(forward.h_final) if d_h_final is None else _float64(d_h_final)
    d_c_final = np.zeros_like(forward.c_final) if d_c_final is None else _float64(d_c_final)
    d_weight_ih = np.zeros(np.shape(weight_ih))
    d_weight_hh = np.zeros(np.shape(weight_hh))
    d_bias = np.zeros(np.shape(weight_ih)[0])
    d_sequences, d_h0, d_c0 = [], [], []
    for n, steps in enumerate(forward.steps):
        d_sequence = np.zeros((len(steps), np.shape(weight_ih)[1]))
        d_h, d_c = d_h_final[n], d_c_final[n]
        for t in reversed(range(len(steps))):
            d_step = cell_backward(steps[t], d_h + d_hidden[n][t], d_c, weight_ih, weight_hh)
            d_sequence[t] = d_step.x
            d_weight_ih += d_step.weight_ih
            d_weight_hh += d_step.weight_hh
            d_bias += d_step.bias
            d_h, d_c = d_step.h_prev, d_step.c_prev
        d_sequences.append(d_sequence)
        d_h0.append(d_h)
        d_c0.append(d_c)
    return LayerGradients(d_sequences, d_weight_ih, d_weight_hh, d_bias, np.array(d_h0), np.array(d_c0))


def count_layers(parameters):
    """Number of LSTM layers that a parameter dict describes."""
    return sum(name.startswith("weight_ih_l") for name in parameters)


def network_forward(parameters, sequences, h0=None, c0=None, masks=None):
    """Stack of L layers and dense head.

    Parameters
    ----------
    parameters : dict
    sequences : list of N arrays (T_n, D)
    h0, c0 : (L, N, H), default zeros
    masks : list of L-1 lists of N arrays that broadcast to (T_n, H), default none
        ``masks[l][n]`` multiplies what layer ``l`` hands to layer ``l + 1``. Zeros drop a unit;
        the others are scaled already (by ``1 / (1 - dropout)``). The top layer has none.

    Returns
    -------
    NetworkForward
    """
    layers = []
    below = sequences
    for number in range(count_layers(parameters)):
        layer = layer_forward(
            below,
            parameters[f"weight_ih_l{number}"],
            parameters[f"weight_hh_l{number}"],
            parameters[f"bias_l{number}"],
            None if h0 is None else h0[number],
            None if c0 is None else c0[number],
        )
        layers.append(layer)
        below = layer.hidden
        if masks is not None and number < len(masks):
            below = [h * mask for h, mask in zip(below, masks[number], strict=True)]
    weight_out, bias_out = _float64(parameters["weight_out"]), _float64(parameters["bias_out"])
    return NetworkForward(
        z=np.array([weight_out @ h + bias_out for h in layers[-1].h_final]),
        hidden=layers[-1].hidden,
        h_final=np.array([layer.h_final for layer in layers]),
        c_final=np.array([layer.c_final for layer in layers]),
        layers=layers,
    )


def network_backward(parameters, forward, d_z, masks=None):
    """Gradients of the network, given those by the output of its head.

    Parameters
    ----------
    parameters : dict
    forward : NetworkForward
    d_z : (N, O)
    masks
        The ones that `network_forward` was given.

    Returns
    -------
    NetworkGradients
    """
    h_top = forward.h_final[-1]
    gradients = {"weight_out": np.asarray(d_z).T @ h_top, "bias_out": np.sum(d_z, axis=0)}
    d_hidden, d_h_final = None, d_z @ _float64(parameters["weight_out"])
    d_h0, d_c0 = [], []
    for number in reversed(range(len(forward.layers))):
        if masks is not None and number < len(masks):
            d_hidden = [d * mask for d, mask in zip(d_hidden, masks[number], strict=True)]
        d_layer = layer_backward(
            forward.layers[number],
            parameters[f"weight_ih_l{number}"],
            parameters[f"weight_hh_l{number}"],
            d_hidden,
            d_h_final,
        )
        gradients[f"weight_ih_l{number}"] = d_layer.weight_ih
        gradients[f"weight_hh_l{number}"] = d_layer.weight_hh
        gradients[f"bias_l{number}"] = d_layer.bias
        d_h0.insert(0, d_layer.h0)
        d_c0.insert(0, d_layer.c0)
        # Below the top, every step of the layer is read, and only through the layer above it.
        d_hidden, d_h_final = d_layer.sequences, None
    return NetworkGradients(gradients, d_hidden, np.array(d_h0), np.array(d_c0))


def table_windows(X, sequence_length, groups=None):
    """The window of every row of a table, from the definition.

    The window of row ``i`` is made of the rows ``j`` with ``i - sequence_length < j <= i`` and the
    same group, in order: shorter at the start of a group, never empty.

    Parameters
    ----------
    X : (n_samples, D)
        Consecutive time steps.
    sequence_length : int
    groups : (n_samples,), default one group
        Each group one contiguous block.

    Returns
    -------
    list of n_samples arrays (T_i, D)
    """
    groups = np.zeros(len(X), dtype=int) if groups is None else np.asarray(groups)
    rows = np.arange(len(X))
    windows = []
    for i in rows:
        in_window = (i - sequence_length < rows) & (rows <= i) & (groups == groups[i])
        windows.append(_float64(X)[in_window])
    return windows


def predict_table(parameters, X, sequence_length, groups=None):
    """Output of the head for every row of a table; each window starts from a zero state.

    Parameters are those of `table_windows`; returns ``z`` (n_samples, O).
    """
    return network_forward(parameters, table_windows(X, sequence_length, groups)).z
