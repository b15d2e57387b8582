"""Shares of a batch: added up in their order they are its gradient, bit for bit."""

import numpy as np
import pytest

from sklstm._distributed.share import BLOCK_BYTES, NetworkShare, slots_of
from sklstm._kernels import available_isas
from sklstm._network.network import Network
from sklstm._network.noise import Noise
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences

RNG = np.random.default_rng(3)
N_ROWS, COLUMNS = 900, 4
TABLE = RNG.normal(size=(N_ROWS, COLUMNS))
TARGETS, WEIGHTS = RNG.normal(size=(N_ROWS, 1)).astype("f4"), RNG.uniform(0.5, 2, N_ROWS).astype("f4")


def sum_of_shares(shares):
    """Pass the sum from share to share, block by block, as the processes do."""
    total = None
    for share in shares:
        parts = [] if total is None else np.split(total, range(BLOCK_BYTES // 4, len(total), BLOCK_BYTES // 4))
        parts = iter(parts)

        def receive(block, parts=parts):
            block[:] = next(parts)

        blocks = share.blocks_of_sum(None if total is None else receive)
        total = np.concatenate([block.copy() for block in blocks])
    return total


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("n", [1, 15, 40, 64, 130, 600])
@pytest.mark.parametrize("n_shares", [1, 2, 3, 4, 7])
def test_the_sum_of_all_shares_is_the_gradient(n, n_shares, isa):
    """From fewer slots than shares to more chunks than slots."""
    layout = ParameterLayout(COLUMNS, (40, 24), 1)
    flat = np.random.default_rng(n).normal(0, 0.3, layout.size).astype("f4")
    sequences, rows = Sequences.from_windows(TABLE, 6), np.random.default_rng(0).permutation(N_ROWS)[:n]
    noise = Noise(dropout=0.2, seed=5, epoch=1)
    whole = Network(layout, "float32", 2, isa)
    whole.load(flat)
    value = whole.loss_and_gradient(sequences, rows, TARGETS, WEIGHTS, "squared", 1 / n, noise)

    shares = [NetworkShare(layout, "float32", 2, rank, n_shares, isa=isa) for rank in range(n_shares)]
    losses = np.zeros(whole._stack.training_chunks(n)[0])
    for share in shares:
        share.load(flat)
        share.loss_and_gradient(sequences, rows, TARGETS, WEIGHTS, "squared", 1 / n, noise)
        share.add_to(losses, None, None)
    total = 0.0
    for loss in losses.tolist():
        total += loss
    assert total == value
    assert (losses != 0).all()
    np.testing.assert_array_equal(sum_of_shares(shares).view("u4"), whole.gradient.view("u4"))


def test_slots_are_dealt_out_completely():
    for n_slots in range(1, 17):
        for n_shares in range(1, 20):
            ranges = [slots_of(rank, n_shares, n_slots) for rank in range(n_shares)]
            assert [slot for first, end in ranges for slot in range(first, end)] == list(range(n_slots))
            assert ranges[0][1] > 0
            sizes = [end - first for first, end in ranges]
            assert max(sizes) - min(sizes) <= 1


def test_final_states_come_from_the_shares_of_their_rows():
    layout = ParameterLayout(COLUMNS, (8,), 1, every_step=True)
    flat = RNG.normal(0, 0.3, layout.size).astype("f4")
    starts, lengths = np.arange(70) * 12, np.full(70, 12)
    states = RNG.normal(size=(70, 16)).astype("f4")
    options = {"targets": TARGETS, "weights": WEIGHTS, "loss": "squared", "loss_parameter": 0.0, "scale": 0.1}
    whole = Network(layout, "float32", 1)
    whole.load(flat)
    expected = states.copy()
    whole.steps_loss_and_gradient(TABLE, starts, lengths, np.arange(70), expected, **options)
    reached = np.full_like(states, np.nan)
    losses = np.zeros(whole._stack.training_chunks(70)[0])
    for rank in range(3):
        share = NetworkShare(layout, "float32", 1, rank, 3)
        share.load(flat)
        own = np.full_like(states, np.nan)
        options |= {"initial_state": states, "final_state": own}
        share.train_share(TABLE, starts, lengths, np.arange(70), Noise(), False, **options)
        share.add_to(losses, reached, own)
    np.testing.assert_array_equal(reached, expected)


def test_a_range_beyond_the_slots_is_refused():
    layout = ParameterLayout(COLUMNS, (8,), 1)
    share = NetworkShare(layout, "float32", 1, 0, 1)
    share.load(np.zeros(layout.size, "f4"))
    stack = share._stack
    stack.bind(share.weights, np.zeros(stack.transposed_size, "f4"))
    n_bytes, slot_bytes, _ = stack.workspace_bytes(8, 6, training=True, table=TABLE)
    starts, lengths = np.arange(8), np.full(8, 6)
    with pytest.raises(ValueError, match="slot_range=\\(0, 2\\), but there are 1 slots"):
        stack.forward_backward(
            TABLE,
            COLUMNS,
            starts,
            lengths,
            np.zeros(n_bytes, "u1"),
            1,
            max_steps=6,
            slots=np.zeros(2 * slot_bytes, "u1"),
            targets=TARGETS[:8],
            weights=WEIGHTS[:8],
            loss="squared",
            scale=1.0,
            slot_range=(0, 2),
        )
