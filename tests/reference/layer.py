"""One layer of any cell, with the options that are not one cell's.

One step of one sequence; W are the blocks of ``weight_ih``, U those of ``weight_hh`` (each may be left out)::

    h'    = r * h_{t-1}                                    recurrent dropout: one mask r for all steps
    x     = W x_t           | N(W x_t) * a_x               normalised sums: N over the products of all blocks
    u     = U h'            | N(U h') * a_h
    m, s  = cell(x, u, b, s_{t-1})                         s: the own state of the cell
    h_new = m               | W_hr m                       projection to P numbers
    s_t   = k_s * s_{t-1} + (1 - k_s) * s                  zoneout: masks of zeros and ones,
    h_t   = k_h * h_{t-1} + (1 - k_h) * h_new              or the rate itself in prediction

``N(v) = (v - mean(v)) / sqrt(mean((v - mean(v))^2) + 1e-5)``. Shapes: x (D,), h (P,), s (H,), ``W_hr`` (P, H), where
P = H without a projection. Where the own state of a cell is h, and nothing is projected, s is h and not carried twice.

References
----------
Sak, H., Senior, A., Beaufays, F. (2014). Long Short-Term Memory Recurrent Neural Network
Architectures for Large Scale Acoustic Modeling. Interspeech 2014. (Projection.)
Ba, J. L., Kiros, J. R., Hinton, G. E. (2016). Layer Normalization. arXiv:1607.06450, eqs 20-22.
"""

from typing import NamedTuple

import numpy as np

from reference.masks import Masks

EPSILON = 1e-5


class LayerForward(NamedTuple):
    """One layer over N sequences."""

    hidden: list  # N arrays (T_n, P): h after every step
    final: np.ndarray  # (N, state size): h and, if there is one, the second state, after the last step


def normalise(v):
    """Layer normalisation without gain and shift."""
    centred = v - np.mean(v)
    return centred / np.sqrt(np.mean(centred**2) + EPSILON)


def state_sizes(cell, parameters):
    """Return P, or P and the size of the second state: H, or what a cell with states has."""
    hidden_size = len(parameters["bias"]) // len(cell.sums)
    projected = "weight_hr" in parameters
    output_size = len(parameters["weight_hr"]) if projected else hidden_size
    if cell.own == "states":
        return [output_size, cell.n_states * hidden_size]
    has_second = cell.own == "c" or (cell.own == "h" and projected)
    return [output_size, hidden_size] if has_second else [output_size]


def blocks(vector, names):
    """The named parts of a vector of all of them."""
    return dict(zip(names, np.split(vector, len(names)), strict=True))


def make_product(cell, h, recurrent, parameters):
    """The function by which a step asks for its products with h, or another vector; `recurrent` is a mask on either."""
    if not cell.h:
        return None
    matrices = blocks(parameters["weight_hh"], cell.h)
    gains = blocks(parameters["norm_weight_hh"], cell.h) if "norm_weight_hh" in parameters else None

    def product(names=cell.h, factor=1.0, of=None):
        read = recurrent * (factor * h if of is None else of)
        found = np.concatenate([matrices[name] @ read for name in names])
        if gains is not None:
            found = normalise(found) * np.concatenate([gains[name] for name in names])
        return blocks(found, names)

    return product


def cell_forward(cell, x, states, parameters, recurrent=None, zoneout_h=None, zoneout_c=None):
    """One step of one sequence.

    Parameters
    ----------
    cell : class
        One of `REFERENCE_CELLS`.
    x : (D,)
    states : list
        h (P,) and, if the layer carries one, the second state.
    parameters : dict
        ``weight_ih, bias``, ``weight_hh`` if the cell has one, and of the options in use: ``norm_weight_ih,
        norm_weight_hh``; ``weight_hr`` (P, H); those of the cell.
    recurrent, zoneout_h, zoneout_c
        The rows of `Masks` for this step; the last is that of the second state.

    Returns
    -------
    list
        The new states.
    """
    h = states[0]
    from_x = parameters["weight_ih"] @ x
    if "norm_weight_ih" in parameters:
        from_x = normalise(from_x) * parameters["norm_weight_ih"]
    product = make_product(cell, h, 1.0 if recurrent is None else recurrent, parameters)
    output, own = cell.step(
        blocks(from_x, cell.x), product, blocks(parameters["bias"], cell.sums), states[-1], parameters
    )
    new = [parameters["weight_hr"] @ output if "weight_hr" in parameters else output, own][: len(states)]
    kept = [0.0 if mask is None else mask for mask in (zoneout_h, zoneout_c)]
    return [k * before + (1.0 - k) * after for k, before, after in zip(kept, states, new, strict=False)]


def layer_forward(cell, sequences, parameters, state=None, masks=None, gaps=None):
    """One layer over sequences of different lengths.

    Parameters
    ----------
    cell : class
        One of `REFERENCE_CELLS`.
    sequences : list of N arrays (T_n, D)
    parameters : dict
        As in `cell_forward`.
    state : (N, state size), default zeros
        h and the second state side by side.
    masks : list of N Masks, default none
    gaps : list of N arrays (T_n,), default none
        The time since the step before, for cells that read it.

    Returns
    -------
    LayerForward
    """
    parameters = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
    sizes, hidden_size = state_sizes(cell, parameters), len(parameters["bias"]) // len(cell.sums)
    state = np.zeros((len(sequences), sum(sizes))) if state is None else np.asarray(state, np.float64)
    masks = [Masks()] * len(sequences) if masks is None else masks
    hidden, final = [], []
    gaps = [[None] * len(sequence) for sequence in sequences] if gaps is None else gaps
    for sequence, row, mask, own_gaps in zip(sequences, state, masks, gaps, strict=True):
        states, n_steps = np.split(row, sizes[:1])[: len(sizes)], len(sequence)
        # Without a second state its mask goes unused.
        kept = mask.zoneout_h, mask.zoneout_c if len(sizes) == 2 else None
        zoneout = [
            # A unit's mask is that of each of its numbers.
            [None] * n_steps if one is None else np.tile(np.broadcast_to(one, (n_steps, size)), count)
            for one, size, count in zip(kept, (sizes[0], hidden_size), (1, sizes[-1] // hidden_size), strict=True)
        ]
        hs = []
        for x, kept_h, kept_second, gap in zip(np.asarray(sequence, np.float64), *zoneout, own_gaps, strict=True):
            named = parameters if gap is None else parameters | {"gap": gap}
            states = cell_forward(cell, x, states, named, mask.recurrent, kept_h, kept_second)
            hs.append(states[0])
        hidden.append(np.array(hs))
        final.append(np.concatenate(states))
    return LayerForward(hidden, np.array(final))
