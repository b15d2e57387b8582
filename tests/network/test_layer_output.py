"""Residual sums, normalisation, feedforward blocks: against the reference, and gradients by central differences."""

import numpy as np
import pytest
from network.stack_runner import aligned, rows_to_states
from numpy.testing import assert_allclose, assert_array_equal
from reference.differences import numerical_gradient
from reference.layer_output import deep_forward

from sklstm._kernels import available_isas
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences

pytestmark = pytest.mark.parametrize("isa", available_isas())
TOLERANCE = {"float32": 3e-5, "float64": 1e-12}


class Problem:
    """A network of some options, sequences of different lengths, and all that a call of its stack needs."""

    def __init__(self, isa, hidden, n_layers, *, n=5, dtype="float64", dropout=0.0, threads=1, **options):
        rng = np.random.default_rng(hidden + 10 * n_layers)
        self.layout = ParameterLayout(3, (hidden,) * n_layers, 2, **options)
        self.network, self.dtype, self.dropout = Network(self.layout, dtype, threads, isa), dtype, dropout
        self.stack = self.network._stack
        self.flat = (self.layout.initial(rng, "float64") + 0.2 * rng.normal(size=self.layout.size)).astype(dtype)
        self.network.load(self.flat)
        self.lengths = np.sort(rng.integers(1, 6, n))[::-1].astype(np.intp)
        self.starts = (np.cumsum(self.lengths) - self.lengths).astype(np.intp)
        self.table = rng.normal(size=(self.lengths.sum(), 3)).astype(dtype)
        self.state = rng.normal(size=(n, self.stack.state_size)).astype(dtype)
        self.targets, self.weights = rng.normal(size=(n, 2)).astype(dtype), rng.uniform(0.5, 2.0, n).astype(dtype)
        self.threads, size = threads, np.dtype(dtype).itemsize
        self.back = aligned(self.stack.transposed_size * size).view(dtype)
        self.stack.bind(self.network.weights, self.back, True)

    @property
    def sequences(self):
        return np.split(self.table, np.cumsum(self.lengths)[:-1])

    def forward(self, **kind):
        n_bytes, _, _ = self.stack.workspace_bytes(len(self.lengths), self.lengths[0])
        out = np.full((len(self.lengths), 2), np.nan, self.dtype)
        final = np.full_like(self.state, np.nan)
        hidden = np.full((len(self.lengths), self.layout.architecture.hidden_sizes[-1]), np.nan, self.dtype)
        self.stack.forward(
            self.table, 3, self.starts, self.lengths, aligned(n_bytes * self.threads), self.threads,
            z=out, hidden=hidden, initial_state=self.state, final_state=final,
        )  # fmt: skip
        return out, hidden, final

    def loss(self, **wanted):
        n, steps = len(self.lengths), int(self.lengths[0])
        n_bytes, slot_bytes, _ = self.stack.workspace_bytes(n, steps, training=True, dropout=self.dropout, d_x=True)
        self.slots = aligned(slot_bytes)
        self.stack.to_panels(self.flat, self.network.weights)
        return self.stack.forward_backward(
            self.table, 3, self.starts, self.lengths, aligned(n_bytes * self.threads), self.threads, max_steps=steps,
            targets=self.targets, weights=self.weights, loss="squared", scale=1 / n, slots=self.slots,
            dropout=self.dropout, seed=3, epoch=1, sample_ids=np.arange(n, dtype=np.uint32),
            initial_state=self.state, **wanted,
        )  # fmt: skip

    def gradients(self):
        n, steps = len(self.lengths), int(self.lengths[0])
        d_x, d_state = np.full((n, steps, 3), np.nan, self.dtype), np.full_like(self.state, np.nan)
        self.loss(d_x=d_x, d_initial_state=d_state)
        flat = self.network.from_panels(self.slots[: self.network.weights.nbytes].view(self.dtype))
        return flat, np.concatenate([d[:k] for d, k in zip(d_x, self.lengths, strict=True)]), d_state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [1, 7, 8, 17, 33])
@pytest.mark.parametrize(
    ("n_layers", "options"),
    [
        (1, {"norm": "layer"}),
        (3, {"residual": 2}),
        (3, {"residual": 1, "norm": "layer"}),
        (6, {"residual": 2, "norm": "layer"}),
        (2, {"residual": 1, "norm": "rms", "feedforward": 8 / 3}),
        (4, {"residual": 1, "norm": "rms", "norm_first": True, "feedforward": 1.0}),
        (3, {"residual": 2, "norm": "layer", "norm_first": True}),
    ],
    ids=str,
)
def test_forward_against_the_reference(isa, n_layers, options, hidden, dtype):
    problem = Problem(isa, hidden, n_layers, **options, n=9, dtype=dtype)
    parameters = {name: v.astype(np.float64) for name, v in problem.layout.views(problem.flat).items()}
    h0, c0 = (np.array(part) for part in rows_to_states(problem.state, (hidden,) * n_layers))
    shape = {name: options[name] for name in ("residual", "norm_first") if name in options}
    expected = deep_forward(parameters, problem.sequences, **shape, h0=h0, c0=c0)
    z, hidden_states, final = problem.forward()
    close = {"rtol": TOLERANCE[dtype], "atol": 30 * TOLERANCE[dtype]}
    assert_allclose(z, expected.z, **close)
    assert_allclose(hidden_states, [y[-1] for y in expected.hidden], **close)
    h, c = rows_to_states(final, (hidden,) * n_layers)
    assert_allclose(np.array(h), expected.h_final, **close)
    assert_allclose(np.array(c), expected.c_final, **close)


@pytest.mark.parametrize("number", range(24))
def test_gradients_by_central_differences(isa, number):
    rng = np.random.default_rng(number)
    n_layers = 1 + number % 6
    problem = Problem(
        isa,
        int(rng.integers(4, 6)),
        n_layers,
        residual=int(rng.integers(0, 4)),
        norm=[None, "layer", "rms", "layer"][number % 4] if n_layers > 1 else "layer",
        norm_first=number % 4 > 1 and n_layers > 1,
        feedforward=[0.0, 1.3, 0.0][number % 3],
        n=int(rng.integers(16, 19)) if number % 8 == 7 else 4,
        dropout=0.3 * (number % 3 == 0),
        threads=1 + number % 2,
    )
    for array, gradient in zip((problem.flat, problem.table, problem.state), problem.gradients(), strict=True):
        # A norm over few units bends strongly where they are nearly equal: a short step cuts off less.
        expected = numerical_gradient(problem.loss, array, step=1e-4)
        # Of two or three units: nearly 1 and -1 whatever they were, and their differences lose digits.
        assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
        assert np.abs(expected).max() > 1e-5


def test_threads_and_batches_change_no_bit(isa):
    problem = Problem(
        isa, 17, 5, residual=2, norm="rms", norm_first=True, feedforward=8 / 3, n=70, dtype="float32", dropout=0.2
    )
    expected, loss = problem.gradients()[0], problem.loss()
    problem.threads = 3
    assert_array_equal(problem.gradients()[0], expected)
    assert problem.loss() == loss
    sequences = Sequences.from_list(problem.sequences)
    together = problem.network.forward(sequences)
    alone = np.concatenate([problem.network.forward(sequences.take(np.array([k]))) for k in range(70)])
    assert_array_equal(alone, together)


def test_a_plain_stack_is_what_it_was(isa):
    """Options that are off change no bit."""
    plain, off = Problem(isa, 9, 3), Problem(isa, 9, 3, residual=3)
    assert_array_equal(plain.gradients()[0], off.gradients()[0])
