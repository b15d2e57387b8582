"""Diagonal state space.

Gu, Gupta, Goel, Ré 2022, "On the parameterization and initialization of diagonal state space models".
"""

import numpy as np

from reference.cells.states import StateCell


class S4D(StateCell):
    """N complex states a unit, ``A = -exp(log_a_re) + i a_im``, step ``dt = exp(log_dt)``, B = 1::

    v = W x + b
    zero-order hold:  A' = exp(dt A)                      B' = (exp(dt A) - 1) / A
    bilinear:         A' = (1 + dt A / 2) / (1 - dt A / 2)    B' = dt / (1 - dt A / 2)
    s' = A' s + v                                         (the state of the paper is B' s)
    y = 2 Re(sum_n C_n B'_n s'_n) + D v

    States: the N real parts, then the N imaginary parts. Numbers: N, 1 for bilinear, the kind of the start.
    """

    x = sums = ("v",)
    numbers = (8, 0, 0)

    @classmethod
    def count(cls, n, bilinear, start):
        return 2 * n, {
            "weight_log_dt": 1,
            "weight_log_a_re": n,
            "weight_a_im": n,
            "weight_c_re": n,
            "weight_c_im": n,
            "weight_d": 1,
        }

    @classmethod
    def discretise(cls, parameters):
        dt = np.exp(parameters["weight_log_dt"])
        a = -np.exp(parameters["weight_log_a_re"]) + 1j * parameters["weight_a_im"]
        if cls.numbers[1]:
            return (1.0 + dt * a / 2.0) / (1.0 - dt * a / 2.0), dt / (1.0 - dt * a / 2.0)
        # exp(x + iy) - 1 without the loss of digits for small x + iy
        x, y = (dt * a).real, (dt * a).imag
        difference = np.expm1(x) * np.cos(y) - 2.0 * np.sin(y / 2.0) ** 2 + 1j * np.exp(x) * np.sin(y)
        return np.exp(dt * a), difference / a

    @classmethod
    def step(cls, x, product, b, own, parameters):
        v = x["v"] + b["v"]
        re, im = own.reshape(2, cls.numbers[0], -1)
        a, input_gain = cls.discretise(parameters)
        s = a * (re + 1j * im) + v
        c = parameters["weight_c_re"] + 1j * parameters["weight_c_im"]
        y = 2.0 * (c * input_gain * s).sum(axis=0).real + parameters["weight_d"][0] * v
        return y, np.concatenate([s.real, s.imag]).ravel()
