"""Simplified state space layer.

Smith, Warrington, Linderman 2023, "Simplified state space layers for sequence modeling".
"""

import numpy as np

from reference.cells.lru import HalvesCell


class S5(HalvesCell):
    """A diagonal state of floor(H / 2) complex numbers that all inputs enter; B is ``weight_ih`` (halves)::

    lambda = -exp(log_re) + i im                          the halves of row 0 of ``weight_lambda``
    dt = exp(log_dt)                                      row 1, first half; the second half is not read
    zero-order hold:  decay = exp(dt lambda)              gain = (exp(dt lambda) - 1) / lambda
    bilinear:         decay = (1 + dt lambda / 2) / (1 - dt lambda / 2)    gain = dt / (1 - dt lambda / 2)
    s' = decay s + gain (B x + b)
    output = [Re s', Im s'] + d (B x + b)                 C, which reads it, is the projection or the next layer

    Numbers: 1 for bilinear, the kind of the start.
    """

    numbers = (0, 0)

    @classmethod
    def count(cls, bilinear, start):
        return 1, {"weight_lambda": 2, "weight_d": 1}

    @classmethod
    def discretise(cls, v, parameters):
        rate = cls.pair(parameters["weight_lambda"][0])
        rate = -np.exp(rate.real) + 1j * rate.imag
        log_dt = parameters["weight_lambda"][1]
        n = len(log_dt) // 2
        dt = np.exp(np.concatenate([log_dt[:n], log_dt[2 * n :]]))
        if cls.numbers[0]:
            decay, gain = (1.0 + dt * rate / 2.0) / (1.0 - dt * rate / 2.0), dt / (1.0 - dt * rate / 2.0)
        else:
            x, y = (dt * rate).real, (dt * rate).imag
            difference = np.expm1(x) * np.cos(y) - 2.0 * np.sin(y / 2.0) ** 2 + 1j * np.exp(x) * np.sin(y)
            decay, gain = np.exp(dt * rate), difference / rate
        gained = gain * cls.pair(v)
        if len(v) % 2:
            gained[-1] = gained[-1].real
        return decay, gained
