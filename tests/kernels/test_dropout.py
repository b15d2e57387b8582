"""Dropout against masks drawn by the reference's Philox from the documented counter.

Unit u of layer l at step t, for sample s in epoch e, is dropped when word ``u % 4`` of
``philox4x32(counter=(u // 4, t * n_layers + l, s, e), key=(low, high word of the seed))`` is below
``rate * 2**32``; what stays is divided by ``1 - rate``.
"""

import numpy as np
import pytest
from network.stack_runner import StackRunner, aligned
from numpy.testing import assert_allclose, assert_array_equal
from reference.losses import half_squared_error
from reference.lstm import network_backward, network_forward
from reference.philox import philox4x32

from sklstm._kernels import available_isas

SEED, EPOCH = 0x1234_5678_9ABC_DEF0, 5
LENGTHS = [7, 3, 5, 7, 1]

each_isa = pytest.mark.parametrize("isa", available_isas())
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def kept_units(n_units, n_steps, layer, n_layers, sample, rate, seed=SEED, epoch=EPOCH):
    """The mask of one sample from the definition, (n_steps, n_units) booleans."""
    blocks = -(-n_units // 4)
    counter = np.zeros((n_steps, blocks, 4), np.uint64)
    counter[..., 0] = np.arange(blocks)
    counter[..., 1] = np.arange(n_steps)[:, None] * n_layers + layer
    counter[..., 2], counter[..., 3] = sample, epoch
    words = philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32])
    return words.reshape(n_steps, -1)[:, :n_units] >= int(rate * 2.0**32)


def draw_parameters(rng, input_size, hidden_sizes, n_outputs):
    parameters, below = {}, input_size
    for layer, hidden in enumerate(hidden_sizes):
        scale = 1.5 / np.sqrt(hidden)
        parameters[f"weight_ih_l{layer}"] = rng.uniform(-scale, scale, (4 * hidden, below))
        parameters[f"weight_hh_l{layer}"] = rng.uniform(-scale, scale, (4 * hidden, hidden))
        parameters[f"bias_l{layer}"] = rng.uniform(-0.5, 0.5, 4 * hidden)
        below = hidden
    parameters["weight_out"] = rng.uniform(-1.0, 1.0, (n_outputs, below))
    parameters["bias_out"] = rng.uniform(-1.0, 1.0, n_outputs)
    return parameters


@each_isa
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_stack_with_dropout_against_reference(rate, isa):
    """Three layers, two masks: output, loss and every gradient. One wrong unit would change them all."""
    rng = np.random.default_rng(3)
    hidden_sizes = [17, 17, 17]
    parameters = draw_parameters(rng, 4, hidden_sizes, 2)
    sequences = [rng.normal(size=(n, 4)) for n in LENGTHS]
    state_h, state_c = ([rng.normal(size=(5, h)) for h in hidden_sizes] for _ in range(2))
    y, weights = rng.normal(size=(5, 2)), rng.uniform(0.5, 2.0, 5)
    masks = [
        [kept_units(hidden_sizes[k], n, k, 3, s, rate) / (1 - rate) for s, n in enumerate(LENGTHS)] for k in (0, 1)
    ]
    forward = network_forward(parameters, sequences, state_h, state_c, masks)
    loss, d_z = half_squared_error(forward.z, y, weights)
    expected = network_backward(parameters, forward, d_z, masks)

    runner = StackRunner(parameters, sequences, isa=isa, h0=state_h, c0=state_c)
    found = runner.forward_backward("squared", y, weights, scale=2.0, dropout=rate, seed=SEED, epoch=EPOCH)
    close = {"rtol": 1e-11, "atol": 1e-12}
    assert_allclose(found["z"], forward.z, **close)
    assert_allclose(found["loss"], loss, **close)
    for name, gradient in expected.parameters.items():
        assert_allclose(found["parameters"][name], gradient, err_msg=name, **close)
    assert_allclose(np.concatenate(found["sequences"]), np.concatenate(expected.sequences), **close)
    for layer in range(3):
        assert_allclose(found["h0"][layer], expected.h0[layer], **close)
        assert_allclose(found["c0"][layer], expected.c0[layer], **close)


def run_transparent(isa, dtype, hidden, lengths, rate, seed=SEED, epoch=EPOCH):
    """Gradients by the input of a network in which entry (t, u) shows the mask of unit u at step t.

    Unit u of the first layer reads input u and nothing else: no recurrent weights, and a forget gate
    that is shut. So its gradient is zero where it was dropped, and only there.
    """
    rng = np.random.default_rng(hidden)
    parameters = draw_parameters(rng, hidden, [hidden, 5], 1)
    i, f, g, o = range(4)
    weight_ih = np.zeros((4, hidden, hidden))
    weight_ih[g] = np.eye(hidden)
    bias = np.zeros((4, hidden))
    bias[[i, o]], bias[f] = 1.0, -1e4
    parameters["weight_ih_l0"] = weight_ih.reshape(4 * hidden, hidden)
    parameters["weight_hh_l0"][:] = 0.0
    parameters["bias_l0"] = bias.ravel()
    sequences = [rng.uniform(0.2, 1.0, (n, hidden)) for n in lengths]
    runner = StackRunner(parameters, sequences, dtype=dtype, isa=isa)
    y = np.full(len(lengths), 5.0)
    found = runner.forward_backward("squared", y, np.ones(len(lengths)), dropout=rate, seed=seed, epoch=epoch)
    return found["sequences"]


