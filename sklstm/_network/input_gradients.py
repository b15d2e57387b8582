"""Gradients of a network's outputs by the rows that it reads, in float64."""

from dataclasses import replace

import numpy as np

from sklstm._network.build import build_stack
from sklstm._network.parameters import ParameterLayout
from sklstm._network.workspace import Workspace, aligned_empty

# A target below every output: the slope of the absolute error is 1 there, so that weights are the gradient.
FAR_BELOW = -1e100


class InputGradients:
    """A network as a function of its standardised windows, with the gradient of that function.

    Standardisation, normalisation of windows, patches and the linear skip are no part of the stack that runs here: the
    first three are the caller's, the last is a product with the last rows.

    Parameters
    ----------
    layout : ParameterLayout
        Of the fitted network.
    arrays : dict of str to ndarray
        Its parameters.
    n_threads : int

    Attributes
    ----------
    n_outputs : int
    """

    def __init__(self, layout, arrays, n_threads):
        shape = layout.architecture
        self._patch, self._horizon = shape.patch_length, shape.horizon
        self.n_outputs, self._every_step = shape.n_outputs, shape.every_step
        inner = _architecture_of_steps(shape)
        own = ParameterLayout(**{name: getattr(inner, name) for name in vars(inner)})
        flat = own.flatten({p.name: arrays[p.name] for p in own.parameters}, np.float64)
        self._skip = arrays["weight_skip"].astype(np.float64) if shape.linear_skip else None
        self._skip_bias = arrays.get("bias_skip", np.zeros(self.n_outputs)).astype(np.float64)
        self._stack, self._n_threads, self._workspace = build_stack(inner, "float64"), n_threads, Workspace()
        self._weights = aligned_empty(8 * self._stack.panels_size).view(np.float64)
        self._transposed = aligned_empty(8 * self._stack.transposed_size).view(np.float64)
        self._stack.to_panels(flat, self._weights)
        self._stack.bind(self._weights, self._transposed, True)

    def outputs(self, windows, lengths):
        """Return the raw outputs (n, n_outputs) of standardised windows.

        Parameters
        ----------
        windows : ndarray of shape (n, n_rows, n_features)
            The last row of each window is at the end; rows before its first one are zeros.
        lengths : ndarray of shape (n,)
            Rows of each window.
        """
        table, starts, lengths, order = self._steps(windows, lengths)
        n_bytes, _, n_tasks = self._stack.workspace_bytes(len(starts), lengths[0])
        n_threads = min(self._n_threads, n_tasks)
        self._workspace.reserve(n_bytes * n_threads, 0)
        z = np.empty((len(table) if self._every_step else len(starts), self._stack.n_outputs))
        self._stack.forward(table, table.shape[1], starts, lengths, self._workspace.chunks, n_threads, z=z)
        out = np.empty((len(starts), self.n_outputs))
        out[order] = (z[starts + lengths - 1] if self._every_step else z)[:, : self.n_outputs]
        if self._skip is not None:
            out += self._last_rows(windows).reshape(len(out), -1) @ self._skip.T + self._skip_bias
        return out

    def gradient(self, windows, lengths, d_z):
        """Return the gradient (n, n_rows, n_features) by the windows, given that by the raw outputs (n, n_outputs)."""
        table, starts, lengths, order = self._steps(windows, lengths)
        n, max_steps, width = len(starts), int(lengths[0]), table.shape[1]
        n_bytes, slot_bytes, n_tasks = self._stack.workspace_bytes(n, max_steps, training=True, d_x=True)
        n_threads = min(self._n_threads, n_tasks)
        self._workspace.reserve(n_bytes * n_threads, slot_bytes)
        weights = np.zeros((len(table) if self._every_step else n, self._stack.n_outputs))
        weights[starts + lengths - 1 if self._every_step else slice(None), : self.n_outputs] = d_z[order]
        d_x = np.zeros((n, max_steps, width))
        self._stack.forward_backward(
            table,
            width,
            starts,
            lengths,
            self._workspace.chunks,
            n_threads,
            max_steps=max_steps,
            targets=np.full(weights.shape, FAR_BELOW),
            weights=weights,
            loss="absolute",
            scale=float(self._stack.n_outputs),  # the loss of a sample is the mean over its outputs
            slots=self._workspace.slots,
            d_x=d_x,
        )
        gradient = self._in_rows(d_x, lengths, order, windows.shape)
        if self._skip is not None:
            read = min(self._skip_rows(windows), windows.shape[1])
            d_skip = (d_z @ self._skip).reshape(n, -1, windows.shape[2])
            gradient[:, -read:] += d_skip[:, -read:]
        return gradient

    def _steps(self, windows, lengths):
        """Return the steps as a table, where those of each window begin, their number, longest first, and the order."""
        n, n_rows, n_features = windows.shape
        missing = -n_rows % self._patch
        if missing:
            windows = np.concatenate([np.zeros((n, missing, n_features)), windows], axis=1)
        n_steps = windows.shape[1] // self._patch
        table = np.ascontiguousarray(windows).reshape(n * n_steps, self._patch * n_features)
        lengths = -(-np.asarray(lengths, np.intp) // self._patch)
        order = np.argsort(-lengths, kind="stable")
        starts = (np.arange(n) * n_steps + n_steps - lengths).astype(np.intp)
        return table, starts[order], lengths[order], order

    def _in_rows(self, d_x, lengths, order, shape):
        """Return gradients of steps, which begin at 0, as gradients of rows, which end at the last."""
        n, n_rows, n_features = shape
        n_steps = -(-n_rows // self._patch)
        aligned = np.zeros((n, n_steps, d_x.shape[2]))
        for length in np.unique(lengths):
            chosen = lengths == length
            aligned[order[chosen], n_steps - length :] = d_x[chosen, :length]
        return aligned.reshape(n, n_steps * self._patch, n_features)[:, n_steps * self._patch - n_rows :]

    def _skip_rows(self, windows):
        return self._skip.shape[1] // windows.shape[2]

    def _last_rows(self, windows):
        """Return the rows that the linear skip reads, zeros in front of short windows."""
        n, n_rows, n_features = windows.shape
        read = self._skip_rows(windows)
        if n_rows >= read:
            return windows[:, n_rows - read :]
        return np.concatenate([np.zeros((n, read - n_rows, n_features)), windows], axis=1)


def _architecture_of_steps(shape):
    """Return the same layers and head over steps that are made already: a patch is one row."""
    changes = {
        "input_size": shape.input_size * shape.patch_length,
        "patch_length": 1,
        "window_norm": None,
        "linear_skip": 0,
        "known_columns": (),
    }
    if shape.n_turns:
        # A turn stands for the rows of a patch; the last one may reach beyond the horizon.
        changes |= {"horizon": shape.n_turns, "n_outputs": shape.n_turns * shape.head_outputs}
    return replace(shape, **changes)
