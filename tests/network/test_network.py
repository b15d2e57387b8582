"""The network object: any order of sequences in, the same order out; memory that grows and is used again."""

import numpy as np
import pytest
from network.stack_runner import StackRunner, make_stack
from numpy.testing import assert_allclose, assert_array_equal

from sklstm._network.network import Network
from sklstm._network.noise import Noise
from sklstm._network.parameters import ParameterLayout
from sklstm._network.workspace import ALIGNMENT, Workspace, aligned_empty
from sklstm._sequences import Sequences

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

LAYOUT = ParameterLayout(4, (9, 6), 2)


def make_network(dtype="float64", n_threads=1, seed=0, layout=LAYOUT):
    rng = np.random.default_rng(seed)
    flat = rng.normal(0.0, 0.5, layout.size).astype(dtype)
    network = Network(layout, dtype, n_threads)
    network.load(flat)
    return network, flat


def draw_list(rng, n, dtype="float64"):
    return [rng.normal(size=(k, 4)).astype(dtype) for k in rng.integers(1, 8, n)]


def run_kernels(flat, arrays, layout=LAYOUT):
    return StackRunner(layout.views(flat), arrays, dtype=flat.dtype)


@each_dtype
@pytest.mark.parametrize("n", [1, 2, 40])
def test_forward_keeps_the_order(n, dtype):
    rng = np.random.default_rng(n)
    arrays = draw_list(rng, n, dtype)
    network, flat = make_network(dtype, n_threads=3)
    expected = run_kernels(flat, arrays).forward()
    for order in (np.arange(n), rng.permutation(n), np.argsort([len(a) for a in arrays])):
        sequences = Sequences.from_list([arrays[k] for k in order])
        z = network.forward(sequences)
        hidden = network.forward(sequences, want_hidden=True)
        assert (z.shape, z.dtype, hidden.shape) == ((n, 2), np.dtype(dtype), (n, 6))
        assert_array_equal(z, expected["z"][order])
        assert_array_equal(hidden, expected["hidden"][order])


def test_windows_are_sequences():
    """Windows over a table with groups, never materialised, against their copies."""
    rng = np.random.default_rng(1)
    table = rng.normal(size=(30, 4))
    windows = Sequences.from_windows(table, 6, np.array([0, 11, 12, 30]))
    copies = [
        table[max(begin, row - 5) : row + 1]
        for begin, end in ((0, 11), (11, 12), (12, 30))
        for row in range(begin, end)
    ]
    network, _ = make_network()
    assert_array_equal(network.forward(windows), network.forward(Sequences.from_list(copies)))


def test_unaligned_rows_are_copied():
    """As np.frombuffer behind a header of odd length, or a memmap of such a file, gives them."""
    rng = np.random.default_rng(1)
    table = rng.normal(size=(30, 4))
    unaligned = np.frombuffer(b"-" + table.tobytes(), offset=1).reshape(30, 4)
    assert not unaligned.flags.aligned
    network, _ = make_network()
    for make in (lambda rows: Sequences.from_windows(rows, 6), lambda rows: Sequences.from_array(rows[np.newaxis])):
        assert_array_equal(network.forward(make(unaligned)), network.forward(make(table)))
    assert Sequences.from_windows(table, 6).table is table


def test_array_of_sequences():
    array = np.random.default_rng(1).normal(size=(5, 3, 4))
    network, _ = make_network()
    from_list = network.forward(Sequences.from_list(list(array)))
    assert_array_equal(network.forward(Sequences.from_array(array)), from_list)


def test_load_takes_a_copy():
    network, flat = make_network()
    sequences = Sequences.from_list(draw_list(np.random.default_rng(3), 5))
    before = network.forward(sequences)
    flat[:] = 0.0
    assert_array_equal(network.forward(sequences), before)
    network.load(flat)
    assert_array_equal(network.forward(sequences), np.zeros((5, 2)))


