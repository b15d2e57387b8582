from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm._kernels.optim._updates import FactoredGradient
from sklstm._network.architecture import Architecture
from sklstm._network.memory_plan import Plan

LOSS_KINDS: dict[str, int]

def cell_numbers() -> dict[str, dict[str, Any]]: ...
def cell_sizes(name: str, values: Sequence[int]) -> dict[str, int]: ...
def lanes_of(dtype: str | np.dtype[Any], isa: str | None = None, reduced: bool = False) -> int: ...

class Stack:
    n_parameters: int
    state_size: int
    panels_size: int
    words: NDArray[np.float32] | None
    words_size: int
    transposed_size: int
    segments: list[tuple[int, bool]]
    architecture: Architecture
    every_step: bool
    options: bool
    reads_row_by_row: bool
    skip_is_frozen: bool
    skip_range: tuple[int, int]
    largest_input: float
    n_outputs: int
    hidden_size: int
    input_size: int
    outer_products: tuple[int, int]
    dtype: np.dtype[Any]
    def __init__(
        self,
        plan: Plan,
        dtype: str = ...,
        isa: str | None = None,
        *,
        input_mean: Sequence[float] | NDArray[Any] | None = None,
        input_scale: Sequence[float] | NDArray[Any] | None = None,
    ) -> None: ...
    def bind(
        self, panels: NDArray[Any], transposed: NDArray[Any] | None = None, input_gradient: bool = False
    ) -> None: ...
    def measure(self, ranges: NDArray[np.float64] | None) -> None: ...
    def weights_changed(self) -> None: ...
    def to_panels(self, flat: NDArray[Any], panels: NDArray[Any]) -> None: ...
    def from_panels(self, panels: NDArray[Any], flat: NDArray[Any]) -> None: ...
    def training_chunks(self, n_samples: int) -> tuple[int, int, int]: ...
    def interleaved_order(self, n_samples: int) -> NDArray[np.intp]: ...
    def workspace_bytes(
        self,
        n_samples: int,
        max_rows: int,
        *,
        training: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        neighbours: bool = False,
        d_x: bool = False,
        table: NDArray[Any] | None = None,
    ) -> tuple[int, int, int]: ...
    def window_moments(
        self,
        sequences: NDArray[Any],
        row_stride: int,
        starts: NDArray[np.intp],
        lengths: NDArray[np.intp],
        shift: NDArray[np.float64],
        deviation: NDArray[np.float64],
    ) -> None: ...
    def forward(
        self,
        sequences: NDArray[Any],
        row_stride: int,
        starts: NDArray[np.intp],
        lengths: NDArray[np.intp],
        workspace: NDArray[np.uint8],
        n_threads: int,
        *,
        z: NDArray[Any] | None = None,
        hidden: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        final_state: NDArray[Any] | None = None,
        pool_weights: NDArray[Any] | None = None,
        head_weights: NDArray[Any] | None = None,
        ahead: NDArray[Any] | None = None,
        ahead_starts: NDArray[np.intp] | None = None,
        first_rows: NDArray[np.intp] | None = None,
    ) -> None: ...
    def forward_backward(
        self,
        sequences: NDArray[Any],
        row_stride: int,
        starts: NDArray[np.intp],
        lengths: NDArray[np.intp],
        workspace: NDArray[np.uint8],
        n_threads: int,
        *,
        max_steps: int,
        targets: NDArray[Any],
        weights: NDArray[Any],
        loss: str,
        scale: float,
        slots: NDArray[np.uint8],
        loss_parameter: float | NDArray[np.float64] = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        neighbours: bool = False,
        seed: int = 0,
        epoch: int = 0,
        sample_ids: NDArray[np.uint32] | None = None,
        z: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        final_state: NDArray[Any] | None = None,
        d_initial_state: NDArray[Any] | None = None,
        d_x: NDArray[Any] | None = None,
        ahead: NDArray[Any] | None = None,
        ahead_starts: NDArray[np.intp] | None = None,
        first_rows: NDArray[np.intp] | None = None,
        slot_range: tuple[int, int] | None = None,
        chunk_losses: NDArray[np.float64] | None = None,
        factored: FactoredGradient | None = None,
    ) -> float: ...
