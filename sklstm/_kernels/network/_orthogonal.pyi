from typing import Any

from numpy.random import Generator
from numpy.typing import NDArray

def fill_orthogonal(generator: Generator, out: NDArray[Any], n_threads: int, isa: str | None = None) -> None: ...
