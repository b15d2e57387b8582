"""The whole network with every option, composed of the reference's parts.

For each sequence of rows::

    u   = the rows, each column freed of its last value or its mean, and divided by a deviation         window_norm
          or standardised, columns that are known ahead
    gap = a column of the rows as they are, summed over patches                                         time_column
    x_t = the rows of patch t side by side; zeros in front where the first patch is not full            patch_length
    h_t = [layer over x_1..x_T | layer over x_T..x_1, turned round again]                               bidirectional
        | h_t * silu(W x_t), or h_t * k softmax(W x_t) over groups of k units                           output_gate
    y_t = (h_t + R y'_t) / sqrt(2), y' the output of the layer `residual` below,                        residual
          R = 1 or ``weight_residual`` where the sizes differ
          | h_t + R y'_t, and what reads y_t reads gain * N(y_t) + shift                                norm_first
        | gain * N(y_t) + shift, or gain * y_t / rms(y_t)                                               norm
        | y_t + W_out (silu(a) b), [a; b] = W_in N(y_t)                                                 feedforward
        | mask_t * y_t, between two layers in training                                                  dropout
    out = the block of self-attention over y_1..y_T of the top layer, causal unless bidirectional       attention_heads
    f   = out_T | mean of out_t | sum of a_t out_t                                                      pooling
    z   = W_out f + b_out + W_skip [last rows of u, zeros in front]                                     linear_skip
        | W_out out_t + b_out for every step                                                            every_step
        | W_out y_k + b_out for every turn of a second run of the layers, over the known columns        decoder
          of the rows ahead, from the states of the turn before or all from those of the sequence

A layer of any cell stands in ``layer.py``, the cells in ``cells/``, layer normalisation in ``layer_output.py``,
self-attention and pooling in ``attention.py``.
"""

from typing import NamedTuple

import numpy as np

from reference.attention import attention_block, attention_pooling, mean_pooling
from reference.cells import reference_cell
from reference.layer import layer_forward, state_sizes
from reference.layer_output import feedforward, normalise, output_gate
from reference.masks import draw_masks, mean_masks
from reference.philox import philox4x32

# The number of the first turn of a decoder as a step.
FIRST_TURN = 1 << 20


class Noise(NamedTuple):
    """What training draws: rates between layers and inside them, and what its words are drawn from."""

    sample_ids: np.ndarray
    seed: int
    epoch: int
    dropout: float = 0.0
    recurrent_dropout: float = 0.0


class OptionsForward(NamedTuple):
    """Outputs of the network over N sequences."""

    z: np.ndarray  # (N, O), or (rows of all sequences, O) with every_step
    features: np.ndarray  # (N, S), or (rows of all sequences, S): what the head reads
    final: np.ndarray  # (N, n_states): the states of each layer and direction, and what pooling carries


def read_rows(rows, kind=None, mean=0.0, scale=1.0, known=()):
    """(T, D) -> (T, D), by `window_norm`, or standardised; `scale` is the deviation of each column as a whole.

    The norm leaves `known` columns alone.
    """
    if known:
        return np.where(
            np.isin(np.arange(rows.shape[1]), known), (rows - mean) / scale, read_rows(rows, kind, mean, scale)
        )
    if kind == "last":
        return (rows - rows[-1]) / scale
    if kind == "standard":
        return (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + (scale / 10) ** 2)
    return (rows - mean) / scale


def cut_patches(rows, length):
    """(T, D) -> (ceil(T / length), length * D)."""
    missing = np.zeros((-len(rows) % length, rows.shape[1]))
    return np.concatenate([missing, rows]).reshape(-1, length * rows.shape[1])


def last_rows(rows, count):
    """(T, D) -> (count * D,)."""
    return np.concatenate([np.zeros((count, rows.shape[1])), rows])[-count:].ravel()


def layer_parameters(parameters, end):
    """The parameters of one direction of a layer, without the end of their names."""
    return {name.removesuffix(end): array for name, array in parameters.items() if name.endswith(end)}


