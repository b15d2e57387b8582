"""A network of any cell and options with ragged sequences, and all that a call of its stack needs."""

import numpy as np
from network.stack_runner import aligned

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout

GUARD = 0xA5
# Cells that multiply two sums: their numbers grow with the square of the weights.
MULTIPLY = {"second_order", "mlstm"}
# Sizes of their own that cells have in turn; tests of estimators take the defaults.
NUMBERS = {
    "s4d": ((3, 1, 1), (2, 0, 2)),
    "s5": ((0, 0), (1, 1)),
    "mamba": ((5, 1), (3, 2)),
    "retention": ((3, 1), (5, 0), (16, 1)),
    "linear_attention": ((3,), (16,)),
    "lmu": ((8, 32), (3, 5), (1, 2)),
}


def draw_scaling(n_columns, seed):
    """Mean and scale of each column, far from those that change nothing."""
    rng = np.random.default_rng([6, seed])
    return rng.normal(0, 3, n_columns), rng.uniform(0.4, 2.5, n_columns)


class OptionsCase:
    """`options` are those of `Architecture`, the cell among them, and of the call: dropout, recurrent_dropout.

    `scaled`: the input has a mean and a scale; `table_dtype`: None for that of the network.
    """

    def __init__(
        self, isa, hidden_sizes, *, seed=0, n=5, n_columns=3, n_outputs=2, longest=6, dtype="float64", threads=1,
        dropout=0.0, recurrent_dropout=0.0, scaled=False, table_dtype=None, **options,
    ):  # fmt: skip
        rng = np.random.default_rng([5, seed])
        choices = NUMBERS.get(options.get("cell"), ((),))
        options = {"cell_numbers": choices[seed % len(choices)], **options}
        self.layout = ParameterLayout(n_columns, hidden_sizes, n_outputs, **options)
        self.shape = self.layout.architecture
        self.network_dtype, self.threads = dtype, threads
        # The parameters of a bfloat16 network are float32.
        self.dtype = dtype = "float32" if dtype == "bfloat16" else dtype
        self.scaling = draw_scaling(n_columns, seed) if scaled else (np.zeros(n_columns), np.ones(n_columns))
        named = dict(zip(("input_mean", "input_scale"), self.scaling, strict=True)) if scaled else {}
        self.network = Network(self.layout, self.network_dtype, threads, isa, **named)
        self.stack, self.stack_isa = self.network._stack, isa
        start = self.layout.initial(rng, "float64")
        spread = min(1.0, 4.0 / max(hidden_sizes)) if self.shape.cell in MULTIPLY else 1.0
        for name, view in self.layout.views(start).items():
            if name.startswith("bias_dt") and max(hidden_sizes) < 9:
                # Mamba: steps near 1 instead of .01, through which hardly a gradient comes where all else is small.
                view += 4.0
        self.flat = (start + 0.25 * spread * rng.normal(size=self.layout.size)).astype(dtype)
        self.lengths = np.sort(rng.integers(1, longest + 1, n))[::-1].astype(np.intp)
        self.lengths[0] = longest
        self.starts = (np.cumsum(self.lengths) - self.lengths).astype(np.intp)
        n_rows = self.lengths.sum()
        mean, scale = self.scaling
        self.table = (mean + scale * rng.normal(size=(n_rows, n_columns))).astype(table_dtype or dtype)
        # What pooling carries is not a state that gradients are asked for.
        self.has_state = self.shape.pooling == "last"
        self.state = rng.normal(size=(n, self.stack.state_size)).astype(dtype) if self.has_state else None
        if self.has_state and self.shape.cell == "linear_attention":  # whose normaliser is a sum of positive numbers
            self.state = np.abs(self.state)
        n_targets = n_rows if self.shape.every_step else n
        self.targets = rng.normal(size=(n_targets, n_outputs)).astype(dtype)
        self.weights = rng.uniform(0.5, 2.0, n_targets).astype(dtype)
        self.drops = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
        self.workspace, self.guards = None, []
        self.back = self.take_array(self.stack.transposed_size)
        self.changes_rows = bool(self.shape.window_norm or self.shape.patch_length > 1 or self.shape.linear_skip)
        self.stack.bind(self.network.weights, self.back, True)
        self.ids, self.seed, self.epoch = (10 + np.arange(n)).astype(np.uint32), 3, 1
        # Of the rows after the sequences, which overlap; the last row of all is there for nobody.
        self.ahead, n_known = {}, len(self.shape.known_columns)
        if self.shape.n_turns and n_known:
            rows = (mean + scale * rng.normal(size=(n + self.shape.horizon, n_columns)))[:, self.shape.known_columns]
            self.ahead = {
                "ahead": np.ascontiguousarray(rows, table_dtype or dtype),
                "ahead_starts": rng.permutation(n).astype(np.intp),
            }
            self.changes_rows = True
        self.changes_rows = self.changes_rows or self.shape.time_column is not None
        # Rows by which a call may claim to be longer than its longest sequence.
        self.spare = 0

    def take(self, n_bytes):
        """Memory whose numbers are NaN: what a call does not write it must not read. Behind it a guard."""
        block = aligned(n_bytes + 256)
        block[:n_bytes], block[n_bytes:] = 0xFF, GUARD
        self.guards.append(block[n_bytes:])
        return block[:n_bytes]

    def take_array(self, *shape):
        return self.take(int(np.prod(shape)) * np.dtype(self.dtype).itemsize).view(self.dtype).reshape(shape)

    def assert_intact(self):
        """Nobody has written behind the memory that a call was given."""
        assert self.guards
        assert all((guard == GUARD).all() for guard in self.guards)

    @property
    def row_stride(self):
        return self.table.strides[0] // self.table.itemsize

    @property
    def sequences(self):
        return np.split(self.table, np.cumsum(self.lengths)[:-1])

    def rows_ahead(self, which=slice(None)):
        """Arguments of the kernels."""
        if not self.ahead:
            return {}
        return {"ahead": self.ahead["ahead"], "ahead_starts": self.ahead["ahead_starts"][which].copy()}

    @property
    def known_ahead(self):
        """(N, horizon, number of known columns)"""
        if not self.ahead:
            return None
        rows = self.ahead["ahead_starts"][:, np.newaxis] + np.arange(self.shape.horizon)
        return self.ahead["ahead"][rows]

    @property
    def parameters(self):
        return {name: v.astype(np.float64) for name, v in self.layout.views(self.flat).items()}

    def forward(self, which=slice(None), **more):
        """Return raw outputs, features and final states; of some sequences, or of each step."""
        self.stack.to_panels(self.flat, self.network.weights)
        starts, lengths = self.starts[which].copy(), self.lengths[which].copy()
        n_bytes, _, _ = self.stack.workspace_bytes(len(starts), lengths[0], table=self.table)
        rows = len(self.table) if self.shape.every_step else len(starts)
        z, hidden = self.take_array(rows, self.shape.n_outputs), self.take_array(rows, self.shape.features_size)
        final = self.take_array(len(starts), self.stack.state_size)
        state = None if self.state is None else np.ascontiguousarray(self.state[which])
        self.stack.forward(
            self.table, self.row_stride, starts, lengths, self.take(n_bytes * self.threads), self.threads,
            z=z, hidden=hidden, initial_state=state, final_state=final, **self.rows_ahead(which), **more,
        )  # fmt: skip
        self.assert_intact()
        return z, hidden, final

    def loss(self, **wanted):
        n, steps = len(self.lengths), int(self.lengths[0]) + self.spare
        if self.workspace is None:
            n_bytes, slot_bytes, _ = self.stack.workspace_bytes(
                n, steps, training=True, d_x=not self.changes_rows, table=self.table, **self.drops
            )
            self.workspace, self.slots = self.take(n_bytes * self.threads), self.take(slot_bytes)
        self.stack.to_panels(self.flat, self.network.weights)
        return self.stack.forward_backward(
            self.table, self.row_stride, self.starts, self.lengths, self.workspace, self.threads, max_steps=steps,
            targets=self.targets, weights=self.weights, loss="squared", scale=1 / n, slots=self.slots,
            seed=self.seed, epoch=self.epoch, sample_ids=self.ids, initial_state=self.state, **self.drops,
            **self.ahead, **wanted,
        )  # fmt: skip

    def gradients(self):
        """Of the parameters, the table and the initial state; None where they are not defined."""
        n, steps, columns = len(self.lengths), int(self.lengths[0]) + self.spare, self.table.shape[1]
        d_x = None if self.changes_rows else self.take_array(n, steps, columns)
        d_state = self.take_array(n, self.stack.state_size) if self.has_state else None
        self.loss(d_x=d_x, d_initial_state=d_state)
        self.assert_intact()
        flat = self.network.from_panels(self.slots[: self.network.weights.nbytes].view(self.dtype))
        if d_x is not None:
            # Beyond the end of a sequence its gradient is left alone.
            assert all(np.isnan(d[k:]).all() for d, k in zip(d_x, self.lengths, strict=True))
            d_x = np.concatenate([d[:k] for d, k in zip(d_x, self.lengths, strict=True)])
        return flat, d_x, d_state
