"""Attention in the form of a recurrent network: weighted means and matrix states."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class RWKV(Cell):
    """Time mixing of RWKV-4: a mean of all values so far, weighted by their keys and by their age.

    Notes
    -----
    From its inputs x_t and x_(t-1) and its states of the step before, a layer computes [Peng2023]_ ::

        r, k, v = W x_t + b + W' x_(t-1) + b'
        wkv = (sum_i exp(k_i - (t - 1 - i) w) v_i + exp(u + k_t) v_t) / (the same without v)        over i < t
        h_t = sigmoid(r) * wkv                                                    w = exp(time_decay), u = time_first

    with blocks of rows r, k, v (W) and r_1, k_1, v_1 (W') in ``weight_ih`` and ``bias``, and for each unit
    ``weight_time_decay`` and ``weight_time_first``. W and W' are the matrices of the paper times its mixing weights mu
    and 1 - mu, without being tied to each other. Instead of numerator and denominator, the unit carries their quotient
    and the logarithm of the denominator, so that no exponential leaves its range. The paper's output matrix is the
    projection (`projection_size`) or the next layer. There is no ``weight_hh``: `recurrent_dropout` and
    `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import RWKV
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=RWKV(), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape
    (48, 3)
    """

    def _kernel_name(self) -> str:
        return "rwkv"


@dataclass(kw_only=True, eq=False, repr=False)
class Retention(Cell):
    """Multi-scale retention: a matrix of keys by values for each head, which fades at a rate of its own.

    Parameters
    ----------
    head_size : int, default=16
        Units of a head (d); the last head has what is left of the layer.
    rotary : bool, default=True
        Whether keys are turned against queries by angles that grow with the time between them.

    Notes
    -----
    From its input x_t and the matrix S of each head, a layer computes [Sun2023]_ ::

        q, k, v, g = W x_t + b
        S = gamma R S + (k / sqrt(d)) v'        gamma = 1 - 2^(-5 - head)
        y = q S
        h_t = silu(g) * y / sqrt(mean(y^2) + 1e-6)        the mean over the units of the head

    with blocks of rows q, k, v, g in ``weight_ih`` (W) and ``bias``. R turns rows 2 j and 2 j + 1 of S by ``-10000^(-2
    j / d)``: with `rotary`, the rotation of queries and keys by the number of their step, applied to the state instead
    of the numbers of steps. The norm is that of the authors' code, RMSNorm, where the paper has GroupNorm. The paper's
    output matrix is the projection (`projection_size`) or the next layer. A layer carries d numbers for each unit.
    There is no ``weight_hh``: `recurrent_dropout` and `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import Retention
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=Retention(head_size=4), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape
    (32, 3)
    """

    head_size: int = 16
    rotary: bool = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "head_size": [Interval(Integral, 1, 256, closed="both")],
        "rotary": ["boolean"],
    }

    def _kernel_name(self) -> str:
        return "retention"

    def _numbers(self) -> tuple[int, ...]:
        return int(self.head_size), int(self.rotary)


@dataclass(kw_only=True, eq=False, repr=False)
class LinearAttention(Cell):
    """Linear attention: a matrix of keys by values for each head, to which every step adds.

    Parameters
    ----------
    head_size : int, default=16
        Units of a head (d); the last head has what is left of the layer.

    Notes
    -----
    From its input x_t and the matrix S and vector z of each head, a layer computes [Katharopoulos2020]_ ::

        q, k, v = W x_t + b
        S = S + phi(k) v'        z = z + phi(k)        phi(a) = a + 1 if a >= 0 else exp(a)
        h_t = w S / (w z + 1e-6)        w = phi(q) / sum(phi(q))

    with blocks of rows q, k, v in ``weight_ih`` (W) and ``bias``. Nothing is forgotten: h_t is a mean over all steps so
    far, and in single precision a stream of millions of steps stops to learn of new ones. phi is at least exp(-80). A
    layer carries d + 1 numbers for each unit. The masks of `zoneout` keep a column of S and an entry of z, by value and
    by key: in training the weights of a step then do not add up to 1. There is no ``weight_hh``: `recurrent_dropout`
    and `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import LinearAttention
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=LinearAttention(head_size=4), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.transform(X).shape
    (100, 8)
    """

    head_size: int = 16

    _name: ClassVar[str] = "linear_attention"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "head_size": [Interval(Integral, 1, 256, closed="both")],
    }

    def _kernel_name(self) -> str:
        return "linear_attention"

    def _numbers(self) -> tuple[int, ...]:
        return (int(self.head_size),)
