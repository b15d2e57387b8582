"""Runs `sklstm._kernels.network._stack.Stack` on dicts of parameters and lists of sequences, as the reference does."""

import numpy as np

from sklstm._network.architecture import Architecture
from sklstm._network.build import build_stack


def make_stack(input_size, hidden_sizes, n_outputs, dtype="float32", isa=None, *, scaling=(), **options):
    return build_stack(Architecture(input_size, hidden_sizes, n_outputs, **options), dtype, isa, **dict(scaling))


def aligned(n_bytes):
    block = np.zeros(n_bytes + 64, np.uint8)
    offset = -block.ctypes.data % 64
    return block[offset : offset + n_bytes]


def flatten(parameters):
    return np.concatenate([np.ravel(parameters[name]) for name in ordered(parameters)])


def ordered(parameters):
    n_layers = sum(name.startswith("weight_ih") for name in parameters)
    names = [f"{kind}_l{layer}" for layer in range(n_layers) for kind in ("weight_ih", "weight_hh", "bias")]
    return [*names, "weight_out", "bias_out"]


def unflatten(vector, parameters):
    result, begin = {}, 0
    for name in ordered(parameters):
        size = np.size(parameters[name])
        result[name] = vector[begin : begin + size].reshape(np.shape(parameters[name]))
        begin += size
    return result


def states_to_rows(h, c):
    """(L, N, H) or list of (N, H) pairs -> (N, state_size)."""
    return np.concatenate([part for pair in zip(h, c, strict=True) for part in pair], axis=1)


def rows_to_states(rows, sizes):
    h, c, begin = [], [], 0
    for size in sizes:
        h.append(rows[:, begin : begin + size])
        c.append(rows[:, begin + size : begin + 2 * size])
        begin += 2 * size
    return h, c


class StackRunner:
    """A stack with its packed weights and the sequences it is to see, longest first as the kernels want them."""

    def __init__(self, parameters, sequences, *, dtype="float64", isa=None, h0=None, c0=None, n_threads=1):
        self.parameters, self.dtype, self.n_threads = parameters, np.dtype(dtype), n_threads
        self.sizes = [parameters[n].shape[1] for n in ordered(parameters) if n.startswith("weight_hh")]
        n_outputs = parameters["weight_out"].shape[0]
        self.input_size = parameters["weight_ih_l0"].shape[1]
        self.stack = make_stack(self.input_size, self.sizes, n_outputs, self.dtype, isa)
        flat = np.ascontiguousarray(flatten(parameters), self.dtype)
        panels, back = (
            aligned(size * self.dtype.itemsize).view(self.dtype)
            for size in (self.stack.panels_size, self.stack.transposed_size)
        )
        self.stack.to_panels(flat, panels)
        self.stack.bind(panels, back, True)
        lengths = np.array([len(s) for s in sequences], np.intp)
        self.order = np.argsort(-lengths, kind="stable")
        self.table = np.ascontiguousarray(np.concatenate(sequences), self.dtype)
        starts = np.cumsum(lengths) - lengths
        self.starts, self.lengths = starts[self.order], lengths[self.order]
        self.state = None
        if h0 is not None:
            rows = states_to_rows(h0, c0)[self.order]
            self.state = np.ascontiguousarray(rows, self.dtype)

    def _back(self, array):
        out = np.empty_like(array)
        out[self.order] = array
        return out

    def forward(self):
        n, stack = len(self.starts), self.stack
        n_bytes, _, _ = stack.workspace_bytes(n, self.lengths.max())
        z = np.full((n, stack.n_outputs), np.nan, self.dtype)
        hidden = np.full((n, stack.hidden_size), np.nan, self.dtype)
        final = np.full((n, stack.state_size), np.nan, self.dtype)
        stack.forward(
            self.table, self.input_size, self.starts, self.lengths, aligned(n_bytes * self.n_threads),
            self.n_threads, z=z, hidden=hidden, initial_state=self.state, final_state=final,
        )  # fmt: skip
        h, c = rows_to_states(self._back(final), self.sizes)
        return {"z": self._back(z), "hidden": self._back(hidden), "h_final": h, "c_final": c}

    def forward_backward(self, loss, y, weights, *, scale=1.0, dropout=0.0, seed=0, epoch=0, want_inputs=True):
        n, stack, steps = len(self.starts), self.stack, int(self.lengths.max())
        n_bytes, slot_bytes, _ = stack.workspace_bytes(n, steps, training=True, dropout=dropout, d_x=want_inputs)
        gradient, slots = np.full(stack.n_parameters, np.nan, self.dtype), aligned(slot_bytes)
        z = np.full((n, stack.n_outputs), np.nan, self.dtype)
        d_x = np.zeros((n, steps, self.input_size), self.dtype) if want_inputs else None
        d_state = np.full((n, stack.state_size), np.nan, self.dtype) if want_inputs else None
        y = np.ascontiguousarray(np.reshape(y, (n, -1))[self.order], self.dtype)
        value = stack.forward_backward(
            self.table, self.input_size, self.starts, self.lengths, aligned(n_bytes * self.n_threads),
            self.n_threads, max_steps=steps, targets=y,
            weights=np.ascontiguousarray(np.asarray(weights)[self.order], self.dtype), loss=loss, scale=scale,
            slots=slots, dropout=dropout, seed=seed, epoch=epoch,
            sample_ids=self.order.astype(np.uint32), z=z, initial_state=self.state, d_initial_state=d_state, d_x=d_x,
        )  # fmt: skip
        stack.from_panels(slots[: stack.panels_size * self.dtype.itemsize].view(self.dtype), gradient)
        result = {"loss": value, "z": self._back(z), "parameters": unflatten(gradient, self.parameters)}
        if want_inputs:
            d_h, d_c = rows_to_states(self._back(d_state), self.sizes)
            d_x = self._back(d_x)
            lengths = self._back(self.lengths)
            result |= {"h0": d_h, "c0": d_c, "sequences": [x[:k] for x, k in zip(d_x, lengths, strict=True)]}
        return result