@pytest.mark.parametrize("loss", ["squared", "multinomial_log"])
def test_loss_and_gradient_of_chosen_rows(loss):
    rng = np.random.default_rng(4)
    arrays = draw_list(rng, 50)
    network, flat = make_network()
    targets = rng.normal(size=(50, 2)) if loss == "squared" else rng.integers(0, 2, (50, 1)) * 1.0
    weights = rng.uniform(0.5, 2.0, 50)
    for rows in (np.arange(50), np.array([7]), rng.permutation(50)[:21]):
        value = network.loss_and_gradient(Sequences.from_list(arrays), rows, targets, weights, loss, 0.125)
        runner = run_kernels(flat, [arrays[k] for k in rows])
        expected = runner.forward_backward(loss, targets[rows], weights[rows], scale=0.125)
        # Sequences of different lengths are interleaved over the chunks here and cut as they come there: other sums.
        assert_allclose(value, expected["loss"], rtol=1e-13)
        for name, found in LAYOUT.views(network.from_panels(network.gradient)).items():
            assert_allclose(found, expected["parameters"][name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 33, 64, 65, 130, 512])
def test_sequences_are_interleaved_over_the_chunks(n):
    """Each chunk gets long and short ones, longest first, and every sequence is in one."""
    stack = make_stack(3, (4,), 1)
    order = stack.interleaved_order(n)
    assert_array_equal(np.sort(order), np.arange(n))
    lengths = np.sort(np.random.default_rng(n).integers(7, 30, n))[::-1]
    _, _, n_chunks = stack.workspace_bytes(n, 30)
    size = -(-n // n_chunks)
    chunks = [lengths[order][begin : begin + size] for begin in range(0, n, size)]
    assert len(chunks) == n_chunks
    assert all((np.diff(chunk) <= 0).all() for chunk in chunks)
    # Of two chunks of the same size, the sums differ by no more than the longest sequence.
    sums = [chunk.sum() for chunk in chunks if len(chunk) == size]
    assert max(sums) - min(sums) <= lengths[0]


def test_dropout_belongs_to_the_number_of_a_sequence():
    """Masks follow rows, epoch and seed, whatever batch a row falls into."""
    rng = np.random.default_rng(5)
    sequences = Sequences.from_list(draw_list(rng, 40))
    network, _ = make_network(n_threads=2)
    targets, weights = rng.normal(size=(40, 2)), np.ones(40)

    def loss(rows, **changes):
        options = {"dropout": 0.4, "seed": 6, "epoch": 1} | changes
        rows = np.asarray(rows, np.intp)
        value = network.loss_and_gradient(sequences, rows, targets, weights, "squared", 1.0, Noise(**options))
        return value, network.gradient.copy()

    total, summed = loss(range(40))
    alone = [loss([row]) for row in range(40)]
    assert_allclose(sum(value for value, _ in alone), total, rtol=1e-12)
    assert_allclose(sum(part for _, part in alone), summed, rtol=1e-10, atol=1e-12)
    for change in ({"seed": 7}, {"epoch": 2}, {"dropout": 0.0}):
        assert abs(loss(range(40), **change)[0] - total) > 1e-3 * total


def test_memory_is_used_again():
    """Small after large after small: what an earlier call left behind does not matter."""
    rng = np.random.default_rng(8)
    arrays = draw_list(rng, 200)
    network, _ = make_network(n_threads=2)
    for n in (3, 200, 1, 40):
        sequences = Sequences.from_list(arrays[:n])
        fresh, _ = make_network()
        assert_array_equal(network.forward(sequences), fresh.forward(sequences))
        arguments = sequences, np.arange(n), np.zeros((n, 2)), np.ones(n), "squared", 1.0
        values = []
        for one in (network, fresh):
            values.append((one.loss_and_gradient(*arguments, Noise(0.2, seed=1, epoch=1)), one.gradient.copy()))
        assert values[0][0] == values[1][0]
        assert_array_equal(values[0][1], values[1][1])


def test_workspace_grows_and_stays():
    workspace = Workspace()
    workspace.reserve(100, 10)
    chunks, slots = workspace.chunks, workspace.slots
    workspace.reserve(50, 10)
    assert workspace.chunks is chunks
    assert workspace.slots is slots
    workspace.reserve(101, 5)
    assert len(workspace.chunks) >= 101
    assert workspace.slots is slots


@pytest.mark.parametrize("n_bytes", [1, 63, 64, 65, 5000])
def test_aligned_empty(n_bytes):
    for _ in range(20):
        block = aligned_empty(n_bytes)
        assert block.ctypes.data % ALIGNMENT == 0
        assert (len(block), block.dtype) == (n_bytes, np.uint8)
