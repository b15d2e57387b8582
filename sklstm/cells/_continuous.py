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

    Notes
    -----
    From its input x_t, the state of the step before and the time ``gap`` since then, a layer computes [Hasani2022]_ ::

        f_1, f_2 = tanh(W x_t + U h_(t-1) + b)        a, b = W x_t + U h_(t-1) + b
        s = sigmoid(a * gap + b)
        h_t = (1 - s) * f_1 + s * f_2

    with blocks of rows f_1, f_2, t_a, t_b (a and b) in ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``: the solution
    of a liquid time-constant network, approximated in closed form, which needs no solver of differential equations.

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
    >>> model.predict(X).shape
    (100,)
    """

    time_column: int | str | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "time_column": [Interval(Integral, 0, None, closed="left"), str, None],
    }

    def _kernel_name(self) -> str:
        return "cfc"
