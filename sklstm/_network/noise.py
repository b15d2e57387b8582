"""Dropout: its rates, the numbers that seed its masks, and the mask of the recurrent weights."""

from typing import NamedTuple

import numpy as np


class Noise(NamedTuple):
    """Rates of dropout, and the numbers that, with that of the sample, seed every mask.

    Attributes
    ----------
    dropout : float
        Rate between layers.
    recurrent_dropout : float
        Rate of the hidden state in the recurrent product; one mask for all steps of a sequence.
    weight_dropout : float
        Share of the recurrent weights that are zero for a batch.
    seed, epoch, batch : int
    """

    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    seed: int = 0
    epoch: int = 0
    batch: int = 0

    @property
    def by_sample(self):
        """Whether any mask is drawn for each sample."""
        return self.dropout > 0 or self.recurrent_dropout > 0


NO_NOISE = Noise()


def recurrent_weight_mask(layout, noise):
    """Return a vector like the parameters: 0 or 1 / (1 - rate) for recurrent weights, 1 for the others.

    One mask for all steps and all sequences of a batch (DropConnect on the recurrent weights; Merity et al. 2018,
    section 2). It depends on seed, epoch and batch alone.
    """
    bits = np.random.Philox(key=noise.seed, counter=[0, noise.batch, noise.epoch, 2])
    generator = np.random.Generator(bits)
    mask = np.ones(layout.size)
    for name, view in layout.views(mask).items():
        if name.startswith("weight_hh"):
            view[:] = (generator.random(view.shape) >= noise.weight_dropout) / (1.0 - noise.weight_dropout)
    return mask
