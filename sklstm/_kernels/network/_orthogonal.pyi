from numpy.random import Generator
from numpy.typing import NDArray

def fill_orthogonal(generator: Generator, out: NDArray, n_threads: int, isa: str | None = None) -> None: ...
