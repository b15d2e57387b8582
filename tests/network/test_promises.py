"""The same bits: for any number of threads, in any batch, step by step, from any table and memory."""

from types import SimpleNamespace

import numpy as np
import pytest
from network.stack_runner import StackRunner, make_stack
from numpy.testing import assert_array_equal

from sklstm._kernels import available_isas

each_isa = pytest.mark.parametrize("isa", available_isas())
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

INPUT_SIZE, HIDDEN_SIZES, N_OUTPUTS = 5, (19, 12), 3


def draw_parameters(rng, input_size=INPUT_SIZE, hidden_sizes=HIDDEN_SIZES, n_outputs=N_OUTPUTS):
    parameters, below = {}, input_size
    for layer, hidden in enumerate(hidden_sizes):
        parameters[f"weight_ih_l{layer}"] = rng.normal(0.0, 0.5, (4 * hidden, below))
        parameters[f"weight_hh_l{layer}"] = rng.normal(0.0, 0.3, (4 * hidden, hidden))
        parameters[f"bias_l{layer}"] = rng.normal(0.0, 0.5, 4 * hidden)
        below = hidden
    parameters["weight_out"] = rng.normal(size=(n_outputs, below))
    parameters["bias_out"] = rng.normal(size=n_outputs)
    return parameters


def draw_sequences(rng, n, shortest, longest):
    return [rng.normal(size=(k, INPUT_SIZE)) for k in rng.integers(shortest, longest + 1, n)]


