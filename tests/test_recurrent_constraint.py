"""`recurrent_constraint` and `spectral_radius_`, through the estimators: every training ends within the bound."""

import pickle

import numpy as np
import pytest
from estimator_case import parameters_equal
from numpy.testing import assert_allclose, assert_array_equal

from sklstm import DeepLSTMRegressor, DeepRNNRegressor
from sklstm.cells import LSTM
from sklstm.compression import factorize, prune
from sklstm.quantization import quantize

LIMIT = 0.99
NAMES = ["spectral_norm", "scaled_orthogonal"]
each_constraint = pytest.mark.parametrize("name", NAMES)
# Steps so large that weights leave the bound without one.
WILD = {"cell": "gru", "hidden_size": 6, "learning_rate_init": 0.05, "max_iter": 4}


def gates(model, parameters=None):
    """Singular values of each gate's matrix, of all layers and directions."""
    parameters = model.parameters_ if parameters is None else parameters
    arrays = [array.astype(np.float64) for name, array in parameters.items() if name.startswith("weight_hh")]
    return np.concatenate(
        [np.linalg.svd(a.reshape(-1, a.shape[1], a.shape[1]), compute_uv=False) for a in arrays],
    )


def assert_held(model, name, parameters=None):
    values = gates(model, parameters)
    assert values.max() <= LIMIT * (1 + 1e-5)
    if name == "scaled_orthogonal":
        assert_allclose(values, np.broadcast_to(values[:, :1], values.shape), rtol=1e-5)


@each_constraint
def test_weights_stay_within_the_constraint(case, name):
    free = gates(case.fit(**WILD))
    assert free[:, 0].max() > 1.3
    assert free[:, 0].min() > 1.05 * free[:, -1].min()
    model = case.fit(**WILD, recurrent_constraint=name)
    assert_held(model, name)
    # Training goes on inside of it: the network is no other in its last epochs than in its first.
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_the_factor_of_orthogonal_matrices_is_learnt(case):
    model = case.fit(**{**WILD, "weight_decay": 2.0}, recurrent_constraint="scaled_orthogonal")
    factors = gates(model)[:, 0]
    assert factors.max() < 0.9
    assert len(set(factors.round(3))) == 3


@each_constraint
@pytest.mark.parametrize(
    "options",
    [
        {"n_layers": 2, "bidirectional": True},
        {"cell": "elman"},
        {"cell": "lstm", "dtype": "float64"},
        {"cell": LSTM(peephole=True, layer_norm=True), "zoneout": 0.1},
        {"cell": "mgu", "recurrent_dropout": 0.3, "weight_dropout": 0.2},
        {"dtype": "bfloat16"},
        {"training": "stateful", "shuffle": False},
        {"solver": "sgd", "learning_rate_init": 0.5},
        {"accumulation_steps": 2},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"learning_rate": "cosine"},
        {"n_layers": 2, "dropout": 0.2, "linear_skip": 2},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklstm.PerformanceWarning")
def test_every_way_of_training_ends_within_it(case, options, name):
    assert_held(case.fit(**{**WILD, **options}, recurrent_constraint=name), name)


@each_constraint
def test_the_best_epoch_is_restored_within_it(case, name):
    """Steps so large that a later epoch is worse."""
    options = {**WILD, "learning_rate_init": 0.3, "max_iter": 25, "early_stopping": True, "validation_fraction": 0.3}
    model = case.fit(**options, n_iter_no_change=25, recurrent_constraint=name)
    assert model.best_iteration_ < model.n_iter_
    assert_held(model, name)


@each_constraint
def test_parts_are_the_whole(case, name):
    """Epochs by partial_fit and by warm starts, with a pickle in between."""
    options = {**WILD, "early_stopping": False, "recurrent_constraint": name, "batch_size": 20}
    several = case.make(**options)
    for _ in range(3):
        several = pickle.loads(pickle.dumps(several.partial_fit(case.X, case.y)))
        assert_held(several, name)
    whole = case.make(**{**options, "max_iter": 3}).fit(case.X, case.y)
    assert parameters_equal(several, whole)
    warm = case.make(**options, warm_start=True).fit(case.X, case.y).fit(case.X, case.y)
    assert_held(warm, name)


@each_constraint
def test_a_warm_start_may_take_a_constraint_up(case, name):
    model = case.make(**WILD, warm_start=True).fit(case.X, case.y)
    assert gates(model).max() > 1.3
    assert_held(model.set_params(recurrent_constraint=name, max_iter=1).fit(case.X, case.y), name)


@each_constraint
def test_several_seeds_and_threads(case, name):
    models = [case.fit(**WILD, recurrent_constraint=name, n_seeds=2, n_jobs=n) for n in (1, 2)]
    assert parameters_equal(*models)
    assert_held(models[0], name, models[0].other_networks_[0]["parameters_"])
    assert not np.array_equal(gates(models[0]), gates(models[0], models[0].other_networks_[0]["parameters_"]))


def test_pruned_weights_stay_zero_and_within_it(case):
    model = case.make(**WILD, recurrent_constraint="spectral_norm", warm_start=True).fit(case.X, case.y)
    pruned = prune(model, 0.5)
    assert_held(pruned, "spectral_norm")
    zeros = pruned.parameters_["weight_hh_l0"] == 0
    assert zeros.mean() > 0.2
    for trained in (pruned.partial_fit(case.X, case.y), pruned.fit(case.X, case.y)):
        assert_held(trained, "spectral_norm")
        assert (trained.parameters_["weight_hh_l0"][zeros] == 0).all()


def test_pruning_may_make_a_matrix_larger(regressor):
    """Without the constraint its largest singular value grows; with it, the rest is scaled down."""
    model = regressor.fit(**{**WILD, "cell": "elman"}, recurrent_constraint="spectral_norm")
    # The first two columns are nearly orthogonal, but without the smallest number they are not.
    u = np.zeros((6, 6), np.float32)
    u[:2, :2] = [[0.69, 0.69], [0.69, -0.68]]
    u[2:, 2:] = 0.7 * np.eye(4)
    model.parameters_ = {**model.parameters_, "weight_hh_l0": u}
    found = prune(model, 29 / 36, threshold="matrix").parameters_["weight_hh_l0"]
    kept = np.where(found != 0, u, 0)
    assert np.linalg.norm(u, 2) < LIMIT < np.linalg.norm(kept, 2)
    assert_allclose(found, kept * LIMIT / np.linalg.norm(kept, 2), rtol=1e-5)


def test_what_cannot_be_held_is_refused(case):
    orthogonal = case.fit(**WILD, recurrent_constraint="scaled_orthogonal")
    with pytest.raises(ValueError, match="recurrent_constraint='scaled_orthogonal' cannot be combined with pruned wei"):
        prune(orthogonal, 0.5)
    pruned = prune(case.make(**WILD, warm_start=True).fit(case.X, case.y), 0.5)
    for train in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="recurrent_constraint='scaled_orthogonal' cannot be combined with pruned"):
            getattr(pruned.set_params(recurrent_constraint="scaled_orthogonal"), train)(case.X, case.y)
    bound = case.fit(**{**WILD, "cell": "lstm"}, recurrent_constraint="spectral_norm")
    with pytest.raises(ValueError, match="factorize cannot be combined with recurrent_constraint='spectral_norm'"):
        factorize(bound, 2)


