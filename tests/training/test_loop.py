"""The loop over epochs and batches: weights, order, patience, divergence, going on."""

import copy
import inspect
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._training import loop
from sklstm._training.clipping import Clipping, global_norm
from sklstm._training.early_stopping import EarlyStopping
from sklstm._training.loop import Samples, Settings, train
from sklstm._training.losses import LOSSES, explained_share, mean_loss
from sklstm._training.passes import epoch_order, permutation

SETTINGS = Settings(
    loss="squared",
    batch_size=1000,
    max_iter=12,
    shuffle=False,
    learning_rate=0.02,
    weight_decay=0.01,
    max_grad_norm=1.0,
    dropout=0.0,
    tol=0.0,
    n_iter_no_change=1000,
    seed=3,
)
N_OUTPUTS = {"squared": 2, "binary_log": 1, "multinomial_log": 3}


def draw_samples(n, loss="squared", seed=0, dtype="float64"):
    """Short sequences whose targets follow from them."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(k, 3)).astype(dtype) for k in rng.integers(1, 6, n)]
    sums = np.array([a.sum(axis=0)[:2] for a in arrays])
    if loss == "squared":
        targets = np.tanh(sums) + 0.1 * rng.normal(size=(n, 2))
    else:
        targets = (sums[:, :1] > 0).astype(float)
        if loss == "multinomial_log":
            targets += sums[:, 1:] > 0
    weights = np.ones(n, dtype)
    return Samples(Sequences.from_list(arrays), targets.astype(dtype), weights)


def start(loss="squared", dtype="float64", n_layers=1, n_threads=1):
    layout = ParameterLayout(3, (6,) * n_layers, N_OUTPUTS[loss])
    return Network(layout, dtype, n_threads), layout.initial(np.random.default_rng(1), dtype)


def run(samples, settings=SETTINGS, **options):
    network, flat = start(settings.loss, samples.targets.dtype.name)
    history = train(network, flat, samples, settings, **options)
    return flat, history


# Weights


@pytest.mark.parametrize("loss", N_OUTPUTS)
def test_integer_weights_are_repetitions(loss):
    samples = draw_samples(50, loss)
    counts = np.random.default_rng(2).integers(0, 4, 50)
    settings = replace(SETTINGS, loss=loss)
    repeated, expected = run(samples.take(np.repeat(np.arange(50), counts)), settings)
    weighted, history = run(replace(samples, weights=counts.astype(float)), settings)
    assert_allclose(history.loss_curve, expected.loss_curve, rtol=1e-9)
    assert_allclose(weighted, repeated, rtol=1e-9, atol=1e-12)
    assert history.loss_curve[-1] < 0.9 * history.loss_curve[0]


@pytest.mark.parametrize("loss", N_OUTPUTS)
def test_only_the_ratio_of_weights_counts(loss):
    samples = draw_samples(50, loss)
    weights = np.random.default_rng(2).uniform(0.1, 2.0, 50)
    settings = replace(SETTINGS, loss=loss, batch_size=16)
    flat, history = run(replace(samples, weights=weights), settings)
    # A power of two changes no digit.
    scaled, scaled_history = run(replace(samples, weights=1024.0 * weights), settings)
    assert_array_equal(scaled, flat)
    assert scaled_history.loss_curve == history.loss_curve


def test_loss_curve_is_the_weighted_mean_of_the_first_look():
    """In one full batch, the first value is the loss of the parameters that came in."""
    for loss in N_OUTPUTS:
        weights = np.random.default_rng(2).uniform(0.0, 2.0, 50)
        samples = replace(draw_samples(50, loss), weights=weights)
        network, flat = start(loss)
        network.load(flat)
        z = network.forward(samples.sequences)
        expected = mean_loss(LOSSES[loss], z, samples.targets, weights)
        history = train(network, flat, samples, replace(SETTINGS, loss=loss, max_iter=1))
        assert_allclose(history.loss_curve, [expected], rtol=1e-12)


def test_batch_without_weight_is_harmless():
    """The first and the last of four batches weigh nothing: no NaN, no loss, no gradient."""
    samples = draw_samples(64)
    weights = np.ones(64)
    weights[:16] = weights[48:] = 0.0
    settings = replace(SETTINGS, batch_size=16, weight_decay=0.0, max_iter=1)
    flat, history = run(replace(samples, weights=weights), settings)
    assert np.isfinite(flat).all()
    assert np.isfinite(history.loss_curve).all()
    # Optimizers count steps, so the same steps again by hand.
    network, expected = start()
    network.load(expected)
    optimizer, total = loop.OPTIMIZERS["adamw"](network, 0.0), 0.0
    for begin in range(0, 64, 16):
        rows = np.arange(begin, begin + 16)
        value = network.loss_and_gradient(samples.sequences, rows, samples.targets, weights, "squared", 1 / 8)
        assert (value == 0.0 and not network.gradient.any()) == (begin in (0, 48))
        factor = Clipping(1.0).factor(global_norm(network.gradient, 1))
        optimizer.step(network.weights, network.gradient, settings.learning_rate, factor)
        total += 16 * value
    assert_allclose(flat, network.from_panels(network.weights), rtol=1e-12)
    assert_allclose(history.loss_curve, [total / 64], rtol=1e-12)


# Order


def test_permutation_depends_on_seed_and_epoch_alone():
    orders = {}
    for seed in (0, 1, 2**32, 2**63):
        for epoch in (0, 1, 2, 1000):
            order = permutation(seed, epoch, 50)
            assert_array_equal(np.sort(order), np.arange(50))
            np.random.default_rng(0).random(3)
            assert_array_equal(permutation(seed, epoch, 50), order)
            orders[seed, epoch] = tuple(order)
    assert len(set(orders.values())) == len(orders)
    assert list(inspect.signature(permutation).parameters) == ["seed", "epoch", "n"]


def test_permutation_is_uniform():
    """Every number in every place about equally often: 4 sigma of a binomial count."""
    n, n_epochs = 6, 3000
    counts = np.zeros((n, n))
    for epoch in range(n_epochs):
        counts[np.arange(n), permutation(7, epoch, n)] += 1
    expected = n_epochs / n
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected * (1 - 1 / n))


@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 1000, 1001])
def test_order_of_blocks(n):
    """Whole blocks of 32 from an offset on, in the order of a permutation; the rest comes last, in its order."""
    orders = set()
    for seed, epoch in ((0, 0), (0, 1), (5, 0), (2**40, 9)):
        order = epoch_order("blocks", seed, epoch, n)
        assert_array_equal(np.sort(order), np.arange(n))
        assert_array_equal(epoch_order("blocks", seed, epoch, n), order)
        offset = permutation(seed, epoch, min(32, n))[0]
        n_blocks = (n - offset) // 32
        blocks = order[: 32 * n_blocks].reshape(n_blocks, 32)
        assert_array_equal(blocks, blocks[:, :1] + np.arange(32))
        assert_array_equal(blocks[:, 0], offset + 32 * permutation(seed, epoch, n_blocks))
        assert_array_equal(order[32 * n_blocks :], np.sort(order[32 * n_blocks :]))
        orders.add(tuple(order))
    assert n < 1000 or len(orders) == 4
    offsets = {permutation(0, epoch, 32)[0] for epoch in range(300)}
    assert offsets == set(range(32))
    assert_array_equal(epoch_order(False, 0, 0, n), np.arange(n))
    assert_array_equal(epoch_order(True, 3, 1, n), permutation(3, 1, n))


def test_batches_follow_the_permutation(monkeypatch):
    seen = []
    original = Network.loss_and_gradient

    def spy(self, sequences, rows, *arguments):
        seen.append(rows.copy())
        return original(self, sequences, rows, *arguments)

    monkeypatch.setattr(Network, "loss_and_gradient", spy)
    settings = replace(SETTINGS, batch_size=20, max_iter=3, shuffle=True)
    run(draw_samples(50), settings, first_epoch=4)
    assert [len(rows) for rows in seen] == [20, 20, 10] * 3
    for epoch in range(3):
        rows = np.concatenate(seen[3 * epoch : 3 * epoch + 3])
        assert_array_equal(rows, permutation(SETTINGS.seed, 4 + epoch, 50))
    seen.clear()
    run(draw_samples(50), replace(settings, shuffle=False))
    assert_array_equal(np.concatenate(seen), np.tile(np.arange(50), 3))
    seen.clear()
    run(draw_samples(50), replace(settings, shuffle="blocks"), first_epoch=4)
    expected = [epoch_order("blocks", SETTINGS.seed, 4 + epoch, 50) for epoch in range(3)]
    assert_array_equal(np.concatenate(seen), np.concatenate(expected))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_bit_of_a_training(dtype):
    """Shuffling, dropout, clipping, early stopping: the whole loop."""
    settings = replace(SETTINGS, batch_size=48, max_iter=4, shuffle=True, dropout=0.3)
    samples, validation = (draw_samples(n, seed=n, dtype=dtype) for n in (150, 40))
    results = []
    for n_threads in (1, 2, 3, 4, 8):
        network, flat = start(dtype=dtype, n_layers=2, n_threads=n_threads)
        history = train(network, flat, samples, settings, validation)
        results.append((flat, history.loss_curve, history.validation_scores))
    for result in results[1:]:
        for found, expected in zip(result, results[0], strict=True):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_going_on_equals_one_training(dtype):
    """Three epochs and then four more, with the optimizer's state, are seven epochs."""
    settings = replace(SETTINGS, batch_size=16, shuffle=True, dropout=0.3, max_iter=7)
    samples = draw_samples(60, dtype=dtype)
    network, whole = start(dtype=dtype, n_layers=2)
    curve = train(network, whole, samples, settings).loss_curve
    network, flat = start(dtype=dtype, n_layers=2)
    first = train(network, flat, samples, replace(settings, max_iter=3))
    state = first.state
    moments = state["moments"]
    before = copy.deepcopy(moments)
    second = train(network, flat, samples, replace(settings, max_iter=4), first_epoch=3, state=state)
    assert_array_equal(flat, whole)
    assert first.loss_curve + second.loss_curve == curve
    assert (first.n_epochs, second.n_epochs) == (3, 4)
    # What was handed in may belong to a fitted model.
    for key, value in before.items():
        assert_array_equal(moments[key], value)


