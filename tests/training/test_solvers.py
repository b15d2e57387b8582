"""The solvers against their algorithms, written out in NumPy, and through the estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._kernels import available_isas
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._training.optimizers import OPTIMIZERS

LAYOUT = ParameterLayout(3, (5, 4), 2)
DECAYING = np.concatenate([np.full(p.end - p.begin, not p.name.startswith("bias")) for p in LAYOUT.parameters])
RATE, DECAY, SCALE = 0.02, 0.1, 0.5
TOLERANCE = {"float32": 3e-6, "float64": 1e-12}


def adamw(x, gradients, rates):
    """Loshchilov & Hutter 2019, algorithm 2."""
    m = v = np.zeros_like(x)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - rate * DECAY * DECAYING * x
        x = x - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def adam(x, gradients, rates):
    """Kingma & Ba 2015, algorithm 1, of the loss with an L2 penalty."""
    m = v = np.zeros_like(x)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        g = g + DECAY * DECAYING * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def sgd(x, gradients, rates):
    """Polyak 1964."""
    velocity = np.zeros_like(x)
    for g, rate in zip(gradients, rates, strict=True):
        velocity = 0.9 * velocity + g
        x = x - rate * DECAY * DECAYING * x - rate * velocity
    return x


def schedule_free(x, gradients, rates):
    """Defazio et al. 2024, algorithm 1; returns the mean, which predicts."""
    z, v, squares = x.copy(), np.zeros_like(x), 0.0
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        y = 0.1 * z + 0.9 * x
        v = 0.999 * v + 0.001 * g**2
        gamma = rate * np.sqrt(1 - 0.999**t)
        z = z - gamma * (g / (np.sqrt(v) + 1e-8) + DECAY * DECAYING * y)
        squares += gamma**2
        x = x + gamma**2 / squares * (z - x)
    return x


EXPECTED = {"adamw": adamw, "adam": adam, "sgd": sgd, "schedule_free": schedule_free}


def draw(dtype):
    rng = np.random.default_rng(0)
    return rng.normal(size=LAYOUT.size).astype(dtype), rng.normal(size=(12, LAYOUT.size)).astype(dtype)


def make(name, start, isa=None, n_threads=1):
    network = Network(LAYOUT, start.dtype, n_threads, isa)
    network.load(start)
    return network, OPTIMIZERS[name](network, DECAY)


def run(network, optimizer, gradients, rates):
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.step(network.weights, network.to_panels(gradient), rate, SCALE)


@pytest.mark.isa
@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_algorithm(name, dtype, isa):
    start, gradients = draw(dtype)
    rates = RATE * np.linspace(1.0, 0.2, 12)
    network, optimizer = make(name, start, isa)
    run(network, optimizer, gradients, rates)
    optimizer.use_average()
    exact = EXPECTED[name](start.astype(np.float64), SCALE * gradients.astype(np.float64), rates)
    assert_allclose(network.from_panels(network.weights), exact, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert np.abs(exact - start).max() > 0.01


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_averaging_in_between_changes_nothing(name):
    """As after each epoch, when the validation part is predicted."""
    start, gradients = draw("float64")
    (plain, first), (stopped, second) = make(name, start), make(name, start)
    run(plain, first, gradients, [RATE] * 12)
    for gradient in gradients:
        run(stopped, second, [gradient], [RATE])
        second.use_average()
        second.use_training_weights()
    assert_array_equal(stopped.weights, plain.weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_goes_on(name):
    """To the bit, through the order of named parameters, as partial_fit keeps it."""
    start, gradients = draw("float64")
    whole, optimizer = make(name, start)
    run(whole, optimizer, gradients, [RATE] * 12)
    optimizer.use_average()
    first, optimizer = make(name, start)
    run(first, optimizer, gradients[:5], [RATE] * 5)
    optimizer.use_average()
    second, _ = make(name, first.from_panels(first.weights))
    resumed = OPTIMIZERS[name](second, DECAY, optimizer.state)
    run(second, resumed, gradients[5:], [RATE] * 7)
    resumed.use_average()
    assert_array_equal(second.weights, whole.weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_of_size_zero_is_none(name):
    start, gradients = draw("float64")
    network, optimizer = make(name, start)
    optimizer.step(network.weights, network.to_panels(gradients[0]), 0.0)
    optimizer.use_average()
    assert_allclose(network.from_panels(network.weights), start, rtol=1e-14, atol=1e-15)


# Through the estimators

X = np.random.default_rng(1).normal(size=(300, 3))
RATES = {"adamw": 0.01, "adam": 0.01, "sgd": 0.1, "schedule_free": 0.03}


@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_solver_learns(name, kind):
    y = X[:, 0] if kind is DeepLSTMRegressor else X[:, 0] > 0
    options = {"solver": name, "learning_rate_init": RATES[name], "sequence_length": 3, "random_state": 0}
    model = kind(8, max_iter=30, **options).fit(X, y)
    assert model.score(X, y) > 0.8
    one, two = (kind(8, max_iter=2, n_jobs=n, **options).fit(X, y) for n in (1, 2))
    assert all((one.parameters_[k] == two.parameters_[k]).all() for k in one.parameters_)


def test_another_solver_starts_its_own_state():
    options = {"hidden_size": 4, "sequence_length": 2, "random_state": 0}
    model = DeepLSTMRegressor(**options).partial_fit(X, X[:, 0])
    for name in ("sgd", "schedule_free", "adam", "adamw"):
        model.set_params(solver=name).partial_fit(X, X[:, 0]).partial_fit(X, X[:, 0])
    assert np.isfinite(model.predict(X)).all()


def test_grid_search_over_solvers_and_schedules():
    grid = {"solver": list(OPTIMIZERS), "learning_rate": ["constant", "one_cycle"]}
    search = GridSearchCV(DeepLSTMRegressor(3, max_iter=2, sequence_length=2), grid, cv=TimeSeriesSplit(2)).fit(
        X, X[:, 0]
    )
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
