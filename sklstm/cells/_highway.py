"""Recurrent highway networks: several layers in each step."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Options

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class RHN(Cell):
    """Recurrent highway network, with the state h: several micro-layers with highway connections in each step.

    Parameters
    ----------
    depth : {2, 3, 4}, default=2
        Number of micro-layers, each with a product of its own.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes s_1, ..., s_depth [Zilly2017]_ ::

        s_0 = h_(t-1)
        n_1 = tanh(W x_t + U s_0 + b)        t_1 = sigmoid(W x_t + U s_0 + b)
        n_k = tanh(U s_(k-1) + b)            t_k = sigmoid(U s_(k-1) + b)        for k > 1
        s_k = t_k * n_k + (1 - t_k) * s_(k-1)
        h_t = s_depth

    with blocks of rows n_1, t_1 in ``weight_ih`` (W), and n_1, t_1, n_2, t_2, ... in ``weight_hh`` (U) and ``bias``:
    the carry gate of the paper is ``1 - t_k``. The biases of the transform gates t_k start at -2, so that a new network
    mostly carries its state on. One micro-layer would be `Delta`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import RHN
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=RHN(depth=3), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape, model.parameters_["weight_hh_l0"].shape
    ((16, 3), (48, 8))
    """

    depth: Literal[2, 3, 4] = 2

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "depth": [Options(Integral, {2, 3, 4})],
    }

    def _kernel_name(self) -> str:
        return f"rhn_{self.depth}"
