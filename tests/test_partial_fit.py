"""`partial_fit` goes on: what an optimizer, clipping, a schedule and the weights know spans the calls."""

import itertools
import json
import pickle

import numpy as np
import pytest
from test_continued_training import same

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm._training.optimizers import OPTIMIZERS

N_EPOCHS = 14


@pytest.mark.parametrize("learning_rate", ["constant", "reduce_on_plateau"])
@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_as_many_calls_are_one_fit(case, solver, learning_rate):
    """To the bit, also where the bound of clipping, or the halved step size, was found in an earlier call."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 2.0, 90)
    settings = {"solver": solver, "learning_rate": learning_rate, "max_grad_norm": "adaptive", "tol": 0.5,
                "dtype": "float64", "n_iter_no_change": N_EPOCHS, "early_stopping": False, "n_layers": 2,
                "dropout": 0.2, "batch_size": 20, "weight_dropout": 0.1, "learning_rate_init": 0.01}  # fmt: skip
    whole = case.make(**settings, max_iter=N_EPOCHS).fit(case.X, case.y, sample_weight=weights)
    assert whole.n_iter_ == N_EPOCHS
    parts = case.make(**settings)
    for call in range(N_EPOCHS):
        parts.partial_fit(case.X, case.y, sample_weight=weights)
        if call == 4:
            parts = pickle.loads(pickle.dumps(parts))
    assert same(parts.parameters_, whole.parameters_)
    for name in ("loss_curve_", "gradient_norms_", "n_iter_", "loss_", "best_loss_", "best_iteration_"):
        assert getattr(parts, name) == getattr(whole, name), name
    # The state that makes it so is in use here.
    state = parts._training_state["loop"]
    assert state["clipping"]["count"] == 5 * N_EPOCHS
    if learning_rate == "reduce_on_plateau":
        assert state["schedule"]["state"]["factor"] < 1.0
        constant = case.make(**{**settings, "learning_rate": "constant"}, max_iter=N_EPOCHS)
        assert not same(constant.fit(case.X, case.y, sample_weight=weights).parameters_, whole.parameters_)


@pytest.mark.parametrize(
    "options",
    [{"training": "stateful", "shuffle": False, "bptt_steps": 7}, {"shuffle": "blocks", "accumulation_steps": 2}],
)
def test_other_passes_go_on_too(case, options):
    settings = {**options, "max_grad_norm": "adaptive", "early_stopping": False, "batch_size": 8, "max_iter": 4}
    whole, parts = case.make(**settings).fit(case.X, case.y), case.make(**settings)
    for _ in range(4):
        parts.partial_fit(case.X, case.y)
    assert same(parts.parameters_, whole.parameters_)
    assert parts.loss_curve_ == whole.loss_curve_


def test_the_state_is_plain(case):
    model = case.make(max_grad_norm="adaptive", learning_rate="reduce_on_plateau").partial_fit(case.X, case.y)
    state = model._training_state
    arrays = state["loop"].pop("moments")
    assert json.loads(json.dumps({**state, "loop": {**state["loop"], "schedule": None}}))["loop"]["solver"] == "adamw"
    assert {type(value) for value in arrays.values()} == {int, np.ndarray}
    assert set(state["loop"]["schedule"]["state"]) == {"factor", "best", "waited"}


def test_schedules_that_need_an_end_are_refused(case):
    for name in ("linear_warm_up", "cosine", "cosine_restarts", "one_cycle"):
        with pytest.raises(
            ValueError, match=rf"learning_rate='{name}' needs; use learning_rate='constant' or 'reduce_"
        ):
            case.make(learning_rate=name).partial_fit(case.X, case.y)


# What is measured otherwise begins anew


def test_another_loss_has_another_plateau():
    """The best squared error is no mark for absolute errors, nor its gradients for theirs."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X[:, 0]
    settings = {"max_grad_norm": "adaptive", "learning_rate": "reduce_on_plateau", "random_state": 0}
    model = DeepLSTMRegressor(3, sequence_length=3, batch_size=10, **settings)
    for _ in range(3):
        model.partial_fit(X, y)
    state = model._training_state["loop"]
    assert state["clipping"]["count"] == 18
    model.set_params(loss="absolute_error").partial_fit(X, y)
    state = model._training_state["loop"]
    assert state["clipping"]["count"] == 6
    assert state["schedule"]["state"]["best"] == model.loss_
    assert model.loss_ > min(model.loss_curve_)
    # Another solver keeps both, but for its own moments; another schedule has no use for the plateau.
    model.set_params(solver="sgd").partial_fit(X, y)
    assert model._training_state["loop"]["clipping"]["count"] == 12
    assert model._training_state["loop"]["moments"]["step"] == 6
    model.set_params(learning_rate="constant").partial_fit(X, y)
    assert model._training_state["loop"]["schedule"] == {"name": "constant", "state": {}}


