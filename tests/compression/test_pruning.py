"""Pruned models: which weights are zero, and that they stay so."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from estimator_case import SMALL, parameters_equal
from numpy.testing import assert_array_equal
from sklearn.base import clone

from sklstm import DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor
from sklstm.cells import LSTM, IndRNN
from sklstm.compression import factorize, prune

SOLVERS = ["adamw", "adam", "sgd", "schedule_free"]
EVERYTHING = {
    "hidden_size": [6, 4],
    "n_layers": 2,
    "cell": LSTM(peephole=True, projection_size=3, layer_norm=True),
    "bidirectional": True,
    "residual": 1,
    "norm": "layer",
    "attention_heads": 2,
    "pooling": "attention",
    "linear_skip": 2,
}


def is_matrix(name):
    """Written out, not taken from the package."""
    products = (
        "weight_ih",
        "weight_hh",
        "weight_hr",
        "weight_residual",
        "weight_attention",
        "weight_out",
    )
    return name.startswith(products)


def matrices(model):
    return {name: array for name, array in model.parameters_.items() if is_matrix(name)}


def magnitudes(model):
    return np.concatenate([np.abs(array).ravel() for array in matrices(model).values()])


def zeros_of(model):
    return {name: array == 0 for name, array in matrices(model).items()}


def share_of_zeros(model):
    return float((magnitudes(model) == 0).mean())


@pytest.fixture
def fitted(case):
    return case.make(hidden_size=9).fit(case.X, case.y)


# Which weights


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5, 0.9, 0.99])
def test_the_smallest_weights_of_all_become_zero(fitted, fraction):
    pruned = prune(fitted, fraction)
    size = magnitudes(fitted)
    count = round(fraction * len(size))
    limit = np.sort(size)[count - 1] if count else -1.0
    for name, array in fitted.parameters_.items():
        expected = np.where(np.abs(array) <= limit, 0, array) if is_matrix(name) else array
        assert_array_equal(pruned.parameters_[name], expected)
    assert pruned.sparsity_ == count / len(size) == share_of_zeros(pruned)


def test_each_matrix_may_have_its_own_threshold(fitted):
    pruned = prune(fitted, 0.7, threshold="matrix")
    for name, array in matrices(fitted).items():
        left = np.abs(pruned.parameters_[name])
        count = round(0.7 * array.size)
        assert (left == 0).sum() == count
        if count:
            assert np.sort(np.abs(array), axis=None)[count - 1] <= left[left > 0].min()
    total = sum(round(0.7 * array.size) for array in matrices(fitted).values())
    assert pruned.sparsity_ == total / len(magnitudes(fitted))


def test_every_matrix_of_every_option_and_nothing_else(regressor):
    model = regressor.make(**EVERYTHING).fit(regressor.X, regressor.y)
    pruned = prune(model, 0.8, threshold="matrix")
    for name, array in pruned.parameters_.items():
        assert (array == 0).sum() == (
            round(0.8 * array.size) if is_matrix(name) else (model.parameters_[name] == 0).sum()
        )
    assert {"weight_peephole_l0", "weight_pool", "weight_attention_in", "weight_hr_l1_backward"} <= set(
        model.parameters_
    )
    assert "weight_residual_l1" not in model.parameters_  # with a projection all layers have the same size


def test_linear_maps_of_residual_connections_are_pruned(regressor):
    model = regressor.make(hidden_size=[6, 4], n_layers=2, residual=1).fit(regressor.X, regressor.y)
    assert (prune(model, 0.5, threshold="matrix").parameters_["weight_residual_l1"] == 0).sum() == 12


def test_weights_of_single_units_are_kept(regressor):
    model = regressor.make(cell=IndRNN()).fit(regressor.X, regressor.y)
    pruned = prune(model, 0.9)
    assert_array_equal(pruned.parameters_["weight_recurrent_l0"], model.parameters_["weight_recurrent_l0"])


# The copy


def test_the_argument_stays_as_it_is(case, fitted):
    before = pickle.dumps(fitted)
    pruned = prune(fitted, 0.5)
    pruned.partial_fit(case.X, case.y)
    assert pickle.dumps(fitted) == before
    assert not hasattr(fitted, "sparsity_")


def test_the_copy_has_the_parameters_of_a_clone(case):
    state = np.random.RandomState(3)
    model = case.make(random_state=state, cell=LSTM(peephole=True)).fit(case.X, case.y)
    pruned = prune(model, 0.5)
    assert type(pruned) is case.kind
    found, expected = (repr(clone(one).set_params(random_state=None).get_params()) for one in (pruned, model))
    assert found == expected
    assert pruned.cell is not model.cell
    assert pruned.random_state is not state


def test_nothing_pruned_predicts_the_same_bits(case, fitted):
    assert_array_equal(prune(fitted, 0.0).predict(case.X), fitted.predict(case.X))


def test_predictions_are_those_of_the_weights_with_zeros(case, fitted):
    pruned = prune(fitted, 0.6)
    by_hand = copy.deepcopy(fitted)
    by_hand.parameters_ = {name: np.array(array) for name, array in pruned.parameters_.items()}
    assert_array_equal(pruned.predict(case.X), by_hand.predict(case.X))
    stream = pruned.stream()
    assert_array_equal([stream.step(row) for row in case.X[:20]], pruned.predict(case.X[:20]))


def test_parameters_are_read_only(fitted):
    with pytest.raises(ValueError, match="read-only"):
        prune(fitted, 0.5).parameters_["weight_out"][0] = 1


# Zeros stay


def train(model, case, how, epochs=3):
    for _ in range(epochs):
        if how == "partial_fit":
            model.partial_fit(case.X, case.y)
        else:
            model.fit(case.X, case.y)
    return model


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_zeros_stay_zero(case, solver, how, dtype):
    options = {"solver": solver, "dtype": dtype, "weight_decay": 0.3, "warm_start": how == "warm_start", "max_iter": 2}
    model = train(case.make(hidden_size=9, **options), case, how, 1)
    pruned = prune(model, 0.6)
    expected, before = zeros_of(pruned), copy.deepcopy(pruned.parameters_)
    train(pruned, case, how)
    for name, zeros in expected.items():
        assert_array_equal(pruned.parameters_[name] == 0, zeros)
    assert any((before[name] != pruned.parameters_[name]).any() for name in before)
    assert pruned.sparsity_ == share_of_zeros(pruned)
    train(pickle.loads(pickle.dumps(pruned)), case, how)
    for name, zeros in expected.items():
        assert_array_equal(pruned.parameters_[name] == 0, zeros)


@pytest.mark.parametrize("solver", SOLVERS)
def test_zeros_stay_zero_after_reloading(case, solver):
    """The solver's own vectors come from before the pruning: gradients, running means, training weights."""
    model = train(case.make(hidden_size=9, solver=solver), case, "partial_fit")
    pruned = prune(model, 0.6)
    expected = zeros_of(pruned)
    file = io.BytesIO()
    joblib.dump(pruned, file)
    file.seek(0)
    loaded = joblib.load(file)
    for one in (pruned, loaded):
        train(one, case, "partial_fit", 2)
        for name, zeros in expected.items():
            assert_array_equal(one.parameters_[name] == 0, zeros)
        moments = one._training_state["loop"]["moments"]
        vectors = [vector for vector in moments.values() if isinstance(vector, np.ndarray)]
        is_pruned = np.unpackbits(one._training_state["pruned"], count=len(vectors[0])).astype(bool)
        assert vectors
        assert not any(vector[is_pruned].any() for vector in vectors)
    assert parameters_equal(pruned, loaded)


