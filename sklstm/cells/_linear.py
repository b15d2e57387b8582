"""Cells with a linear recurrence: each unit carries a weighted sum of what entered it."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Options, StrOptions

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

    Parameters
    ----------
    convolution : bool, default=False
        Whether what enters goes through a convolution of its last four values, one for each unit, as in the recurrent
        block of the paper.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [De2024]_ ::

        r, i = sigmoid(W x_t + b)
        log a = -8 * softplus(p) * r
        h_t = a * h_(t-1) + sqrt(1 - a^2) * i * (W_v x_t + b_v)

    with blocks of rows r, i, v in ``weight_ih`` (W) and ``bias``, and one p a unit in ``bias_decay``. The factor of i
    keeps the size of h the same whatever a is. p starts where, for a gate r of 1, a is between 0.9 and 0.999, uniform.
    ``bias_decay`` is not shrunk by weight decay. With `convolution`, ``v_t = W_v x_t + b_v`` is replaced by ``w_0 v_t +
    w_1 v_(t-1) + w_2 v_(t-2) + w_3 v_(t-3)`` in the last equation, with w (4, hidden_size) in ``weight_convolution``,
    zeros before the first row, and the last values of v as further states; the gates read the row itself. There is no
    ``weight_hh``: all products are computed before the loop over time, and `recurrent_dropout` and `weight_dropout`
    have nothing to act on.

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

    convolution: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Cell._parameter_constraints, "convolution": ["boolean"]}

    def _kernel_name(self) -> str:
        return "rglru_convolution" if self.convolution else "rglru"


@dataclass(kw_only=True, eq=False, repr=False)
class QRNN(Cell):
    """Quasi-recurrent network, whose gates read this row and one or two before it, with the state c.

    Parameters
    ----------
    pooling : {"f", "fo", "ifo"}, default="fo"
        Which gates there are: forget; forget and output; input, forget and output.
    window : {2, 3}, default=2
        Number of rows that the gates read, this one included; 2 as in most of the paper.

    Notes
    -----
    From its inputs x_t and x_(t-1) and the state of the step before, a layer computes [Bradbury2017]_ ::

        z = tanh(W_z x_t + b_z + W'_z x_(t-1) + b'_z)        f, o, i = sigmoid(W x_t + b + W' x_(t-1) + b')
        "f":    h_t = f * h_(t-1) + (1 - f) * z
        "fo":   c_t = f * c_(t-1) + (1 - f) * z              h_t = o * c_t
        "ifo":  c_t = f * c_(t-1) + i * z                    h_t = o * c_t

    a convolution over time, and its three poolings. With ``window=3`` each sum also has ``W'' x_(t-2) + b''``.
    ``weight_ih`` and ``bias`` have the blocks of rows z, f, o, i of W, as far as there are such gates, then those of
    W', then those of W'', in the same order. At the first row there is no ``W' x + b'``, at the first two no ``W'' x +
    b''``. Their products are computed with the row they read and carried to the later steps, as states beside c. There
    is no ``weight_hh``, and `recurrent_dropout` and `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import QRNN
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=QRNN(pooling="ifo"), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape
    (64, 3)
    """

    pooling: Literal["fo", "f", "ifo"] = "fo"
    window: Literal[2, 3] = 2

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "pooling": [StrOptions({"f", "fo", "ifo"})],
        "window": [Options(Integral, {2, 3})],
    }

    def _kernel_name(self) -> str:
        return f"qrnn_{self.pooling}" if self.window == 2 else f"qrnn_{self.pooling}_3"


@dataclass(kw_only=True, eq=False, repr=False)
class ExpLSTM(Cell):
    """Minimal LSTM with exponential gating: an average of all it has read, weighted by products of gates.

    Notes
    -----
    From its input x_t and the states of the step before, a layer computes ::

        f = sigmoid(W_f x_t + b_f)        i = exp(W_i x_t + b_i)        g = tanh(W_g x_t + b_g)
        n_t = f * n_(t-1) + i             h_t = (f * n_(t-1) * h_(t-1) + i * g) / n_t

    with blocks of rows f, i, g in ``weight_ih`` (W) and ``bias``: the sLSTM [Beck2024]_ without recurrent weights and
    output gate. A row whose i is e^20 replaces all that came before, and a row whose i is e^-20 is passed over; the
    candidates keep their relative weights however long a sequence is. n_t is a sum of products of gates, which after
    some hundred steps are beyond the range of single precision, and of the double. It is carried as ``size * 2^power``,
    a floating-point number whose exponent is one of its own, so nothing is lost: this is the running maximum of
    logarithms of the paper [Milakov2018]_, without the digits that a logarithm of n loses as it grows. b_f starts at 3.
    There is no ``weight_hh``, and `recurrent_dropout` and `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import ExpLSTM
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=ExpLSTM(), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape
    (24, 3)
    """

    def _kernel_name(self) -> str:
        return "explstm"
