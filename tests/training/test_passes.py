"""What is dropped in which batch: no two batches of an epoch, and no two epochs, drop the same."""

from dataclasses import replace

import numpy as np
import pytest
from training.test_loop import SETTINGS, draw_samples, start
from training.test_output_weights import series_samples

from sklstm._network.network import Network
from sklstm._network.noise import recurrent_weight_mask
from sklstm._network.parameters import ParameterLayout
from sklstm._training.loop import train

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
