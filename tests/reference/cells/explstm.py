"""Minimal LSTM with exponential gating (Beck et al. 2024, without recurrent weights and output gate)."""

import numpy as np

from reference.cells.states import StateCell


class ExpLSTM(StateCell):
    """The average of all candidates so far, weighted by products of gates::

    log f = log sigmoid(W_f x + b_f)         log i = W_i x + b_i         g = tanh(W_g x + b_g)
    n' = f n + i         output = (f n h + i g) / n'         in logarithms; n = 0 before the first step

    States: h, and n as ``|size| 2^power``. What the new size and power are, is the same choice as the kernel's: the
    power of the greater term, that of f being 0 from 1/2 on, and the size cut in half from 1.5 on, doubled below 0.75.
    """

    x = sums = ("f", "i", "g")

    @classmethod
    def count(cls):
        return 3, {}

    @classmethod
    def step(cls, x, product, b, own, parameters):
        h, size, power = own.reshape(3, -1)
        log_f = -np.logaddexp(0.0, -(x["f"] + b["f"]))
        log_i, g = x["i"] + b["i"], np.tanh(x["g"] + b["g"])
        with np.errstate(divide="ignore"):
            past = log_f + np.log(np.abs(size)) + power * np.log(2.0)
        total = np.logaddexp(past, log_i)
        new = np.exp(past - total) * h + np.exp(log_i - total) * g
        entering, forgetting = np.rint(log_i / np.log(2.0)), np.rint((x["f"] + b["f"]) / np.log(2.0))
        forgetting = np.where(x["f"] + b["f"] >= 0.0, 0.0, np.minimum(forgetting, -1.0))
        top = np.where(size == 0.0, entering, np.maximum(np.rint(forgetting + power), entering))
        size = np.exp(total - top * np.log(2.0))
        shift = np.where(size >= 1.5, 1.0, np.where(size <= 0.75, -1.0, 0.0))
        return new, np.concatenate([new, size * 2.0**-shift, top + shift])
