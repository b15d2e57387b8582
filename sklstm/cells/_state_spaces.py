"""State spaces: cells whose units carry a linear state of several numbers."""

from dataclasses import dataclass
from math import pi
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from sklstm.cells._base import Cell

_DISCRETIZATIONS = ("zoh", "bilinear")
_STARTS = ("legs", "lin", "inv")
# Of a number that the registry keeps as an integer.
_MILLION = 1_000_000


@dataclass(kw_only=True, eq=False, repr=False)
class S4D(Cell):
    """Diagonal state space S4D: each unit filters its sum by a linear system of complex states.

    Parameters
    ----------
    state_size : int, default=8
        Complex states of a unit, half of the paper's N.
    discretization : {"zoh", "bilinear"}, default="zoh"
        How the continuous system becomes one in steps: zero-order hold, or the bilinear transform.
    init : {"legs", "lin", "inv"}, default="legs"
        Imaginary parts that the eigenvalues start at: S4D-LegS, S4D-Lin or S4D-Inv.

    Notes
    -----
    From its input x_t and its states s of the step before, a unit computes [Gu2022]_ ::

        v = W x_t + b
        s_n = exp(dt a_n) s_n + v        a_n = -exp(log_a_re_n) + i a_im_n, dt = exp(log_dt)
        h_t = 2 Re(sum_n c_n B_n s_n) + d v        B_n = (exp(dt a_n) - 1) / a_n

    or, bilinear, ``(1 + dt a_n / 2) / (1 - dt a_n / 2)`` and ``dt / (1 - dt a_n / 2)`` in place of ``exp(dt a_n)`` and
    ``B_n``, with ``weight_ih`` (W), ``bias``, and for each unit ``weight_log_dt``, ``weight_log_a_re``,
    ``weight_a_im``, ``weight_c_re``, ``weight_c_im`` and ``weight_d``. The state of the paper is ``B_n s_n``. Steps
    start between .001 and .1, real parts at -1/2. The layer is linear in its inputs: put a block of gated units behind
    it, the `feedforward` of the network. There is no ``weight_hh``: `recurrent_dropout` and `weight_dropout` have
    nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import S4D
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=S4D(state_size=4), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_a_im_l0"].shape
    (4, 8)
    """

    state_size: int = 8
    discretization: Literal["zoh", "bilinear"] = "zoh"
    init: Literal["legs", "lin", "inv"] = "legs"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "state_size": [Interval(Integral, 1, 256, closed="both")],
        "discretization": [StrOptions(set(_DISCRETIZATIONS))],
        "init": [StrOptions(set(_STARTS))],
    }

    def _kernel_name(self) -> str:
        return "s4d"

    def _numbers(self) -> tuple[int, ...]:
        return int(self.state_size), _DISCRETIZATIONS.index(self.discretization), _STARTS.index(self.init)


@dataclass(kw_only=True, eq=False, repr=False)
class S5(Cell):
    """Simplified state space layer S5: one linear system of complex states that all inputs enter.

    Parameters
    ----------
    discretization : {"zoh", "bilinear"}, default="zoh"
        How the continuous system becomes one in steps: zero-order hold, or the bilinear transform.
    init : {"legs", "lin", "inv"}, default="legs"
        Imaginary parts that the eigenvalues start at: of HiPPO-LegS, or those of S4D-Lin or S4D-Inv.

    Notes
    -----
    Units k and k + floor(H / 2) of a layer of H units are the real and the imaginary part of its complex state k. From
    its input x_t and its state s of the step before, the layer computes [Smith2023]_ ::

        s = exp(dt a) s + (exp(dt a) - 1) / a (B x_t + b)        a = -exp(log_re) + i im, dt = exp(log_dt)
        h_t = [Re s, Im s] + d (B x_t + b)

    or, bilinear, with the factors of `S4D`. ``weight_ih`` (B) and ``bias`` have the real parts in their first half of
    rows, the imaginary parts in the second; ``weight_lambda`` has log_re and im in the halves of its first row, and
    log_dt in the first half of its second, whose other half is not read. The dense C of the paper is what reads h: the
    projection (`projection_size`), or the next layer. An odd last unit is a real state. ``weight_d`` (d) stands for
    the paper's D. The layer is linear in its inputs, as `S4D` is.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import S5
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=S5(projection_size=4), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_hr_l0"].shape
    (4, 8)
    """

    discretization: Literal["zoh", "bilinear"] = "zoh"
    init: Literal["legs", "lin", "inv"] = "legs"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "discretization": [StrOptions(set(_DISCRETIZATIONS))],
        "init": [StrOptions(set(_STARTS))],
    }

    def _kernel_name(self) -> str:
        return "s5"

    def _numbers(self) -> tuple[int, ...]:
        return _DISCRETIZATIONS.index(self.discretization), _STARTS.index(self.init)


