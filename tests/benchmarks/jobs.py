"""The jobs of the benchmark: shapes, data and weights that all sides share, and how many FLOP they take.

FLOP are those of the matrix products of the layers alone, a multiply-add counted as two.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Shape:
    """A network of equal layers with one output; `cell` is a name of the registry of cells."""

    layers: int
    units: int
    columns: int
    cell: str = "lstm"

    @property
    def inputs(self):
        """Return what each layer reads at a step."""
        return [self.columns] + [self.units] * (self.layers - 1)

    @property
    def forward_flop(self):
        """Return the FLOP of one step of one sequence."""
        x, h = self._matrices
        return sum(2 * self.units * (x * below + h * self.units) for below in self.inputs)

    @property
    def training_flop(self):
        """Return the same for forward and backward: gradients of the weights, of h, and of x above the first layer."""
        x, h = self._matrices
        through = 2 * self.units * (h * self.units * self.layers + x * sum(self.inputs[1:]))
        return 2 * self.forward_flop + through

    @property
    def _matrices(self):
        """Return how many matrices of `units` rows are multiplied by x and by h."""
        from sklstm._network.cells import CELLS

        return len(CELLS[self.cell].gates_x), len(CELLS[self.cell].gates_h)

    def weights(self):
        """Return random weights under the names of `parameters_`."""
        from sklstm._network.architecture import Architecture

        rng, limit = np.random.default_rng(1), self.units**-0.5
        named = Architecture(self.columns, (self.units,) * self.layers, 1, cell=self.cell).parameters
        return {name: rng.uniform(-limit, limit, shape).astype(np.float32) for name, shape in named}

    def __str__(self):
        """Return the shape as the table shows it."""
        cell = "" if self.cell == "lstm" else f"`{self.cell}` "
        return f"{cell}{self.layers}x{self.units}, {self.columns} columns"


@dataclass(frozen=True)
class Training:
    """Steps of training over all sequences once; `lengths` from `shortest` to `steps`."""

    shape: Shape
    steps: int
    batch: int
    n_sequences: int
    shortest: int | None = None

    @property
    def n_batches(self):
        """Return how many steps of training that is."""
        return -(-self.n_sequences // self.batch)

    def lengths(self):
        """Return the length of each sequence."""
        low = self.steps if self.shortest is None else self.shortest
        return np.random.default_rng(2).integers(low, self.steps, self.n_sequences, endpoint=True)

    def data(self):
        """Return sequences, padded with zeros to (n_sequences, steps, columns), and their targets."""
        rng = np.random.default_rng(3)
        x = rng.standard_normal((self.n_sequences, self.steps, self.shape.columns), dtype=np.float32)
        x[np.arange(self.steps) >= self.lengths()[:, None]] = 0.0
        return x, rng.standard_normal((self.n_sequences, 1), dtype=np.float32)

    @property
    def flop(self):
        """Return the FLOP of one step of training, of the average batch."""
        return self.shape.training_flop * float(self.lengths().sum()) / self.n_batches

    @property
    def forward_flop(self):
        """Return the same for forward alone."""
        return self.shape.forward_flop * float(self.lengths().sum()) / self.n_batches


@dataclass(frozen=True)
class Table:
    """A table whose rows each have the window of the last `steps` rows."""

    shape: Shape
    steps: int
    batch: int
    n_rows: int

    def data(self):
        """Return the table and one target a row."""
        rng = np.random.default_rng(4)
        x = rng.standard_normal((self.n_rows, self.shape.columns), dtype=np.float32)
        return x, rng.standard_normal(self.n_rows, dtype=np.float32)

    @property
    def window_steps(self):
        """Return the steps of all windows together."""
        return float(np.minimum(np.arange(self.n_rows) + 1, self.steps).sum())


@dataclass(frozen=True)
class Streaming:
    """One step of `n_streams` streams at once; `repeats` steps are timed together."""

    shape: Shape
    n_streams: int
    repeats: int

    def rows(self):
        """Return the new row of each stream."""
        rng = np.random.default_rng(5)
        return rng.standard_normal((self.n_streams, self.shape.columns), dtype=np.float32)

    @property
    def flop(self):
        """Return the FLOP of one step."""
        return float(self.shape.forward_flop * self.n_streams)


def as_lstm(job):
    """Return the job for an LSTM of the same sizes."""
    return replace(job, shape=replace(job.shape, cell="lstm"))


@cache
def fitted_model(shape, steps, n_threads, dtype="float32"):
    """Return an estimator of that shape, hardly trained. Its parameters are the same for any number of threads."""
    from sklstm import DeepRNNRegressor

    rng = np.random.default_rng(6)
    model = DeepRNNRegressor(
        shape.units,
        shape.layers,
        cell=shape.cell,
        sequence_length=steps,
        max_iter=1,
        early_stopping=False,
        n_jobs=n_threads,
        random_state=0,
        dtype=dtype,
    )
    return model.fit(rng.standard_normal((32, shape.columns), dtype=np.float32), 1.0 + rng.standard_normal(32))
