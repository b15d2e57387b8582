"""Cells that multiply the previous h by a matrix."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import StrOptions

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class LSTM(Cell):
    """Long short-term memory, with the states h and c.

    Parameters
    ----------
    peephole : bool, default=False
        Whether the gates also read c, through a weight for each unit [Gers2000a]_.

    Notes
    -----
    From its input x_t and its states of the step before, a layer computes [Hochreiter1997]_ [Gers2000]_ ::

        i, f, o = sigmoid(W x_t + U h_(t-1) + b)        g = tanh(W x_t + U h_(t-1) + b)
        c_t = f * c_(t-1) + i * g                       h_t = o * tanh(c_t)

    with one block of rows for each of i, f, g, o, in this order, in ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``.
    The bias of the forget gate f starts at 1 [Jozefowicz2015]_. With `peephole`, ``p_i * c_(t-1)`` is added inside i,
    ``p_f * c_(t-1)`` inside f and ``p_o * c_t`` inside o. With `layer_norm`, c is normalised too where h is computed,
    ``h_t = o * tanh(LN(c_t))``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import LSTM
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=LSTM(peephole=True), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_peephole_l0"].shape
    (3, 8)
    """

    peephole: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Cell._parameter_constraints, "peephole": ["boolean"]}

    def _kernel_name(self) -> str:
        return "lstm"


@dataclass(kw_only=True, eq=False, repr=False)
class GRU(Cell):
    """Gated recurrent unit, with the state h: three sums where the LSTM has four.

    Parameters
    ----------
    reset_after : bool, default=True
        Whether the reset gate is applied after the recurrent product, as in PyTorch and Keras, or before it.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Cho2014]_ ::

        r, z = sigmoid(W x_t + U h_(t-1) + b)
        n = tanh(W_n x_t + b_nx + r * (U_n h_(t-1) + b_nh))
        h_t = (1 - z) * n + z * h_(t-1)

    with blocks of rows r, z, n in ``weight_ih`` (W) and ``weight_hh`` (U), and r, z, n_x, n_h in ``bias``. Without
    `reset_after`, the form of the paper and the default of ONNX, ``n = tanh(W_n x_t + U_n (r * h_(t-1)) + b_n)``, and
    ``bias`` has the blocks r, z, n.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import GRU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=GRU(layer_norm=True), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_hh_l0"].shape
    (24, 8)
    """

    reset_after: bool = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Cell._parameter_constraints, "reset_after": ["boolean"]}

    def _kernel_name(self) -> str:
        return "gru" if self.reset_after else "gru_reset_before"


@dataclass(kw_only=True, eq=False, repr=False)
class Elman(Cell):
    """Simple recurrent network of Elman, with the state h and no gate.

    Parameters
    ----------
    activation : {"tanh", "relu", "softsign", "silu"}, default="tanh"
        Function of the sum.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Elman1990]_ ::

        h_t = tanh(W x_t + U h_(t-1) + b)

    or relu, softsign ``a / (1 + |a|)`` or SiLU ``a * sigmoid(a)`` in place of tanh, with ``weight_ih`` (W),
    ``weight_hh`` (U) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import Elman
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=Elman(activation="relu"), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape
    (8, 3)
    """

    activation: Literal["tanh", "relu", "softsign", "silu"] = "tanh"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "activation": [StrOptions({"tanh", "relu", "softsign", "silu"})],
    }

    def _kernel_name(self) -> str:
        return "elman" if self.activation == "tanh" else f"elman_{self.activation}"


@dataclass(kw_only=True, eq=False, repr=False)
class MGU(Cell):
    """Minimal gated unit, with the state h: one gate that resets and updates.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Zhou2016]_ ::

        f = sigmoid(W_f x_t + U_f h_(t-1) + b_f)
        n = tanh(W_n x_t + U_n (f * h_(t-1)) + b_n)
        h_t = (1 - f) * h_(t-1) + f * n

    with blocks of rows f, n in ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import MGU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=MGU(), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_hh_l0"].shape
    (16, 8)
    """

    def _kernel_name(self) -> str:
        return "mgu"


@dataclass(kw_only=True, eq=False, repr=False)
class Delta(Cell):
    """Cell with one update gate and a candidate of its own, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes ::

        d = sigmoid(W_d x_t + U_d h_(t-1) + b_d)
        n = tanh(W_n x_t + U_n h_(t-1) + b_n)
        h_t = (1 - d) * h_(t-1) + d * n

    with blocks of rows d, n in ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``: the GRU [Cho2014]_ without its reset
    gate, and the simplest cell whose gate reads both the input and the state.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import Delta
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=Delta(projection_size=4), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.transform(X).shape
    (100, 4)
    """

    def _kernel_name(self) -> str:
        return "delta"