@dataclass(kw_only=True, eq=False, repr=False)
class LRU(Cell):
    """Linear recurrent unit: complex states with eigenvalues inside the unit circle.

    Parameters
    ----------
    r_min : float, default=0.0
        Least size that the eigenvalues start at.
    r_max : float, default=1.0
        Largest size that the eigenvalues start at, at most 1.
    max_phase : float, default=6.283185307179586
        Largest angle that the eigenvalues start at, at most 2 pi; a small one for slow oscillations.

    Notes
    -----
    Units k and k + floor(H / 2) of a layer of H units are the real and the imaginary part of its complex state k. From
    its input x_t and its state s of the step before, the layer computes [Orvieto2023]_ ::

        s = lambda s + exp(log_gamma) (B x_t + b)        lambda = exp(-exp(log_nu) + i exp(log_theta))
        h_t = [Re s, Im s] + d (B x_t + b)

    ``weight_ih`` (B) and ``bias`` have the real parts in their first half of rows, the imaginary parts in the second;
    ``weight_lambda`` has log_nu and log_theta in the halves of its first row, and log_gamma in its second, a number
    for each half. Eigenvalues start uniform in the ring between `r_min` and `r_max`, and gamma at ``sqrt(1 -
    |lambda|^2)``, which keeps the size of the state at that of its input. The dense C of the paper is what reads h: the
    projection (`projection_size`), or the next layer. An odd last unit is a real state. ``weight_d`` (d) stands for
    the paper's D. The layer is linear in its inputs, as `S4D` is.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import LRU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=LRU(r_min=0.9), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_lambda_l0"].shape
    (2, 8)
    """

    r_min: float = 0.0
    r_max: float = 1.0
    max_phase: float = 2.0 * pi

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "r_min": [Interval(Real, 0, 1, closed="both")],
        "r_max": [Interval(Real, 0, 1, closed="both")],
        "max_phase": [Interval(Real, 0, 2.0 * pi, closed="both")],
    }

    def _validate_params(self) -> None:
        super()._validate_params()
        if self.r_min > self.r_max:
            raise InvalidParameterError(f"r_min={self.r_min} of LRU must be at most r_max={self.r_max}.")

    def _kernel_name(self) -> str:
        return "lru"

    def _numbers(self) -> tuple[int, ...]:
        shares = (self.r_min, self.r_max, self.max_phase / (2.0 * pi))
        return tuple(round(float(share) * _MILLION) for share in shares)


@dataclass(kw_only=True, eq=False, repr=False)
class Mamba(Cell):
    """Selective state space of Mamba: what a unit takes in, keeps and gives depends on the input.

    Parameters
    ----------
    state_size : int, default=16
        States of a unit (N).
    dt_rank : int, default=4
        Numbers of the row from which the steps of all units are made (R).

    Notes
    -----
    From its input x_t and its states s of the step before, a layer computes [Gu2023]_ ::

        u, z = W x_t + b
        v = silu(conv(u_t, u_(t-1), u_(t-2), u_(t-3)))        a weight for each unit and step, and a bias
        low, B, C = W_x v                                     R, N and N numbers that all units share
        delta = softplus(W_dt low + b_dt)
        s_n = exp(-delta exp(log_a_n)) s_n + delta B_n v
        h_t = (sum_n C_n s_n + d v) silu(z)

    with blocks of rows u, z in ``weight_ih`` (W) and ``bias``, and for each unit ``weight_conv``, ``bias_conv``,
    ``weight_x``, ``weight_dt``, ``bias_dt``, ``weight_log_a`` and ``weight_d``. This is the block of the paper but for
    its last product, which is the projection (`projection_size`) or the next layer, and its norm and residual sum,
    which are `norm`, `norm_first` and `residual` of the network. Starting values are the paper's: ``log_a_n = log n``,
    steps between .001 and .1. The argument of silu, z, low, B, C and the argument of softplus are cut at -1000 and
    1000, so that no product leaves single precision. There is no ``weight_hh``: `recurrent_dropout` and
    `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import Mamba
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=Mamba(dt_rank=1), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_x_l0"].shape
    (33, 8)
    """

    state_size: int = 16
    dt_rank: int = 4

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "state_size": [Interval(Integral, 1, 256, closed="both")],
        "dt_rank": [Interval(Integral, 1, 256, closed="both")],
    }

    def _kernel_name(self) -> str:
        return "mamba"

    def _numbers(self) -> tuple[int, ...]:
        return int(self.state_size), int(self.dt_rank)