# Early stopping


def test_early_stopping_restores_the_best_epoch():
    samples, validation = draw_samples(40), draw_samples(30, seed=9)
    settings = replace(SETTINGS, batch_size=10, learning_rate=0.1, max_iter=40, shuffle=True)
    network, flat = start()
    history = train(network, flat, samples, settings, validation)
    best = int(np.argmax(history.validation_scores))
    assert 0 < best < len(history.validation_scores) - 1, "the best epoch must not be the last"
    network.load(flat)
    z = network.forward(validation.sequences)
    constant = LOSSES["squared"].constant(samples.targets, samples.weights, 2)
    null = np.broadcast_to(constant, z.shape)
    score = explained_share(
        mean_loss(LOSSES["squared"], z, validation.targets, validation.weights),
        mean_loss(LOSSES["squared"], null, validation.targets, validation.weights),
    )
    assert score == max(history.validation_scores)
    # And those are the parameters of that epoch.
    _, again = start()
    train(network, again, samples, replace(settings, max_iter=best + 1))
    assert_array_equal(again, flat)


@pytest.mark.parametrize("patience", [1, 3, 6])
def test_early_stopping_waits_that_long(patience):
    samples, validation = draw_samples(40), draw_samples(30, seed=9)
    settings = replace(SETTINGS, batch_size=10, learning_rate=0.1, max_iter=200, shuffle=True)
    _, history = run(samples, replace(settings, n_iter_no_change=patience), validation=validation)
    scores = history.validation_scores
    assert history.n_epochs == len(scores) == len(history.loss_curve) < 200
    assert len(scores) - 1 - int(np.argmax(scores)) == patience


