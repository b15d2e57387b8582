"""What is dropped in which batch: no two batches of an epoch, and no two epochs, drop the same."""

from dataclasses import replace

import numpy as np
import pytest
from network.test_options_gradients import simple_differences
from numpy.testing import assert_allclose
from training.test_loop import SETTINGS, draw_samples, start
from training.test_output_weights import series_samples

from sklstm._network.network import Network
from sklstm._network.noise import recurrent_weight_mask
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._training.loop import Samples, train
from sklstm._training.passes import SequencePasses

DROPPING = replace(SETTINGS, weight_dropout=0.4, shuffle=True, max_iter=2)


def noises_of(network, monkeypatch, method, place, go):
    """What the network is told to drop, batch for batch."""
    seen, call = [], getattr(network, method)

    def spy(*arguments):
        seen.append(arguments[place])
        return call(*arguments)

    def spy_of_steps(*arguments, **loss):
        seen.append(arguments[place])
        return call(*arguments, **loss)

    monkeypatch.setattr(network, method, spy if method == "loss_and_gradient" else spy_of_steps)
    go()
    return seen


def check_all_differ(network, noises, n_batches):
    """Each of so many batches of two epochs has its number, and its mask."""
    assert [(noise.epoch, noise.batch) for noise in noises] == [(k, i) for k in (0, 1) for i in range(n_batches)]
    masks = {recurrent_weight_mask(network.layout, noise).tobytes() for noise in noises}
    assert len(masks) == 2 * n_batches


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(10, 1), (10, 3), (5, 4), (7, 2)])
def test_masks_of_windows(monkeypatch, batch_size, accumulation_steps):
    """Numbers go on over the batches that are added up to one step; 70 samples, the last step may be short."""
    samples = draw_samples(70)
    settings = replace(DROPPING, batch_size=batch_size, accumulation_steps=accumulation_steps)
    network, flat = start()
    noises = noises_of(network, monkeypatch, "loss_and_gradient", 6, lambda: train(network, flat, samples, settings))
    check_all_differ(network, noises, 70 // batch_size)


def test_masks_of_series(monkeypatch):
    samples = series_samples(40)
    layout = ParameterLayout(3, (6,), 2, every_step=True)
    network, flat = Network(layout, "float64", 1), layout.initial(np.random.default_rng(1), "float64")
    settings = replace(DROPPING, training="stateful", shuffle=False, batch_size=2, bptt_steps=5)
    noises = noises_of(
        network, monkeypatch, "steps_loss_and_gradient", 5, lambda: train(network, flat, samples, settings)
    )
    check_all_differ(network, noises, 4)


def test_as_one_large_batch_but_for_the_masks():
    """Accumulation itself is exact (test_accumulation.py): what differs here are the masks alone."""
    samples = draw_samples(40)
    ends = []
    for options in ({"batch_size": 20}, {"batch_size": 10, "accumulation_steps": 2}):
        network, flat = start()
        train(network, flat, samples, replace(DROPPING, **options))
        ends.append(flat)
    assert np.abs(ends[0] - ends[1]).max() > 1e-4


# Sequences with a target at every step

LENGTHS = np.array([4, 1, 7, 3, 7])


def step_samples(weights):
    """The steps of five sequences, of which some are no samples."""
    rng = np.random.default_rng(3)
    sequences = Sequences.from_list([rng.normal(size=(n, 3)) for n in LENGTHS]).at_every_row()
    n = len(sequences)
    weights = rng.uniform(0.5, 2.0, (n, 2) if weights == "of outputs" else n)
    samples = Samples(sequences, rng.normal(size=(n, 2)), weights)
    return samples.take(np.setdiff1d(np.arange(n), [2, 3, 8, 21]))  # the last of two sequences among them


def last_step(network, flat, samples, settings):
    """Mean loss and gradient of the last step of an epoch, and the number of its samples."""
    network.load(flat)
    *_, (value, n_samples) = (passes := SequencePasses(network, samples, settings)).steps(1)
    return value, network.from_panels(passes.gradient), n_samples


@pytest.mark.parametrize("weights", ["of samples", "of outputs"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bidirectional": True, "hidden_sizes": (4, 5), "residual": 1},
        {"attention_heads": 2, "norm": "layer"},
        {"linear_skip": 3, "bidirectional": True},
        {"attention_heads": 4, "bidirectional": True, "cell": "gru"},
        {"cell": "mingru", "bidirectional": True, "hidden_sizes": (4, 4), "dropout": 0.3},
        {"projection_size": 3, "peephole": True, "zoneout": 0.2, "recurrent_dropout": 0.3, "weight_dropout": 0.2},
    ],
    ids=str,
)
def test_gradients_of_steps_of_sequences(options, weights):
    """Of every parameter, against central differences of the loss of the same step, over two batches."""
    options = {"hidden_sizes": (4,), "every_step": True, **options}
    drops = {name: options.pop(name, 0.0) for name in ("dropout", "recurrent_dropout", "weight_dropout")}
    layout = ParameterLayout(3, options.pop("hidden_sizes"), 2, **options)
    network = Network(layout, "float64", 2)
    rng = np.random.default_rng(1)
    flat = layout.initial(rng, "float64") + 0.2 * rng.normal(size=layout.size)
    settings = replace(SETTINGS, training="sequences", shuffle=False, batch_size=2, accumulation_steps=3, **drops)
    samples = step_samples(weights)
    value, gradient, n_samples = last_step(network, flat, samples, settings)
    assert (n_samples, value > 0) == (18, True)
    expected = simple_differences(lambda: last_step(network, flat, samples, settings)[0], flat)
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
    assert (gradient != 0).mean() > 0.9


def test_the_loss_of_steps_is_their_mean():
    samples, layout = step_samples("of samples"), ParameterLayout(3, (4,), 2, every_step=True, bidirectional=True)
    network, flat = Network(layout, "float64", 1), layout.initial(np.random.default_rng(1), "float64")
    settings = replace(SETTINGS, training="sequences", shuffle=False, batch_size=9)
    value, _, n_samples = last_step(network, flat, samples, settings)
    z = network.forward(samples.sequences)
    assert n_samples == len(samples.weights) == len(z) == 18
    expected = np.average(0.5 * ((z - samples.targets) ** 2).mean(axis=1), weights=samples.weights)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shuffle", [True, "blocks", False])
def test_masks_of_sequences(monkeypatch, shuffle):
    samples, layout = step_samples("of samples"), ParameterLayout(3, (6,), 2, every_step=True)
    network, flat = Network(layout, "float64", 1), layout.initial(np.random.default_rng(1), "float64")
    settings = replace(DROPPING, training="sequences", shuffle=shuffle, batch_size=2)
    noises = noises_of(network, monkeypatch, "loss_and_gradient", 6, lambda: train(network, flat, samples, settings))
    check_all_differ(network, noises, 3)
