"""The jobs of the benchmark: shapes, data and weights that all sides share, and how many FLOP they take.

FLOP are those of the matrix products of the layers alone, a multiply-add counted as two.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Shape:
    """A network of equal layers with one output."""

    layers: int
    units: int
    columns: int

    @property
    def inputs(self):
        """Return what each layer reads at a step."""
        return [self.columns] + [self.units] * (self.layers - 1)

    @property
    def forward_flop(self):
        """Return the FLOP of one step of one sequence."""
        return sum(8 * self.units * (below + self.units) for below in self.inputs)

    @property
    def training_flop(self):
        """Return the same for forward and backward: gradients of the weights, of h, and of x above the first layer."""
        through = 8 * self.units * (self.units * self.layers + sum(self.inputs[1:]))
        return 2 * self.forward_flop + through

    def weights(self):
        """Return random weights under the names of `parameters_`, gates in the order i, f, g, o."""
        rng, limit = np.random.default_rng(1), self.units**-0.5
        arrays = {}
        for layer, below in enumerate(self.inputs):
            arrays[f"weight_ih_l{layer}"] = rng.uniform(-limit, limit, (4 * self.units, below))
            arrays[f"weight_hh_l{layer}"] = rng.uniform(-limit, limit, (4 * self.units, self.units))
            arrays[f"bias_l{layer}"] = rng.uniform(-limit, limit, 4 * self.units)
        arrays["weight_out"] = rng.uniform(-limit, limit, (1, self.units))
        arrays["bias_out"] = rng.uniform(-limit, limit, 1)
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    def __str__(self):
        """Return the shape as the table shows it."""
        return f"{self.layers}x{self.units}, {self.columns} columns"


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


@cache
def fitted_model(shape, steps, n_threads):
    """Return an estimator of that shape, hardly trained. Its parameters are the same for any number of threads."""
    from sklstm import DeepLSTMRegressor

    rng = np.random.default_rng(6)
    model = DeepLSTMRegressor(
        shape.units,
        shape.layers,
        sequence_length=steps,
        max_iter=1,
        early_stopping=False,
        n_jobs=n_threads,
        random_state=0,
    )
    return model.fit(rng.standard_normal((32, shape.columns), dtype=np.float32), 1.0 + rng.standard_normal(32))
