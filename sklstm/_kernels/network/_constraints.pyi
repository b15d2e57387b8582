from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from sklstm._kernels.network._stack import Stack

class RecurrentBlocks:
    def __init__(self, stack: Stack, ranges: Sequence[tuple[int, int]], n_threads: int) -> None: ...
    def bound_norms(self, panels: NDArray[Any], limit: float, anew: bool) -> None: ...
    def make_orthogonal(self, panels: NDArray[Any], limit: float, anew: bool) -> None: ...
