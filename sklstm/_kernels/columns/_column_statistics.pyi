from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm._kernels.columns.centring import ColumnMoments, ColumnStatistics

def column_statistics(
    X: NDArray[np.float32] | NDArray[np.float64],
    target: NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int64] | None,
    blocks: NDArray[np.integer[Any]] | Sequence[int],
    *,
    max_lag: int,
    decay: float,
    n_threads: int,
    row_weights: NDArray[np.float64] | None = None,
    sample_weights: NDArray[np.float64] | None = None,
    isa: str | None = None,
) -> ColumnStatistics: ...
def column_moments(
    X: NDArray[np.float32] | NDArray[np.float64],
    weights: NDArray[np.floating[Any]] | None = None,
    *,
    n_threads: int,
    isa: str | None = None,
) -> ColumnMoments: ...
def joined_moments(
    weight: NDArray[np.float64],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
    more_weight: float,
    more_mean: NDArray[np.float64],
    more_deviation: NDArray[np.float64] | None,
    constant: float,
    growth: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], bool]: ...