def run_direction(cell, sequences, parameters, state, zoneout, noise, layer, first_step=0, gaps=None):
    """One direction over sequences in its own order; `layer` is the number that its masks are drawn with.

    So are the numbers of steps from `first_step` on.
    """
    output_size, hidden_size = state_sizes(cell, parameters)[0], len(parameters["bias"]) // len(cell.sums)
    if noise is None:
        masks = [mean_masks(zoneout)] * len(sequences)
    else:
        masks = [
            draw_masks(
                first_step + len(sequence), output_size, hidden_size, zoneout=zoneout,
                recurrent_dropout=noise.recurrent_dropout, seed=noise.seed, layer=layer, sample=int(sample),
                epoch=noise.epoch,
            )
            for sequence, sample in zip(sequences, noise.sample_ids, strict=True)
        ]  # fmt: skip
        masks = [
            mask._replace(
                zoneout_h=None if mask.zoneout_h is None else mask.zoneout_h[first_step:],
                zoneout_c=None if mask.zoneout_c is None else mask.zoneout_c[first_step:],
            )
            for mask in masks
        ]
    return layer_forward(cell, sequences, parameters, state, masks, gaps)


def dropout_mask(shape, layer, n_layers, sample, noise, first_step=0):
    """Of one sample between two layers: word ``u % 4`` of the counter (u // 4, t * n_layers + layer, sample, epoch)."""
    n_steps, n_units = shape
    blocks = -(-n_units // 4)
    counter = np.zeros((n_steps, blocks, 4), np.uint64)
    counter[..., 0] = np.arange(blocks)
    counter[..., 1] = (first_step + np.arange(n_steps)[:, None]) * n_layers + layer
    counter[..., 2], counter[..., 3] = sample, noise.epoch
    words = philox4x32(counter, [noise.seed & 0xFFFFFFFF, noise.seed >> 32]).reshape(n_steps, -1)[:, :n_units]
    return (words >= int(noise.dropout * 2.0**32)) / (1.0 - noise.dropout)


def run_layers(shape, parameters, sequences, state, noise, turn=None, gaps=None):
    """Outputs of the top layer at every step, and the final states of all layers.

    With a `turn` this is the second run, of a decoder: masks are drawn as of further layers, and between layers as of
    steps from FIRST_TURN on.
    """
    outputs, finals, below, begin = [], [], sequences, 0
    n_layers, cell = len(shape.hidden_sizes), reference_cell(shape.cell, shape.cell_numbers)
    for k in range(n_layers):
        parts = []
        for direction in range(1 + shape.bidirectional):
            own = layer_parameters(parameters, f"_l{k}" + "_backward" * direction)
            end = begin + sum(state_sizes(cell, own))
            order = slice(None, None, -1 if direction else 1)
            run = run_direction(
                cell, [x[order] for x in below], own, state[:, begin:end], shape.zoneout, noise,
                2 * (k if turn is None else n_layers + k) + direction, turn or 0, gaps,
            )  # fmt: skip
            parts.append([h[order] for h in run.hidden])
            finals.append(run.final)
            begin = end
        out = [np.hstack(both) for both in zip(*parts, strict=True)]
        gate = (parameters, f"_l{k}", shape.output_gate, shape.compete_groups)
        out = [output_gate(h, x, *gate) for h, x in zip(out, below, strict=True)]
        if shape.residual and k >= shape.residual and k % shape.residual == 0:
            source = outputs[k - shape.residual]
            if f"weight_residual_l{k}" in parameters:
                source = [y @ parameters[f"weight_residual_l{k}"].T for y in source]
            scale = 1.0 if shape.norm_first else np.sqrt(2.0)
            out = [(h + y) / scale for h, y in zip(out, source, strict=True)]
        if not shape.norm_first:
            out = [normalise(y, parameters, f"_l{k}") for y in out]
        out = [feedforward(y, parameters, f"_l{k}") for y in out]
        below = [normalise(y, parameters, f"_l{k}") for y in out] if shape.norm_first else out
        if noise is not None and noise.dropout and k + 1 < n_layers:
            below = [
                y * dropout_mask(y.shape, k, n_layers, int(sample), noise, 0 if turn is None else FIRST_TURN + turn)
                for y, sample in zip(below, noise.sample_ids, strict=True)
            ]
        outputs.append(out if shape.norm_first else below)
    return below, finals


def attention_parameters(parameters):
    """The parameters of the block of self-attention, by the names of ``attention.py``."""
    own = {"gain": parameters["norm_weight_attention"], "shift": parameters["norm_bias_attention"]}
    for name in ("weight_in", "bias_in", "weight_out", "bias_out"):
        own[name] = parameters[name.replace("_", "_attention_")]
    return own


def pool(shape, parameters, y):
    """The features of a sequence, and the numbers that pooling would carry on."""
    if shape.pooling == "mean":
        return mean_pooling(y), np.append(y.sum(axis=0), len(y))
    if shape.pooling == "attention":
        feature, _ = attention_pooling(y, parameters["weight_pool"])
        scores = np.tanh(y) @ parameters["weight_pool"]
        weights = np.exp(scores - scores.max())
        return feature, np.concatenate([weights @ y, [weights.sum(), scores.max()]])
    return y[-1], np.zeros(0)


def decode(shape, parameters, state, ahead, noise, mean, scale):
    """The outputs of a decoder, turn by turn, from the states after each sequence."""
    mean, scale = (np.broadcast_to(one, shape.input_size) for one in (mean, scale))
    known, outputs, start = list(shape.known_columns), [], state
    rows = np.zeros((len(state), shape.n_turns * shape.patch_length, shape.input_size))
    if known:
        rows[:, : shape.horizon, known] = (np.asarray(ahead, np.float64) - mean[known]) / scale[known]
    inputs = rows.reshape(len(state), shape.n_turns, -1)
    for turn in range(shape.n_turns):
        own = {**parameters, "bias_l0": parameters["bias_l0"] + parameters["bias_decoder_l0"][turn]}
        parallel = shape.decoder == "parallel"
        before = start if parallel else state
        top, finals = run_layers(shape, own, list(inputs[:, [turn]]), before, noise, 0 if parallel else turn)
        state = np.concatenate(finals, axis=1)
        outputs.append(np.concatenate(top) @ parameters["weight_out"].T + parameters["bias_out"])
    return np.hstack(outputs)[:, : shape.n_outputs]


def options_forward(shape, parameters, sequences, state=None, noise=None, mean=0.0, scale=1.0, ahead=None):
    """Forward over sequences of different lengths.

    Parameters
    ----------
    shape : object with the attributes of `Architecture` as given by the user
    parameters : dict
    sequences : list of N arrays (T_n, D)
    state : (N, n_states) or None
        The states of each layer and direction to begin with; None for zeros.
    noise : Noise or None
        Of training; None in prediction.
    mean, scale : (D,) or number
        Of each column of the input.
    ahead : (N, horizon, number of known columns) or None
        What a decoder reads of the rows after each sequence.

    Returns
    -------
    OptionsForward
    """
    windows = [
        read_rows(np.asarray(rows, np.float64), shape.window_norm, mean, scale, shape.known_columns)
        for rows in sequences
    ]
    steps = [cut_patches(rows, shape.patch_length) for rows in windows]
    if state is None:
        # Wide enough for any, in two directions: h, and the second state of each unit.
        cell = reference_cell(shape.cell, shape.cell_numbers)
        state = np.zeros((len(sequences), 2 * (1 + getattr(cell, "n_states", 1)) * sum(shape.hidden_sizes)))
    gaps = None
    if shape.time_column is not None:
        columns = [np.asarray(rows, np.float64)[:, [shape.time_column]] for rows in sequences]
        gaps = [cut_patches(column, shape.patch_length).sum(axis=1) for column in columns]
    top, finals = run_layers(shape, parameters, steps, np.asarray(state, np.float64), noise, gaps=gaps)
    if shape.attention_heads:
        own = attention_parameters(parameters)
        top = [attention_block(y, own, shape.attention_heads, causal=not shape.bidirectional)[0] for y in top]
    if shape.every_step:
        features = np.concatenate(top)
        z = features @ parameters["weight_out"].T + parameters["bias_out"]
        if shape.linear_skip:
            reach = [last_rows(rows[: t + 1], shape.linear_skip) for rows in windows for t in range(len(rows))]
            z += np.array(reach) @ parameters["weight_skip"].T
        return OptionsForward(z, features, np.concatenate(finals, axis=1))
    pooled = [pool(shape, parameters, y) for y in top]
    features = np.array([feature for feature, _ in pooled])
    finals.append(np.array([carried for _, carried in pooled]))
    if shape.n_turns:
        z = decode(shape, parameters, np.concatenate(finals, axis=1), ahead, noise, mean, scale)
    else:
        z = features @ parameters["weight_out"].T + parameters["bias_out"]
    if shape.linear_skip:
        z += np.array([last_rows(rows, shape.linear_skip) for rows in windows]) @ parameters["weight_skip"].T
        z += parameters.get("bias_skip", 0.0)
    return OptionsForward(z, features, np.concatenate(finals, axis=1))
