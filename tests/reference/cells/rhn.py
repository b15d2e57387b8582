"""Recurrent highway networks (Zilly et al. 2016), with 2, 3 and 4 micro-layers a step."""

import numpy as np
from scipy.special import expit as sigmoid


class RHN2:
    """Equations 7 to 9, the carry gate coupled to the transform gate t (c = 1 - t)::

    s_0 = h
    n_k = tanh([W_n x if k = 1] + U_nk s_(k-1) + b_nk)
    t_k = sigmoid([W_t x if k = 1] + U_tk s_(k-1) + b_tk)
    s_k = n_k * t_k + s_(k-1) * (1 - t_k)
    h' = s_L
    """

    x = ("n_1", "t_1")
    h = sums = ("n_1", "t_1", "n_2", "t_2")
    own = "h"

    @classmethod
    def step(cls, x, product, b, own, parameters):
        s, u = own, product(("n_1", "t_1"))
        for k in range(1, len(cls.sums) // 2 + 1):
            n, t = f"n_{k}", f"t_{k}"
            if k > 1:
                u = product((n, t), of=s)
            gate = sigmoid(x.get(t, 0.0) + u[t] + b[t])
            s = np.tanh(x.get(n, 0.0) + u[n] + b[n]) * gate + s * (1.0 - gate)
        return s, s


class RHN3(RHN2):
    """Three micro-layers."""

    h = sums = (*RHN2.sums, "n_3", "t_3")


class RHN4(RHN2):
    """Four micro-layers."""

    h = sums = (*RHN3.sums, "n_4", "t_4")
