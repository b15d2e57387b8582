from typing import Any

import numpy as np
from numpy.typing import NDArray

class FactoredGradient:
    vector: NDArray[Any]
    def __init__(self, vector: NDArray[Any], n_parts: int, n_numbers: int) -> None: ...
    def to_array(self, isa: str | None = None) -> NDArray[Any]: ...

def squared_norm(gradient: NDArray[Any] | FactoredGradient, n_threads: int, isa: str | None = None) -> float: ...

UPDATE_RULES: dict[str, int]

def update_step(
    rule: str,
    parameters: NDArray[Any],
    gradient: NDArray[Any] | FactoredGradient,
    first: NDArray[Any],
    second: NDArray[Any] | None,
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
    mixing: float = 0.0,
    source: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None] | None = None,
    isa: str | None = None,
) -> bool: ...
