"""Gradients that add up over batches: the step is that of one large batch, its memory that of a small one."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from training.test_loop import SETTINGS, draw_samples, start

from sklstm import DeepLSTMRegressor
from sklstm._network.network import Network
from sklstm._training.loop import train

OPTIONS = [
    {},
    {"shuffle": True, "dropout": 0.4},
    {"schedule": "one_cycle", "max_grad_norm": 0.05},
    {"optimizer": "sgd", "max_grad_norm": "adaptive", "schedule": "cosine_restarts"},
    {"optimizer": "schedule_free", "shuffle": True, "learning_rate": 0.1},
]


def fit(samples, settings, **options):
    network, flat = start(settings.loss, samples.targets.dtype.name, n_layers=2)
    history = train(network, flat, samples, replace(settings, **options))
    return flat, history


def weighted(n, **options):
    samples = draw_samples(n, **options)
    weights = np.random.default_rng(5).uniform(0.0, 3.0, n)
    weights[::7] = 0.0
    return replace(samples, weights=weights.astype(samples.weights.dtype))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("loss", ["squared", "multinomial_log"])
@pytest.mark.parametrize("n", [48, 50, 57, 70])
def test_equal_to_one_large_batch(n, loss, options):
    """Steps of 24 samples, 3 batches each: the last group is whole, of a part of a batch, of several and a part."""
    settings = replace(SETTINGS, loss=loss, max_iter=5, **options)
    samples = weighted(n, loss=loss)
    whole, expected = fit(samples, settings, batch_size=24)
    parts, history = fit(samples, settings, batch_size=8, accumulation_steps=3)
    assert_allclose(parts, whole, rtol=1e-9, atol=1e-12)
    assert_allclose(history.loss_curve, expected.loss_curve, rtol=1e-12)
    assert_allclose(history.gradient_norms, expected.gradient_norms, rtol=1e-10)
    # The batches alone are another training.
    assert np.abs(fit(samples, settings, batch_size=8)[0] - whole).max() > 1e-4


def test_one_batch_in_a_step_changes_no_bit():
    samples = weighted(50)
    plain, history = fit(samples, SETTINGS, batch_size=16)
    parts, same = fit(samples, SETTINGS, batch_size=16, accumulation_steps=1)
    assert_array_equal(plain, parts)
    assert history.loss_curve == same.loss_curve
    # More batches than there are make one step of all samples.
    assert_array_equal(*(fit(samples, SETTINGS, batch_size=16, accumulation_steps=k)[0] for k in (4, 400)))


def test_the_network_sees_one_batch_at_a_time(monkeypatch):
    """And one step more than its batch: the workspace does not grow with the number of batches."""
    sizes, networks = [], []
    original = Network.loss_and_gradient

    def spy(network, sequences, rows, *rest):
        sizes.append(len(rows))
        networks.append(network)
        return original(network, sequences, rows, *rest)

    monkeypatch.setattr(Network, "loss_and_gradient", spy)
    samples = draw_samples(50)
    for options in ({"batch_size": 8, "accumulation_steps": 4}, {"batch_size": 8}):
        fit(samples, SETTINGS, max_iter=1, **options)
        assert sizes == [8] * 6 + [2]
        sizes.clear()
    memory = [len(network._workspace.chunks) + len(network._workspace.slots) for network in (networks[0], networks[-1])]
    assert memory[0] == memory[1]


def test_threads_change_no_bit():
    X = np.random.default_rng(0).normal(size=(200, 3))
    models = [
        DeepLSTMRegressor(
            9, sequence_length=4, max_iter=2, batch_size=32, accumulation_steps=3, random_state=0, n_jobs=n
        )
        for n in (1, 2, 3)
    ]
    first, *others = (model.fit(X, X[:, 0]).predict(X) for model in models)
    for other in others:
        assert_array_equal(first, other)


def test_grid_search():
    X = np.random.default_rng(0).normal(size=(120, 2))
    model = DeepLSTMRegressor(3, sequence_length=2, max_iter=2, batch_size=8, random_state=0)
    search = GridSearchCV(model, {"accumulation_steps": [1, 2, 4]}, cv=TimeSeriesSplit(2), error_score="raise")
    assert len(np.unique(search.fit(X, X[:, 0]).cv_results_["mean_test_score"])) == 3
