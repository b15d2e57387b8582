"""Variants of the LSTM cell, written from their equations. The plain cell stands in ``lstm.py``.

One step of one sequence, with every option (each may be left out)::

    h'    = r * h_{t-1}                                    recurrent dropout: one mask r for all steps
    z     = W_ih x_t + W_hh h' + b
          | N(W_ih x_t) * a_x + N(W_hh h') * a_h + b       normalised sums, N over all 4H of them
    i     = sigmoid(z_i + p_i * c_{t-1})                   peepholes p
    f     = sigmoid(z_f + p_f * c_{t-1})
    g     = tanh(z_g)
    c_new = f * c_{t-1} + i * g
    o     = sigmoid(z_o + p_o * c_new)
    m     = o * tanh(c_new)
          | o * tanh(N(c_new) * a_c + b_c)                 normalised cell, N over H units
    h_new = m | W_hr m                                     projection to P numbers
    c_t   = k_c * c_{t-1} + (1 - k_c) * c_new              zoneout: masks of zeros and ones,
    h_t   = k_h * h_{t-1} + (1 - k_h) * h_new              or the rate itself in prediction

``N(v) = (v - mean(v)) / sqrt(mean((v - mean(v))^2) + 1e-5)``. Shapes: x (D,), h (P,), c (H,),
``W_ih`` (4H, D), ``W_hh`` (4H, P), ``W_hr`` (P, H), where P = H without a projection.

References
----------
Gers, F. A., Schmidhuber, J. (2000). Recurrent Nets that Time and Count. IJCNN 2000. (Peepholes.)
Sak, H., Senior, A., Beaufays, F. (2014). Long Short-Term Memory Recurrent Neural Network
Architectures for Large Scale Acoustic Modeling. Interspeech 2014. (Diagonal peepholes, projection.)
Ba, J. L., Kiros, J. R., Hinton, G. E. (2016). Layer Normalization. arXiv:1607.06450, eqs 20-22.
Krueger, D. et al. (2017). Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations.
ICLR 2017, eqs 3-4.
Gal, Y., Ghahramani, Z. (2016). A Theoretically Grounded Application of Dropout in Recurrent Neural
Networks. NeurIPS 2016.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit as sigmoid

from reference.philox import philox4x32

EPSILON = 1e-5

# What a mask is for: xored into the low word of the seed. The letters ZONH, ZONC and RDOP.
ZONEOUT_H, ZONEOUT_C, RECURRENT_DROPOUT = 0x5A4F4E48, 0x5A4F4E43, 0x52444F50


class Masks(NamedTuple):
    """What multiplies the states of one sequence of T steps; None: the option is off."""

    recurrent: np.ndarray | None = None  # (P,): r, scaled already
    zoneout_h: np.ndarray | None = None  # broadcasts to (T, P): k_h
    zoneout_c: np.ndarray | None = None  # broadcasts to (T, H): k_c


class VariantLayerForward(NamedTuple):
    """One layer over N sequences."""

    hidden: list  # N arrays (T_n, P): h after every step
    cell: list  # N arrays (T_n, H): c after every step
    h_final: np.ndarray  # (N, P)
    c_final: np.ndarray  # (N, H)


def normalise(v):
    """Layer normalisation without gain and shift."""
    centred = v - np.mean(v)
    return centred / np.sqrt(np.mean(centred**2) + EPSILON)


def variant_cell_forward(x, h_prev, c_prev, parameters, recurrent=None, zoneout_h=None, zoneout_c=None):
    """One step of one sequence.

    Parameters
    ----------
    x : (D,)
    h_prev : (P,)
    c_prev : (H,)
    parameters : dict
        ``weight_ih, weight_hh, bias``, and of the options in use: ``peephole_i, peephole_f,
        peephole_o`` (H,); ``norm_ih, norm_hh`` (4H,), ``norm_c, norm_c_shift`` (H,); ``weight_hr`` (P, H).
    recurrent, zoneout_h, zoneout_c
        The rows of `Masks` for this step.

    Returns
    -------
    h, c : (P,), (H,)
    """
    h_read = h_prev if recurrent is None else recurrent * h_prev
    from_x, from_h = parameters["weight_ih"] @ x, parameters["weight_hh"] @ h_read
    if "norm_ih" in parameters:
        from_x = normalise(from_x) * parameters["norm_ih"]
        from_h = normalise(from_h) * parameters["norm_hh"]
    sum_i, sum_f, sum_g, sum_o = np.split(from_x + from_h + parameters["bias"], 4)
    if "peephole_i" in parameters:
        sum_i = sum_i + parameters["peephole_i"] * c_prev
        sum_f = sum_f + parameters["peephole_f"] * c_prev
    c_new = sigmoid(sum_f) * c_prev + sigmoid(sum_i) * np.tanh(sum_g)
    if "peephole_o" in parameters:
        sum_o = sum_o + parameters["peephole_o"] * c_new
    seen = c_new
    if "norm_c" in parameters:
        seen = normalise(c_new) * parameters["norm_c"] + parameters["norm_c_shift"]
    h_new = sigmoid(sum_o) * np.tanh(seen)
    if "weight_hr" in parameters:
        h_new = parameters["weight_hr"] @ h_new
    c = c_new if zoneout_c is None else zoneout_c * c_prev + (1.0 - zoneout_c) * c_new
    h = h_new if zoneout_h is None else zoneout_h * h_prev + (1.0 - zoneout_h) * h_new
    return h, c


def variant_layer_forward(sequences, parameters, h0=None, c0=None, masks=None):
    """One layer over sequences of different lengths.

    Parameters
    ----------
    sequences : list of N arrays (T_n, D)
    parameters : dict
        As in `variant_cell_forward`.
    h0 : (N, P), default zeros
    c0 : (N, H), default zeros
    masks : list of N Masks, default none

    Returns
    -------
    VariantLayerForward
    """
    parameters = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
    n_outputs, hidden_size = parameters["weight_hh"].shape[1], parameters["weight_ih"].shape[0] // 4
    h0 = np.zeros((len(sequences), n_outputs)) if h0 is None else np.asarray(h0, np.float64)
    c0 = np.zeros((len(sequences), hidden_size)) if c0 is None else np.asarray(c0, np.float64)
    masks = [Masks()] * len(sequences) if masks is None else masks
    hidden, cell = [], []
    for sequence, h, c, mask in zip(sequences, h0, c0, masks, strict=True):
        hs, cs = [], []
        for t, x in enumerate(sequence):
            h, c = variant_cell_forward(
                np.asarray(x, np.float64),
                h,
                c,
                parameters,
                mask.recurrent,
                None if mask.zoneout_h is None else np.broadcast_to(mask.zoneout_h, (len(sequence), n_outputs))[t],
                None if mask.zoneout_c is None else np.broadcast_to(mask.zoneout_c, (len(sequence), hidden_size))[t],
            )
            hs.append(h)
            cs.append(c)
        hidden.append(np.array(hs))
        cell.append(np.array(cs))
    return VariantLayerForward(hidden, cell, np.array([one[-1] for one in hidden]), np.array([one[-1] for one in cell]))


def random_words(purpose, n_units, n_steps, seed, layer, sample, epoch):
    """One word for each step and unit, (n_steps, n_units).

    Unit u at step t has word ``u % 4`` of ``philox4x32`` with the counter ``(u // 4, t, sample, epoch)``
    and the key ``(low word of the seed ^ purpose, high word of the seed ^ layer)``.
    """
    blocks = -(-n_units // 4)
    counter = np.zeros((n_steps, blocks, 4), np.uint64)
    counter[..., 0] = np.arange(blocks)
    counter[..., 1] = np.arange(n_steps)[:, None]
    counter[..., 2], counter[..., 3] = sample, epoch
    words = philox4x32(counter, [(seed & 0xFFFFFFFF) ^ purpose, (seed >> 32) ^ layer])
    return words.reshape(n_steps, -1)[:, :n_units]


def draw_masks(n_steps, output_size, hidden_size, *, zoneout, recurrent_dropout, seed, layer, sample, epoch):
    """The masks of one sample in training.

    A unit keeps its previous value, or is dropped, where its word is below ``rate * 2**32``.

    Returns
    -------
    Masks
    """
    where = {"seed": seed, "layer": layer, "sample": sample, "epoch": epoch}
    recurrent = zoneout_h = zoneout_c = None
    if recurrent_dropout > 0:
        words = random_words(RECURRENT_DROPOUT, output_size, 1, **where)[0]
        recurrent = (words >= int(recurrent_dropout * 2.0**32)) / (1.0 - recurrent_dropout)
    if zoneout > 0:
        limit = int(zoneout * 2.0**32)
        zoneout_h = (random_words(ZONEOUT_H, output_size, n_steps, **where) < limit).astype(np.float64)
        zoneout_c = (random_words(ZONEOUT_C, hidden_size, n_steps, **where) < limit).astype(np.float64)
    return Masks(recurrent, zoneout_h, zoneout_c)


def mean_masks(zoneout):
    """What stands for the masks in prediction: the rate of zoneout; nothing is dropped."""
    return Masks(None, zoneout, zoneout) if zoneout > 0 else Masks()
