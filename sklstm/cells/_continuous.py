"""Cells in continuous time, which read the time between two rows."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval

from sklstm.cells._base import Cell


@dataclass(kw_only=True, eq=False, repr=False)
class CfC(Cell):
    """Closed-form continuous-time network, with the state h: for rows that come at irregular times.

    Parameters
    ----------
    time_column : int, str or None, default=None
        The column of X, by position or name, with the time since the row before, at least 0; None for 1 at each row.
    backbone : bool, default=True
        Whether the four products read a layer before them, of as many units, instead of x_t and h_(t-1) themselves.

    Notes
    -----
    From its input x_t, the state of the step before and the time ``gap`` since then, a layer computes [Hasani2022]_ ::

        z = 1.7159 tanh(0.666 (W x_t + U_z h_(t-1) + b_z))
        f_1, f_2 = tanh(U z + b)        t_a, t_b = U z + b
        s = sigmoid(t_a * gap + t_b)
        h_t = (1 - s) * f_1 + s * f_2

    with a block of rows z in ``weight_ih`` (W), and z, f_1, f_2, t_a, t_b in ``weight_hh`` (U) and ``bias``. Without
    `backbone`, ``W x_t + U h_(t-1)`` stands in the place of ``U z``, with blocks f_1, f_2, t_a, t_b in both matrices.
    This is the solution of a liquid time-constant network, approximated in closed form: no differential equation has
    to be solved step by step.

    Every layer reads the `time_column` as it is in X, never standardised and never changed by `window_norm`; choose its
    unit so that usual gaps are near 1. Like each column it is an input of the first layer besides. The first row of a
    window reads its own gap, too. With `patch_length` the gap of a step is the sum over its rows. It cannot be combined
    with `bidirectional`, nor with a `decoder`, as the times between the rows ahead are not known, nor may it be a
    target_column that `group_scaling` scales.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import CfC
    >>> rng = np.random.default_rng(0)
    >>> gap, value = rng.exponential(size=100), rng.normal(size=100)
    >>> X = np.column_stack([gap, value])
    >>> model = DeepRNNRegressor(8, cell=CfC(time_column=0), max_iter=2, random_state=0).fit(X, value * gap)
    >>> model.parameters_["weight_ih_l0"].shape, model.parameters_["weight_hh_l0"].shape
    ((8, 2), (40, 8))
    """

    time_column: int | str | None = None
    backbone: bool = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "time_column": [Interval(Integral, 0, None, closed="left"), str, None],
        "backbone": ["boolean"],
    }

    def _kernel_name(self) -> str:
        return "cfc_backbone" if self.backbone else "cfc"