# Weights count against all weights so far


def two_blocks(second_weight, first_weight=1.0, **options):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2, 40, 2))
    y = X[:, :, 0] + np.array([[0.0], [1.0]])
    model = DeepLSTMRegressor(3, sequence_length=2, random_state=0, dtype="float64", **options)
    for block, weight in enumerate([first_weight, second_weight]):
        model.partial_fit(X[block], y[block], sample_weight=np.full(40, weight))
    return model


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_a_light_block_moves_little(solver):
    """Weights of one call alone are ratios, and 1e-6 is a weight like 1; between calls it is a millionth."""
    same_weight, light, heavy = (two_blocks(weight, solver=solver, max_grad_norm=None) for weight in (1.0, 1e-6, 1e6))
    assert not same(same_weight.parameters_, light.parameters_)
    assert not same(same_weight.parameters_, heavy.parameters_)
    for factor in (2.0, 0.5, 2.0**-400, 2.0**900):
        scaled = two_blocks(factor * 1e-6, factor, solver=solver, max_grad_norm=None)
        assert same(scaled.parameters_, light.parameters_), factor


def test_the_gradient_of_a_light_block():
    """Against the mean of both blocks: 2e-6 / (1 + 1e-6) of that of the block alone; its loss is told as its own."""
    alone, light = (two_blocks(weight, solver="sgd", max_grad_norm=None, batch_size=40) for weight in (1.0, 1e-6))
    assert light.gradient_norms_[1] == pytest.approx(2e-6 / (1 + 1e-6) * alone.gradient_norms_[1], rel=1e-5)
    assert light.loss_curve_ == pytest.approx(alone.loss_curve_, rel=1e-12)


@pytest.mark.parametrize("weights", [(1e306, 1e-300), (5e-324, 1e300), (1e308, 1e308)])
def test_weights_of_any_size(weights):
    """The lighter block counts for nothing; nothing overflows (a warning would be an error)."""
    model = two_blocks(weights[1], weights[0], solver="sgd", max_grad_norm=None)
    assert np.isfinite(np.concatenate([array.ravel() for array in model.parameters_.values()])).all()
    assert np.isfinite(model.loss_curve_).all()
    moved = model.gradient_norms_[1] > 0
    assert moved == (weights[1] >= weights[0])


@pytest.mark.parametrize("weigh", ["class_weight", "sample_weight"])
def test_blocks_of_one_class_each(weigh):
    """A class that counts nine times as much has nine tenths of the probability, whatever the order."""
    X, factors = np.random.default_rng(0).normal(size=(64, 2)), {0: 1.0, 1: 9.0}
    model = DeepLSTMClassifier(4, sequence_length=1, learning_rate_init=3e-3, random_state=0)
    if weigh == "class_weight":
        model.set_params(class_weight=factors)
    for label in itertools.islice(itertools.cycle([0, 1]), 200):
        weight = None if weigh == "class_weight" else np.full(64, factors[label])
        model.partial_fit(X, np.full(64, label), classes=[0, 1], sample_weight=weight)
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(0.9, abs=0.01)
