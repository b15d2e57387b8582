"""Cells whose units read no previous state but their own: all products are outside the loop over time."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import StrOptions

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class _MinimalCell(Cell):
    """Cell whose gates and candidate read the input only.

    Parameters
    ----------
    candidate : {"positive", "tanh"}, default="positive"
        Function of the candidate's sum: one with positive values, as in the paper, or tanh.

    Notes
    -----
    There is no ``weight_hh``: all products are computed before the loop over time, which makes the cell fast, and
    `recurrent_dropout` and `weight_dropout` have nothing to act on.
    """

    candidate: Literal["positive", "tanh"] = "positive"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "candidate": [StrOptions({"positive", "tanh"})],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class MinGRU(_MinimalCell):
    """Gated recurrent unit whose gate and candidate read the input only, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Feng2024]_ ::

        z = sigmoid(W_z x_t + b_z)
        n = g(W_n x_t + b_n)        g(a) = a + 1/2 if a >= 0 else sigmoid(a)
        h_t = (1 - z) * h_(t-1) + z * n

    or ``n = tanh(W_n x_t + b_n)``, with blocks of rows z, n in ``weight_ih`` (W) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import MinGRU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=MinGRU(candidate="tanh"), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> sorted(model.parameters_)
    ['bias_l0', 'bias_out', 'weight_ih_l0', 'weight_out']
    """

    def _kernel_name(self) -> str:
        return "mingru" if self.candidate == "positive" else "mingru_tanh"


@dataclass(kw_only=True, eq=False, repr=False)
class MinLSTM(_MinimalCell):
    """Long short-term memory whose gates and candidate read the input only, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Feng2024]_ ::

        f, i = sigmoid(W x_t + b)
        n = g(W_n x_t + b_n)        g(a) = a + 1/2 if a >= 0 else sigmoid(a)
        h_t = f / (f + i) * h_(t-1) + i / (f + i) * n

    or ``n = tanh(W_n x_t + b_n)``, with blocks of rows f, i, n in ``weight_ih`` (W) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import MinLSTM
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=MinLSTM(candidate="tanh"), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> sorted(model.parameters_)
    ['bias_l0', 'bias_out', 'weight_ih_l0', 'weight_out']
    """

    def _kernel_name(self) -> str:
        return "minlstm" if self.candidate == "positive" else "minlstm_tanh"


@dataclass(kw_only=True, eq=False, repr=False)
class IndRNN(Cell):
    """Independently recurrent network, with the state h: each unit reads no previous h but its own.

    Parameters
    ----------
    activation : {"relu", "tanh"}, default="relu"
        Function of the sum.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Li2018]_ ::

        h_t = relu(W x_t + u * h_(t-1) + b)

    or tanh in place of relu, with ``weight_ih`` (W), one recurrent weight a unit in ``weight_recurrent`` (u) and
    ``bias``. u starts uniform between 0 and 1: some units remember long, some briefly. Training may take one beyond
    1; with relu, its h then grows at every step. Units are mixed by the next layer only, so the paper stacks several.
    There is no ``weight_hh``: all products are computed before the loop over time, and `recurrent_dropout` and
    `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import IndRNN
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=IndRNN(), n_layers=2, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_recurrent_l0"].shape
    (1, 8)
    """

    activation: Literal["relu", "tanh"] = "relu"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "activation": [StrOptions({"relu", "tanh"})],
    }

    def _kernel_name(self) -> str:
        return "indrnn" if self.activation == "relu" else "indrnn_tanh"