@each_isa
@each_dtype
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("hidden", [1, 7, 16, 33])
def test_masks_are_exact(hidden, rate, dtype, isa):
    lengths = [11, 4, 9, 1, 6]
    found = run_transparent(isa, dtype, hidden, lengths, rate)
    for sample, (d_x, n) in enumerate(zip(found, lengths, strict=True)):
        # float32 lets 1e-38 through the shut gate: sigmoid has a floor.
        seen = np.abs(d_x) > 1e-30
        assert_array_equal(seen, kept_units(hidden, n, 0, 2, sample, rate))


def different_units(first, second):
    return np.mean([(a != 0) != (b != 0) for a, b in zip(first, second, strict=True)])


def test_masks_depend_on_seed_epoch_sample_and_step():
    hidden, lengths = 40, [25] * 4
    base = run_transparent(None, "float64", hidden, lengths, 0.5)
    for change in ({"epoch": EPOCH + 1}, {"seed": SEED + 1}, {"seed": SEED ^ (1 << 63)}):
        other = run_transparent(None, "float64", hidden, lengths, 0.5, **change)
        assert 0.45 < different_units(base, other) < 0.55, change
    samples = [d_x != 0 for d_x in base]
    steps = np.array(samples).swapaxes(0, 1)
    for sets in (samples, steps):
        for k in range(1, len(sets)):
            assert 0.3 < np.mean(sets[0] != sets[k]) < 0.7
    again = run_transparent(None, "float64", hidden, lengths, 0.5)
    assert_array_equal(again, base)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_share_of_dropped_units(rate):
    found = np.array(run_transparent(None, "float64", 50, [40] * 20, rate))
    dropped = np.mean(found == 0)
    assert abs(dropped - rate) < 4.0 * np.sqrt(rate * (1 - rate) / found.size)


def run_samples(ids, sequences, isa, dtype, n_threads=1):
    """z of chosen samples, each with its own number, in a batch of its own."""
    parameters = draw_parameters(np.random.default_rng(1), 3, [8, 8], 2)
    chosen = [sequences[k] for k in ids]
    runner = StackRunner(parameters, chosen, dtype=dtype, isa=isa)
    n, steps = len(ids), max(map(len, chosen))
    stack = runner.stack
    n_bytes, slot_bytes, _ = stack.workspace_bytes(n, steps, training=True, dropout=0.4)
    z = np.empty((n, 2), dtype)
    stack.forward_backward(
        runner.table, 3, runner.starts, runner.lengths, aligned(n_bytes * n_threads), n_threads,
        max_steps=steps, targets=np.zeros((n, 2), dtype), weights=np.ones(n, dtype), loss="squared",
        scale=1.0, slots=aligned(slot_bytes),
        dropout=0.4, seed=SEED, epoch=EPOCH, z=z,
        sample_ids=np.array(ids, np.uint32)[runner.order],
    )  # fmt: skip
    return runner._back(z)


@each_isa
@each_dtype
def test_a_sample_keeps_its_mask_in_every_batch(dtype, isa):
    rng = np.random.default_rng(6)
    sequences = [rng.normal(size=(n, 3)) for n in rng.integers(1, 9, 70)]
    everything = run_samples(range(70), sequences, isa, dtype)
    assert_array_equal(run_samples(range(70), sequences, isa, dtype, n_threads=3), everything)
    for ids in ([0], [69], rng.permutation(70), rng.choice(70, 33, replace=False), [5, 5, 4]):
        assert_array_equal(run_samples(ids, sequences, isa, dtype), everything[np.asarray(ids)])


@each_isa
def test_prediction_drops_nothing(isa):
    rng = np.random.default_rng(4)
    parameters = draw_parameters(rng, 3, [6, 6], 1)
    sequences = [rng.normal(size=(n, 3)) for n in LENGTHS]
    runner = StackRunner(parameters, sequences, isa=isa)
    y, weights = np.zeros(5), np.ones(5)
    dropped = runner.forward_backward("squared", y, weights, dropout=0.5, seed=1)
    plain = runner.forward_backward("squared", y, weights)
    assert_array_equal(runner.forward()["z"], plain["z"])
    assert not np.isclose(dropped["z"], plain["z"]).any()
    # A rate below 2**-32 drops no unit and divides by 1.
    none = runner.forward_backward("squared", y, weights, dropout=1e-17, seed=1)
    assert_array_equal(none["z"], plain["z"])
    assert_array_equal(none["parameters"]["weight_ih_l0"], plain["parameters"]["weight_ih_l0"])


def test_one_layer_has_no_dropout():
    """The units that the head reads are never dropped."""
    rng = np.random.default_rng(4)
    runner = StackRunner(draw_parameters(rng, 3, [6], 1), [rng.normal(size=(4, 3))] * 3)
    arguments = "squared", np.zeros(3), np.ones(3)
    with_rate = runner.forward_backward(*arguments, dropout=0.5, seed=1)
    assert_array_equal(with_rate["z"], runner.forward_backward(*arguments)["z"])


def test_dropout_needs_sample_ids():
    runner = StackRunner(draw_parameters(np.random.default_rng(4), 3, [6, 6], 1), [np.ones((4, 3))])
    stack = runner.stack
    n_bytes, slot_bytes, _ = stack.workspace_bytes(1, 4, training=True, dropout=0.5)
    with pytest.raises(ValueError, match="dropout needs sample_ids"):
        stack.forward_backward(
            runner.table, 3, runner.starts, runner.lengths, aligned(n_bytes), 1, max_steps=4,
            targets=np.zeros(1), weights=np.ones(1), loss="squared", scale=1.0,
            slots=aligned(slot_bytes), dropout=0.5,
        )  # fmt: skip