def waits(values, tol, n_iter_no_change):
    """Number of epochs until patience is exhausted, or None."""
    stopping = EarlyStopping(tol, n_iter_no_change)
    for number, value in enumerate(values):
        stopping.observe(value)
        if stopping.is_over:
            return number + 1
    return None


@pytest.mark.parametrize(
    ("values", "tol", "n_iter_no_change", "expected"),
    [
        ([5, 4, 3, 2, 1], 0.0, 1, None),
        ([5, 4, 4, 4, 3], 0.0, 2, 4),
        ([5, 4, 6, 3, 6, 2, 6], 0.0, 2, None),
        # An improvement by tol or less counts as none ...
        ([5, 4.75, 4.5, 4.25, 4], 0.25, 3, 4),
        # ... but each moves the mark that the next is measured from.
        ([5, 4.8, 4.6, 4.4, 4.2, 4.0], 0.25, 5, 6),
        ([5, 4.5, 4.0, 3.5], 0.25, 1, None),
        ([3, 3], 0.0, 1, 2),
        ([-1.0, -2.0, -2.0], 0.0, 1, 3),
    ],
)
def test_patience(values, tol, n_iter_no_change, expected):
    assert waits(values, tol, n_iter_no_change) == expected


def test_the_best_is_the_best_even_below_tol():
    stopping = EarlyStopping(tol=10.0, n_iter_no_change=100)
    assert [stopping.observe(value) for value in (3.0, 2.5, 2.75, 2.5)] == [True, True, False, False]
    assert stopping.best == 2.5


def test_without_validation_the_last_epoch_is_kept():
    """The best training loss is that of another; the result is what a training that goes on starts from."""
    samples, settings = draw_samples(40), replace(SETTINGS, learning_rate=0.5, max_iter=30, batch_size=10)
    network, whole = start()
    history = train(network, whole, samples, settings)
    assert np.argmin(history.loss_curve) < 29
    assert history.best_epoch == 30
    network, flat = start()
    first = train(network, flat, samples, replace(settings, max_iter=29))
    train(network, flat, samples, replace(settings, max_iter=1), first_epoch=29, state=first.state)
    assert_array_equal(flat, whole)


@pytest.mark.parametrize("factor", [2.0**-1000, 2.0**1022])
def test_weights_of_the_validation_part_are_ratios(factor):
    """Their sum does not overflow."""
    samples, validation = draw_samples(40), draw_samples(30, seed=9)
    _, expected = run(samples, validation=validation)
    _, found = run(samples, validation=replace(validation, weights=factor * validation.weights))
    assert found.validation_losses == expected.validation_losses
    assert found.validation_scores == expected.validation_scores


def test_without_validation_the_training_loss_decides():
    """Nothing moves, so nothing improves; and the result is the last epoch's."""
    settings = replace(SETTINGS, learning_rate=0.0, max_iter=50, n_iter_no_change=4, tol=1e-4)
    flat, history = run(draw_samples(20), settings)
    assert history.n_epochs == 5
    assert history.validation_scores == []
    assert_array_equal(flat, start()[1])
