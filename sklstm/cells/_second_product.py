"""Cells with a second product at each step, of what comes of the first one."""

from dataclasses import dataclass

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class SecondOrder(Cell):
    """Second-order recurrent network, with the state h: its input and its state also enter as products.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Lizaire2024]_ ::

        p = A x_t + b_p        q = B h_(t-1) + b_q
        h_t = tanh(C (p * q) + W x_t + U h_(t-1) + b_h)

    with blocks of rows A, W in ``weight_ih``, B, U, C in ``weight_hh`` and b_p, b_h, b_q in ``bias``. The network of
    second order [Giles1992]_ has a weight for each product of an input, a component of h and a unit; here this tensor
    is a sum of outer products of columns of C and rows of A and B (CP decomposition), as many as there are units, so
    its rank is at most the number of units. The paper has no b_p and b_q: they start at 0, and what they learn are
    weights of first order, as in [Wu2016]_.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import SecondOrder
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=SecondOrder(), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape, model.parameters_["weight_hh_l0"].shape
    ((16, 3), (24, 8))
    """

    _name = "second_order"

    def _kernel_name(self) -> str:
        return "second_order"


@dataclass(kw_only=True, eq=False, repr=False)
class MLSTM(Cell):
    """Multiplicative long short-term memory, with the states h and c: the gates read a product of input and state.

    Notes
    -----
    From its input x_t and its states of the step before, a layer computes [Krause2016]_ ::

        m = (W_m x_t + b_mx) * (U_m h_(t-1) + b_mh)
        i, f, o = sigmoid(W x_t + U m + b)        g = tanh(W x_t + U m + b)
        c_t = f * c_(t-1) + i * g                 h_t = o * tanh(c_t)

    with blocks of rows m, i, f, g, o in ``weight_ih`` (W) and ``weight_hh`` (U), and m_x, i, f, g, o, m_h in ``bias``:
    each input has a transition of its own from state to state. The bias of f starts at 1. The paper has no b_mx and
    b_mh, which start at 0. (The mLSTM of the xLSTM, with a matrix as its state, is another cell.)

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import MLSTM
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=MLSTM(), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_hh_l0"].shape
    (40, 8)
    """

    def _kernel_name(self) -> str:
        return "mlstm"
