"""Cells whose units read no previous state but their own: all products are outside the loop over time."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Interval, StrOptions

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class _MinimalCell(Cell):
    """Cell whose gates and candidate read the input only.

    Parameters
    ----------
    candidate : {"positive", "tanh", "relu", "softsign", "silu"}, default="positive"
        Function of the candidate's sum: one with positive values, as in the paper, or a usual activation.

    Notes
    -----
    There is no ``weight_hh``: all products are computed before the loop over time, which makes the cell fast, and
    `recurrent_dropout` and `weight_dropout` have nothing to act on.
    """

    candidate: Literal["positive", "tanh", "relu", "softsign", "silu"] = "positive"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "candidate": [StrOptions({"positive", "tanh", "relu", "softsign", "silu"})],
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

    or with another function for g, the candidate: tanh, ``max(0, a)``, ``a / (1 + abs(a))`` or ``a * sigmoid(a)``, with
    blocks of rows z, n in ``weight_ih`` (W) and ``bias``.

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
        return "mingru" if self.candidate == "positive" else f"mingru_{self.candidate}"


@dataclass(kw_only=True, eq=False, repr=False)
class MinLSTM(_MinimalCell):
    """Long short-term memory whose gates and candidate read the input only, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Feng2024]_ ::

        f, i = sigmoid(W x_t + b)
        n = g(W_n x_t + b_n)        g(a) = a + 1/2 if a >= 0 else sigmoid(a)
        h_t = f / (f + i) * h_(t-1) + i / (f + i) * n

    or with another function for g, the candidate: tanh, ``max(0, a)``, ``a / (1 + abs(a))`` or ``a * sigmoid(a)``, with
    blocks of rows f, i, n in ``weight_ih`` (W) and ``bias``.

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
        return "minlstm" if self.candidate == "positive" else f"minlstm_{self.candidate}"


@dataclass(kw_only=True, eq=False, repr=False)
class IndRNN(Cell):
    """Independently recurrent network, with the state h: each unit reads no previous h but its own.

    Parameters
    ----------
    activation : {"relu", "tanh", "softsign", "silu"}, default="relu"
        Function of the sum.
    recurrent_bound : "auto", float or None, default="auto"
        Largest absolute value that a recurrent weight may take in training; "auto" is ``2^(1/T)`` for sequences of at
        most T steps with relu and SiLU, and no bound with tanh and softsign, whose h has one.
    long_memory : bool, default=False
        Whether the recurrent weights of the last layer start between ``2^(-1/T)`` and 1, for tasks that need rows of
        the distant past: half or more of what a unit has read then remains after T steps.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Li2018]_ ::

        h_t = relu(W x_t + u * h_(t-1) + b)

    or tanh, softsign ``a / (1 + |a|)`` or SiLU ``a * sigmoid(a)`` in place of relu, with ``weight_ih`` (W), one
    recurrent weight a unit in ``weight_recurrent`` (u) and ``bias``. u starts uniform between 0 and 1: some units
    remember long, some briefly; but see `long_memory`. With relu, h grows at every step where u is beyond 1. Within
    ``2^(1/T)``, neither h nor a gradient grows to more than twice its size over T steps [Li2018]_; every step of the
    optimizer ends with u cut to the bound. T is the length of the longest sequence or window, the whole series with
    ``training="stateful"``. Units are mixed by the next layer only, so the paper stacks several. There is no
    ``weight_hh``: all products are computed before the loop over time, and `recurrent_dropout` and `weight_dropout`
    have nothing to act on.

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

    activation: Literal["relu", "tanh", "softsign", "silu"] = "relu"
    recurrent_bound: Literal["auto"] | float | None = "auto"
    long_memory: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "activation": [StrOptions({"relu", "tanh", "softsign", "silu"})],
        "recurrent_bound": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"}), None],
        "long_memory": ["boolean"],
    }

    def _kernel_name(self) -> str:
        return "indrnn" if self.activation == "relu" else f"indrnn_{self.activation}"

    def _recurrent_bound(self, n_steps: int) -> float | None:
        if self.recurrent_bound != "auto":
            return None if self.recurrent_bound is None else float(self.recurrent_bound)
        return 2.0 ** (1.0 / n_steps) if self.activation in ("relu", "silu") else None

    def _adjust_start(self, parameters: dict[str, Any], n_steps: int) -> None:
        layers = [name.removesuffix("_backward") for name in parameters if name.startswith("weight_recurrent_l")]
        for name in (layers[-1], f"{layers[-1]}_backward") if self.long_memory else ():
            if name in parameters:
                least = 2.0 ** (-1.0 / n_steps)
                parameters[name][:] = least + (1.0 - least) * parameters[name]