def test_zeros_stay_zero_in_every_kind_of_training(regressor):
    for options in (
        EVERYTHING,
        {"training": "stateful", "shuffle": False, "bptt_steps": 7},
        {"weight_dropout": 0.4, "accumulation_steps": 2, "max_grad_norm": "adaptive"},
        {"dropout": 0.3, "n_layers": 2, "recurrent_dropout": 0.2, "zoneout": 0.1},
        {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    ):
        model = regressor.make(**options).fit(regressor.X, regressor.y)
        pruned = prune(model, 0.7, threshold="matrix")
        expected = zeros_of(pruned)
        train(pruned, regressor, "partial_fit", 2)
        for name, zeros in expected.items():
            assert_array_equal(pruned.parameters_[name] == 0, zeros)


def test_zeros_stay_where_the_head_is_rescaled():
    """A target that grows rescales the head; see `partial_fit`."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = DeepRNNRegressor(**SMALL).partial_fit(X, X[:, 0])
    pruned = prune(model, 0.5, threshold="matrix")
    zeros = pruned.parameters_["weight_out"] == 0
    scale = pruned.target_scale_
    pruned.partial_fit(X, 20.0 * X[:, 0])
    assert pruned.target_scale_ > 3 * scale
    assert_array_equal(pruned.parameters_["weight_out"] == 0, zeros)


def test_training_goes_on_from_the_same_weights_and_the_same_bits_for_any_threads(case):
    models = []
    for n_jobs in (1, 2):
        model = prune(case.make(hidden_size=9, n_jobs=n_jobs).partial_fit(case.X, case.y), 0.5)
        models.append(train(model, case, "partial_fit", 2))
    assert parameters_equal(*models)


def test_parts_of_a_training_make_the_whole(case):
    """Stopping and reloading between epochs changes no bit."""
    whole = prune(case.make(hidden_size=9).partial_fit(case.X, case.y), 0.5)
    parts = pickle.loads(pickle.dumps(whole))
    train(whole, case, "partial_fit", 4)
    for _ in range(4):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(case.X, case.y)))
    assert parameters_equal(whole, parts)


def test_the_gradient_norm_is_that_of_the_weights_that_are_left(regressor):
    """What is cut off has no part in clipping: with everything but one weight pruned, its gradient is all there is."""
    model = regressor.make(hidden_size=9).fit(regressor.X, regressor.y)
    dense = copy.deepcopy(model).partial_fit(regressor.X, regressor.y).gradient_norms_[-1]
    sparse = prune(model, 0.99).partial_fit(regressor.X, regressor.y).gradient_norms_[-1]
    assert sparse < dense


def test_pruning_twice_never_brings_a_weight_back(case, fitted):
    pruned = prune(fitted, 0.5)
    more, less = prune(pruned.partial_fit(case.X, case.y), 0.8), prune(pruned, 0.2)
    for name, zeros in zeros_of(pruned).items():
        assert (more.parameters_[name][zeros] == 0).all()
        assert_array_equal(less.parameters_[name] == 0, zeros)
    assert less.sparsity_ == pruned.sparsity_
    assert round(more.sparsity_, 2) == 0.8
    train(more, case, "partial_fit", 2)
    assert more.sparsity_ == share_of_zeros(more)


def test_a_new_fit_trains_all_weights(case, fitted):
    pruned = prune(fitted, 0.5).fit(case.X, case.y)
    assert parameters_equal(pruned, fitted)
    assert not hasattr(pruned, "sparsity_")
    assert "pruned" not in pruned._training_state
    train(pruned, case, "partial_fit", 1)
    assert share_of_zeros(pruned) == 0


def test_what_was_pruned_costs_an_eighth_of_a_byte_and_compresses():
    X = np.random.default_rng(0).normal(size=(100, 4))
    model = DeepLSTMRegressor(64, sequence_length=3, max_iter=1, random_state=0).fit(X, X[:, 0])
    pruned = prune(model, 0.9)
    n = sum(array.size for array in model.parameters_.values())
    assert len(pickle.dumps(pruned)) - len(pickle.dumps(model)) < n / 8 + 200

    def compressed(model):
        file = io.BytesIO()
        joblib.dump(model, file, compress=3)
        return len(file.getvalue())

    assert compressed(pruned) < 0.3 * compressed(model)


def test_classes_and_labels_are_kept():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = DeepRNNClassifier(**SMALL).fit(X, (X[:, :2] > 0).astype(int))
    pruned = prune(model, 0.3)
    assert_array_equal(pruned.classes_, model.classes_)
    assert pruned.predict_proba(X).shape == (60, 2)


def test_factors_of_pruned_weights_are_refused(regressor):
    model = prune(regressor.make(hidden_size=16).fit(regressor.X, regressor.y), 0.5)
    with pytest.raises(ValueError, match="Factorize first, then prune"):
        factorize(model, 2)
