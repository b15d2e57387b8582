"""Legendre memory units: a window of the past in orthogonal polynomials."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from sklstm.cells._base import Cell

# As the registry of cells bounds them.
_LARGEST_ORDER, _LARGEST_THETA = 64, 1_000_000


@dataclass(kw_only=True, eq=False, repr=False)
class LMU(Cell):
    """Legendre memory unit, with the state h and a memory of the last steps of a signal for each unit.

    Parameters
    ----------
    order : int, default=8
        Numbers of a memory: Legendre polynomials of degrees 0 to order - 1.
    theta : int, default=32
        Length of the window that a memory spans, in steps.

    Notes
    -----
    From its input x_t, the state h and the memory m of the step before, a unit computes [Voelker2019]_ ::

        u = E x_t + E' h_(t-1) + b_u + e . m_(t-1)
        m_t = A m_(t-1) + B u
        h_t = tanh(W x_t + W' h_(t-1) + b_h + w . m_t)

    with blocks of rows u, h (E, W) in ``weight_ih``, (E', W') in ``weight_hh`` and in ``bias``, and for each unit
    ``weight_memory_in`` (e, zero at first) and ``weight_memory_out`` (w). A and B are fixed: they make m the
    coefficients of u over the last `theta` steps in shifted Legendre polynomials (HiPPO-LegT), by the zero-order hold
    of ``theta dm/dt = A' m + B' u`` with ``A'_ij = (2 i + 1) (-1 if i < j else (-1)^(i - j + 1))`` and ``B'_i = (2 i +
    1) (-1)^i``. The paper has one signal u and one memory for all units of a layer; here each unit has its own, and
    units read each other through h.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import LMU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=LMU(order=4), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_memory_out_l0"].shape
    (4, 8)
    """

    order: int = 8
    theta: int = 32

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "order": [Interval(Integral, 1, _LARGEST_ORDER, closed="both")],
        "theta": [Interval(Integral, 1, _LARGEST_THETA, closed="both")],
    }

    def _kernel_name(self) -> str:
        return "lmu"

    def _numbers(self) -> tuple[int, ...]:
        return int(self.order), int(self.theta)