def assert_same_bits(found, expected):
    """Equal arrays of the same types, in dicts and lists of any depth."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_same_bits(found[name], expected[name])
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_same_bits(one, other)
    else:
        assert_array_equal(found, expected, strict=True)


@each_isa
@each_dtype
@pytest.mark.parametrize("n", [1, 15, 16, 33, 70, 600])
def test_threads_change_no_bit(n, dtype, isa):
    """600 sequences are more chunks than there are gradient slots."""
    rng = np.random.default_rng(n)
    parameters = draw_parameters(rng)
    sequences = draw_sequences(rng, n, 1, 7)
    h0, c0 = ([rng.normal(size=(n, h)) for h in HIDDEN_SIZES] for _ in range(2))
    y, weights = rng.normal(size=(n, N_OUTPUTS)), rng.uniform(0.5, 2.0, n)
    results = []
    for n_threads in (1, 2, 3, 4, 8):
        runner = StackRunner(parameters, sequences, dtype=dtype, isa=isa, h0=h0, c0=c0, n_threads=n_threads)
        found = runner.forward_backward("squared", y, weights, scale=1 / n, dropout=0.25, seed=3)
        results.append({"forward": runner.forward(), "backward": found})
    for found in results[1:]:
        assert_same_bits(found, results[0])


@each_isa
@each_dtype
@pytest.mark.parametrize("ragged", [True, False])
def test_a_sequence_alone_equals_itself_in_any_batch(ragged, dtype, isa):
    rng = np.random.default_rng(40)
    parameters = draw_parameters(rng)
    sequences = draw_sequences(rng, 70, 1 if ragged else 6, 6)
    h0, c0 = ([rng.normal(size=(70, h)) for h in HIDDEN_SIZES] for _ in range(2))

    def run(rows):
        runner = StackRunner(
            parameters,
            [sequences[k] for k in rows],
            dtype=dtype,
            isa=isa,
            h0=[h[rows] for h in h0],
            c0=[c[rows] for c in c0],
            n_threads=2,
        )
        return runner.forward()

    alone = [run([k]) for k in range(70)]
    # 1 to 13: all remainders of both tile heights; from 16 on there are chunks.
    for n in (*range(2, 14), 15, 16, 17, 31, 33, 64, 65, 70):
        first = int(rng.integers(0, 71 - n))
        for rows in (np.arange(first, first + n), rng.permutation(70)[:n]):
            found = run(rows)
            for position, k in enumerate(rows):
                for name in ("z", "hidden"):
                    assert_array_equal(found[name][position], alone[k][name][0])
                for name in ("h_final", "c_final"):
                    for layer in range(len(HIDDEN_SIZES)):
                        assert_array_equal(found[name][layer][position], alone[k][name][layer][0])


@each_isa
@each_dtype
@pytest.mark.parametrize("n_first", [1, 2, 5])
def test_states_chain(n_first, dtype, isa):
    """Steps 0..k, and from their final state k..T, are steps 0..T."""
    rng = np.random.default_rng(n_first)
    parameters = draw_parameters(rng)
    sequences = draw_sequences(rng, 20, 6, 11)
    options = {"dtype": dtype, "isa": isa}
    whole = StackRunner(parameters, sequences, **options).forward()
    first = StackRunner(parameters, [s[:n_first] for s in sequences], **options).forward()
    state = {"h0": first["h_final"], "c0": first["c_final"]}
    second = StackRunner(parameters, [s[n_first:] for s in sequences], **options, **state).forward()
    assert_same_bits(second, whole)


@each_isa
@each_dtype
def test_one_step_at_a_time(dtype, isa):
    rng = np.random.default_rng(50)
    parameters = draw_parameters(rng)
    sequence = rng.normal(size=(12, INPUT_SIZE))
    state = {}
    for k, row in enumerate(sequence):
        options = {"dtype": dtype, "isa": isa}
        step = StackRunner(parameters, [row[None]], **options, **state).forward()
        state = {"h0": step["h_final"], "c0": step["c_final"]}
        so_far = StackRunner(parameters, [sequence[: k + 1]], **options).forward()
        assert_same_bits(step, so_far)


CANARY = 0xA5


class Memory:
    """Blocks full of NaN bits, each followed by bytes that nobody may touch."""

    def __init__(self):
        self.blocks = []

    def take(self, shape, dtype):
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        whole = np.full(n_bytes + 192, CANARY, np.uint8)
        begin = 64 - whole.ctypes.data % 64
        self.blocks.append((whole, begin, n_bytes))
        block = whole[begin : begin + n_bytes]
        block[:] = 0xFF
        return block.view(dtype).reshape(shape)

    def assert_intact(self):
        for whole, begin, n_bytes in self.blocks:
            assert (whole[:begin] == CANARY).all()
            assert (whole[begin + n_bytes :] == CANARY).all()


def run_on_table(flat, table, row_stride, starts, lengths, *, isa, n_threads=1):
    """Forward and backward on sequences in any table, in memory that holds NaN before."""
    dtype, n, steps = flat.dtype, len(starts), int(lengths[0])
    stack, memory = make_stack(INPUT_SIZE, HIDDEN_SIZES, N_OUTPUTS, flat.dtype, isa), Memory()
    panels, back = memory.take(stack.panels_size, dtype), memory.take(stack.transposed_size, dtype)
    stack.to_panels(flat, panels)
    stack.bind(panels, back, True)
    z, z_training = (memory.take((n, N_OUTPUTS), dtype) for _ in range(2))
    hidden = memory.take((n, HIDDEN_SIZES[-1]), dtype)
    final, d_state = (memory.take((n, stack.state_size), dtype) for _ in range(2))
    n_bytes, _, _ = stack.workspace_bytes(n, steps)
    stack.forward(
        table, row_stride, starts, lengths, memory.take(n_bytes * n_threads, np.uint8), n_threads,
        z=z, hidden=hidden, final_state=final,
    )  # fmt: skip
    n_bytes, slot_bytes, _ = stack.workspace_bytes(n, steps, training=True, dropout=0.5, d_x=True)
    d_x, gradient = memory.take((n, steps, INPUT_SIZE), dtype), memory.take(flat.size, dtype)
    slots = memory.take(slot_bytes, np.uint8)
    loss = stack.forward_backward(
        table, row_stride, starts, lengths, memory.take(n_bytes * n_threads, np.uint8), n_threads,
        max_steps=steps, targets=np.zeros((n, N_OUTPUTS), dtype), weights=np.ones(n, dtype),
        loss="squared", scale=1.0, slots=slots,
        dropout=0.5, seed=1, epoch=1, sample_ids=np.arange(n, dtype=np.uint32), z=z_training,
        d_initial_state=d_state, d_x=d_x,
    )  # fmt: skip
    stack.from_panels(slots[: stack.panels_size * dtype.itemsize].view(dtype), gradient)
    memory.assert_intact()
    # Beyond the end of a sequence its gradient is left alone.
    for row, length in zip(d_x, lengths, strict=True):
        assert np.isnan(row[length:]).all()
        row[length:] = 0.0
    results = {"z": z, "hidden": hidden, "final": final, "z_training": z_training}
    results |= {"gradient": gradient, "d_state": d_state, "d_x": d_x, "loss": np.array(loss)}
    for name, array in results.items():
        assert np.isfinite(array).all(), name
    return results


@pytest.fixture(params=[3, 33])
def problem(request):
    """A table of rows and overlapping windows in it, longest first."""
    rng = np.random.default_rng(request.param)
    lengths = np.sort(rng.integers(1, 9, request.param))[::-1].astype(np.intp)
    starts = rng.integers(0, 40 - lengths).astype(np.intp)
    return SimpleNamespace(rng=rng, table=rng.normal(size=(40, INPUT_SIZE)), starts=starts, lengths=lengths)


def flat_parameters(rng, dtype):
    size = make_stack(INPUT_SIZE, HIDDEN_SIZES, N_OUTPUTS).n_parameters
    return rng.normal(0.0, 0.4, size).astype(dtype)


@each_isa
@each_dtype
def test_neither_table_nor_memory_matters(problem, dtype, isa):
    """Windows of one table, copies of them, and columns of a wider table give the same bits.

    All memory holds NaN at the start, so nothing is read before it is written, and no byte beside it
    is touched.
    """
    flat = flat_parameters(problem.rng, dtype)
    table, starts, lengths = problem.table.astype(dtype), problem.starts, problem.lengths
    expected = run_on_table(flat, table, INPUT_SIZE, starts, lengths, isa=isa)

    wide = np.full((40, INPUT_SIZE + 9), np.nan, dtype)
    wide[:, 4 : 4 + INPUT_SIZE] = table
    view = wide[:, 4 : 4 + INPUT_SIZE]
    found = run_on_table(flat, view, wide.shape[1], starts, lengths, isa=isa, n_threads=3)
    assert_same_bits(found, expected)

    copies = np.concatenate([table[s : s + n] for s, n in zip(starts, lengths, strict=True)])
    copies.flags.writeable = False
    apart = (np.cumsum(lengths) - lengths).astype(np.intp)
    found = run_on_table(flat, copies, INPUT_SIZE, apart, lengths, isa=isa)
    assert_same_bits(found, expected)


@pytest.mark.every_isa
@each_dtype
def test_wide_layers_stay_in_their_memory(dtype):
    """More inputs and outputs than one panel; and a single unit. One thread more than chunks."""
    for isa in available_isas():
        for d, sizes, n_outputs in ((70, (65,), 66), (1, (1, 1), 1), (33, (16, 48), 2)):
            stack, memory = make_stack(d, sizes, n_outputs, dtype, isa), Memory()
            rng = np.random.default_rng(d)
            flat = rng.normal(0.0, 0.1, stack.n_parameters).astype(dtype)
            panels = memory.take(stack.panels_size, dtype)
            stack.to_panels(flat, panels)
            stack.bind(panels, memory.take(stack.transposed_size, dtype), True)
            lengths = np.array([5, 5, 2] + [1] * 16, np.intp)
            starts, n = np.zeros(19, np.intp), 19
            n_bytes, slot_bytes, n_tasks = stack.workspace_bytes(n, 5, training=True, d_x=True)
            n_threads = n_tasks + 1
            stack.forward_backward(
                memory.take((5, d), dtype), d, starts, lengths,
                memory.take(n_bytes * n_threads, np.uint8), n_threads, max_steps=5,
                targets=np.zeros((n, n_outputs), dtype), weights=np.ones(n, dtype), loss="squared",
                scale=1.0, slots=memory.take(slot_bytes, np.uint8),
                d_x=memory.take((n, 5, d), dtype),
                d_initial_state=memory.take((n, stack.state_size), dtype),
            )  # fmt: skip
            memory.assert_intact()


def test_arrays_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    flat = flat_parameters(rng, "float32")
    stack = make_stack(INPUT_SIZE, HIDDEN_SIZES, N_OUTPUTS, "float32")
    starts, lengths = np.zeros(2, np.intp), np.full(2, 3, np.intp)
    table = np.ones((3, INPUT_SIZE), np.float32)
    panels, back = (np.zeros(size, np.float32) for size in (stack.panels_size, stack.transposed_size))
    for wrong in ((flat[:-1], panels), (flat.astype(np.float64), panels), (flat, panels[:-1]), (flat[::2], panels)):
        with pytest.raises(ValueError, match="contiguous"):
            stack.to_panels(*wrong)
    with pytest.raises(ValueError, match="contiguous float32 array"):
        stack.from_panels(panels[:-1], flat)
    for wrong in ((panels[:-1], back), (panels, back[:-1]), (panels.astype(np.float64), back)):
        with pytest.raises(ValueError, match="contiguous float32 array"):
            stack.bind(*wrong)
    stack.to_panels(flat, panels)
    stack.bind(panels)
    n_bytes, slot_bytes, _ = stack.workspace_bytes(2, 3, training=True, d_x=True)
    workspace = np.empty(2 * n_bytes, np.uint8)
    with pytest.raises(ValueError, match="contiguous uint8 array"):
        stack.forward(table, INPUT_SIZE, starts, lengths, workspace[:10], 1)
    with pytest.raises(ValueError, match="contiguous float32 array"):
        stack.forward(table, INPUT_SIZE, starts, lengths, workspace, 1, z=np.empty((2, 2), np.float32))
    with pytest.raises(ValueError, match="contiguous intp array"):
        stack.forward(table, INPUT_SIZE, starts, lengths[:1], workspace, 1)
    call = {
        "max_steps": 3, "targets": np.zeros((2, N_OUTPUTS), np.float32),
        "weights": np.ones(2, np.float32), "loss": "squared", "scale": 1.0,
        "slots": np.empty(slot_bytes, np.uint8),
    }  # fmt: skip
    arguments = table, INPUT_SIZE, starts, lengths, workspace, 1
    with pytest.raises(ValueError, match=r"bind\(panels, transposed\)"):
        stack.forward_backward(*arguments, **call)
    stack.bind(panels, back)
    d_x = np.empty((2, 3, INPUT_SIZE), np.float32)
    with pytest.raises(ValueError, match="d_x needs weights bound with input_gradient=True"):
        stack.forward_backward(*arguments, **call, d_x=d_x)
    for name, wrong in (
        ("targets", np.zeros((2, 2), np.float32)),
        ("weights", np.ones(2)),
        ("slots", np.empty(8, np.uint8)),
    ):
        with pytest.raises(ValueError, match="contiguous"):
            stack.forward_backward(*arguments, **call | {name: wrong})
    stack.forward_backward(*arguments, **call)