@pytest.mark.parametrize("cell", ["lstm", "elman", "gru"])
def test_spectral_radius(cell):
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = DeepRNNRegressor([5, 4], cell=cell, bidirectional=True, max_iter=1, random_state=0).fit(X, X[:, 0])
    n_gates = {"lstm": 4, "elman": 1, "gru": 3}[cell]
    expected = {}
    for name, array in model.parameters_.items():
        if name.startswith("weight_hh"):
            blocks = array.astype(np.float64).reshape(n_gates, array.shape[1], array.shape[1])
            expected[name] = [np.abs(np.linalg.eigvals(u)).max() for u in blocks]
    assert list(model.spectral_radius_) == [f"weight_hh_l{k}{end}" for k in (0, 1) for end in ("", "_backward")]
    for name, radii in model.spectral_radius_.items():
        assert_allclose(radii, expected[name], rtol=1e-12)
    held = model.set_params(recurrent_constraint="scaled_orthogonal").fit(X, X[:, 0])
    assert max(radii.max() for radii in held.spectral_radius_.values()) <= LIMIT * (1 + 1e-5)


def test_spectral_radius_of_a_projection_is_that_of_the_product():
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = DeepLSTMRegressor(6, cell=LSTM(projection_size=2), max_iter=1, random_state=0).fit(X, X[:, 0])
    u, p = (model.parameters_[name].astype(np.float64) for name in ("weight_hh_l0", "weight_hr_l0"))
    expected = [np.abs(np.linalg.eigvals(block @ p)).max() for block in u.reshape(4, 6, 2)]
    assert_allclose(model.spectral_radius_["weight_hh_l0"], expected, rtol=1e-10)


def test_spectral_radius_where_there_is_none():
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = DeepRNNRegressor(4, cell="mingru", max_iter=1)
    for one in (model, model.fit(X, X[:, 0])):
        with pytest.raises(AttributeError, match="no spectral_radius_: it is not fitted, or its cell has no weight_hh"):
            one.spectral_radius_  # noqa: B018
    integers = quantize(DeepLSTMRegressor(4, max_iter=1, random_state=0).fit(X, X[:, 0]), X)
    with pytest.raises(AttributeError, match="was quantised: ask the float model for spectral_radius_"):
        integers.spectral_radius_  # noqa: B018


def test_predictions_do_not_know_of_the_constraint(case):
    """Weights alone are changed by it."""
    model = case.fit(**WILD, recurrent_constraint="spectral_norm")
    expected = case.output(model, case.X)
    assert_array_equal(case.output(model.set_params(recurrent_constraint=None), case.X), expected)
