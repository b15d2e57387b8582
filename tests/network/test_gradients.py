"""Every gradient of the whole network against central differences of its own loss, in float64.

Random configurations of all options: layers of any widths, ragged sequences, dropout (its mask is a
function of counters, so it stands still while a number is moved), losses, weights with zeros,
non-zero initial states.
"""

import numpy as np
import pytest
from network.stack_runner import aligned, make_stack
from numpy.testing import assert_allclose
from reference.differences import numerical_gradient

from sklstm._kernels import available_isas

N_CONFIGURATIONS = 36
LOSSES = ("squared", "binary_log", "multinomial_log")
# With a parameter for all outputs, or one for each; the network has three.
PARAMETERS = {
    "quantile": [0.1, 0.5, 0.8],
    "huber": 0.4,
    "log_cosh": 0.0,
    "poisson": 0.0,
    "binary_log": 0.3,
    "multinomial_log": 0.2,
}


class Configuration:
    """A random network with its data; `loss()` evaluates it where the arrays stand now."""

    def __init__(self, number, isa, loss=None, loss_parameter=0.0):
        rng = np.random.default_rng([77, number])
        hidden_sizes = rng.choice([2, 3, 4, 5, 7], rng.integers(1, 4)).tolist()
        self.loss_name, self.loss_parameter = loss or LOSSES[number % 3], loss_parameter
        # Each option comes in each combination with the losses.
        self.dropout = (0.0, 0.3, 0.6)[number // 3 % 3]
        ragged, has_state, n_threads = number % 2, number // 2 % 4, 1 + number // 5 % 2
        n_outputs = 1 if self.loss_name == "binary_log" else int(rng.integers(1, 4)) + 1
        n_outputs = 3 if loss else n_outputs
        # One configuration in eight has several chunks.
        n = int(rng.integers(16, 20)) if number % 8 == 7 else int(rng.integers(2, 6))
        steps, input_size = int(rng.integers(3, 7)), int(rng.integers(1, 5))
        self.stack = make_stack(input_size, hidden_sizes, n_outputs, "float64", isa)
        self.flat = rng.uniform(-1.0, 1.0, self.stack.n_parameters)
        lengths = rng.integers(1, steps + 1, n) if ragged else np.full(n, steps)
        lengths[0] = steps
        self.lengths = np.sort(lengths)[::-1].astype(np.intp)
        self.starts = (np.cumsum(self.lengths) - self.lengths).astype(np.intp)
        self.table = rng.normal(size=(self.lengths.sum(), input_size))
        self.state = rng.normal(size=(n, self.stack.state_size)) if has_state else None
        if self.loss_name in ("squared", "quantile", "huber", "log_cosh"):
            self.targets = rng.normal(size=(n, n_outputs))
        elif self.loss_name == "poisson" or (loss and self.loss_name == "binary_log"):
            self.targets = rng.integers(0, 2 if self.loss_name == "binary_log" else 5, (n, n_outputs)).astype(float)
        else:
            self.targets = rng.integers(0, max(2, n_outputs), (n, 1)).astype(np.float64)
        self.weights = rng.uniform(0.5, 2.0, n)
        self.weights[rng.integers(1, n)] = 0.0
        self.sample_ids = rng.permutation(100)[:n].astype(np.uint32)
        self.scale, self.n_threads = 1.0 / n, n_threads
        self.panels, back = (
            aligned(8 * size).view(np.float64) for size in (self.stack.panels_size, self.stack.transposed_size)
        )
        self.stack.bind(self.panels, back, True)
        n_bytes, slot_bytes, _ = self.stack.workspace_bytes(n, steps, training=True, dropout=self.dropout, d_x=True)
        self.workspace, self.slots = aligned(n_bytes * n_threads), aligned(slot_bytes)

    def loss(self, **wanted):
        self.stack.to_panels(self.flat, self.panels)
        return self.stack.forward_backward(
            self.table, self.table.shape[1], self.starts, self.lengths, self.workspace,
            self.n_threads, max_steps=int(self.lengths[0]), targets=self.targets,
            weights=self.weights, loss=self.loss_name, scale=self.scale, slots=self.slots,
            loss_parameter=self.loss_parameter, dropout=self.dropout, seed=9, epoch=2,
            sample_ids=self.sample_ids, initial_state=self.state, **wanted,
        )  # fmt: skip

    def gradients(self):
        """Of the parameters, the input table and the initial state, or None where it is zeros."""
        n, steps, input_size = len(self.lengths), int(self.lengths[0]), self.table.shape[1]
        d_x = np.full((n, steps, input_size), np.nan)
        d_state = np.full((n, self.stack.state_size), np.nan)
        self.loss(d_x=d_x, d_initial_state=d_state)
        d_table = np.concatenate([d[:length] for d, length in zip(d_x, self.lengths, strict=True)])
        gradient = np.empty_like(self.flat)
        self.stack.from_panels(self.slots[: 8 * self.stack.panels_size].view(np.float64), gradient)
        return gradient, d_table, None if self.state is None else d_state


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("number", range(N_CONFIGURATIONS))
def test_gradients_by_central_differences(number, isa):
    check_gradients(Configuration(number, isa))


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("loss", PARAMETERS)
@pytest.mark.parametrize("number", [3, 7])
def test_gradients_of_losses_with_parameters(number, loss, isa):
    check_gradients(Configuration(number, isa, loss, PARAMETERS[loss]))


def check_gradients(configuration):
    moved = configuration.flat, configuration.table, configuration.state
    for array, gradient in zip(moved, configuration.gradients(), strict=True):
        if array is not None:
            expected = numerical_gradient(configuration.loss, array)
            assert_allclose(gradient, expected, rtol=1e-7, atol=1e-10)
            # What fades must still stand out from the absolute tolerance.
            assert np.abs(expected).max() > 1e-5
