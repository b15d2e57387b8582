import numpy as np
from numpy.typing import NDArray

def squared_norm(gradient: NDArray, n_threads: int, isa: str | None = None) -> float: ...
def adamw_step(
    parameters: NDArray,
    gradient: NDArray,
    mean: NDArray,
    square: NDArray,
    ends: NDArray[np.intp],
    decays: NDArray[np.float64],
    n_threads: int,
    *,
    scale: float,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: int,
    isa: str | None = None,
) -> None: ...
