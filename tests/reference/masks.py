"""The masks that training draws for the states of a layer: zoneout and recurrent dropout.

References
----------
Krueger, D. et al. (2017). Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations.
ICLR 2017, eqs 3-4.
Gal, Y., Ghahramani, Z. (2016). A Theoretically Grounded Application of Dropout in Recurrent Neural
Networks. NeurIPS 2016.
"""

from typing import NamedTuple

import numpy as np

from reference.philox import philox4x32

# What a mask is for: xored into the low word of the seed. The letters ZONH, ZONC and RDOP.
ZONEOUT_H, ZONEOUT_C, RECURRENT_DROPOUT = 0x5A4F4E48, 0x5A4F4E43, 0x52444F50


class Masks(NamedTuple):
    """What multiplies the states of one sequence of T steps; None: the option is off."""

    recurrent: np.ndarray | None = None  # (P,): r, scaled already
    zoneout_h: np.ndarray | None = None  # broadcasts to (T, P): k_h
    zoneout_c: np.ndarray | None = None  # broadcasts to (T, H): k_c


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
