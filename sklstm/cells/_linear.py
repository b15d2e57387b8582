"""Cells with a linear recurrence: each unit carries a weighted sum of what entered it."""

from dataclasses import dataclass

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class SRU(Cell):
    """Simple recurrent unit, with the states h and c: its gates read the input and their own unit's c.

    Notes
    -----
    From its input x_t and the state c of the step before, a layer computes [Lei2018]_ ::

        f = sigmoid(W_f x_t + v_f * c_(t-1) + b_f)
        r = sigmoid(W_r x_t + v_r * c_(t-1) + b_r)
        c_t = f * c_(t-1) + (1 - f) * (W_n x_t + b_n)
        h_t = r * c_t + (1 - r) * (W_s x_t + b_s)

    with blocks of rows f, r, n, s in ``weight_ih`` (W) and ``bias``, and v_f, v_r in ``weight_recurrent``, which start
    at 0. The paper adds the input itself, ``(1 - r) * x_t``, where the layer has as many units as its input has
    columns, and a product of it elsewhere; here it is always a product, W_s, for the sizes rarely agree. The paper has
    no b_n and b_s; they start at 0. There is no ``weight_hh``: all products are computed before the loop over time, and
    `recurrent_dropout` and `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import SRU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=SRU(), n_layers=2, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_recurrent_l0"].shape
    (2, 8)
    """

    def _kernel_name(self) -> str:
        return "sru"


@dataclass(kw_only=True, eq=False, repr=False)
class RGLRU(Cell):
    """Real-gated linear recurrent unit of Griffin and Hawk, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [De2024]_ ::

        r, i = sigmoid(W x_t + b)
        log a = -8 * softplus(p) * r
        h_t = a * h_(t-1) + sqrt(1 - a^2) * i * (W_v x_t + b_v)

    with blocks of rows r, i, v in ``weight_ih`` (W) and ``bias``, and one p a unit in ``bias_decay``. The factor of i
    keeps the size of h the same whatever a is. p starts where, for a gate r of 1, a is between 0.9 and 0.999, uniform.
    ``bias_decay`` is not shrunk by weight decay. There is no ``weight_hh``: all products are computed before the loop
    over time, and `recurrent_dropout` and `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import RGLRU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=RGLRU(), n_layers=2, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["bias_decay_l0"].shape
    (1, 8)
    """

    def _kernel_name(self) -> str:
        return "rglru"
