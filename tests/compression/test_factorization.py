"""Models of low rank: exact where the weights have that rank, and real networks of their own afterwards."""

import copy
import pickle

import numpy as np
import pytest
from estimator_case import parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklstm import DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor
from sklstm.cells import GRU, LSTM, MGU, Delta, Elman, IndRNN, MinGRU, MinLSTM
from sklstm.compression import factorize

RANK, UNITS = 3, 16
CELLS = [LSTM(), LSTM(peephole=True), LSTM(layer_norm=True), GRU(), Elman(), Elman(activation="relu"), Delta()]
DEEP = {"n_layers": 2}
OPTIONS = [
    {},
    DEEP,
    {**DEEP, "bidirectional": True},
    {"pooling": "mean", "zoneout": 0.1},
    {"linear_skip": 2, "patch_length": 2},
    {"window_norm": "standard"},
    {"training": "stateful", "shuffle": False},
]


def of_low_rank(model, rank=RANK, units=UNITS):
    """Return a copy whose weights read h in a space of so many dimensions."""
    model = copy.deepcopy(model)
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(units, rank)))[0]
    parameters = {name: np.array(array) for name, array in model.parameters_.items()}
    for name, array in parameters.items():
        if name.startswith(("weight_hh", "weight_out")) or (name.startswith("weight_ih") and "_l0" not in name):
            for block in np.split(array, array.shape[1] // units, axis=1):
                block[:] = block @ basis @ basis.T
    model.parameters_ = parameters
    return model


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(150, 3))
    return X, X[:, 0] + np.roll(X[:, 1], 1)


def make(data, **options):
    options = {"hidden_size": UNITS, "sequence_length": 6, "max_iter": 2, "random_state": 0, "n_jobs": 1} | options
    options |= {"target_column": 0} if "window_norm" in options else {}
    return DeepRNNRegressor(**options).fit(*data)


@pytest.mark.filterwarnings("ignore:y .*deviation:UserWarning")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_weights_of_that_rank_give_the_same_answers(data, cell, options):
    model = of_low_rank(make(data, cell=cell, dtype="float64", **options))
    smaller = factorize(model, RANK)
    assert_allclose(smaller.predict(data[0]), model.predict(data[0]), rtol=1e-11, atol=1e-12)
    assert (smaller.factorization_error_ < 1e-14).all()


@pytest.mark.parametrize("cell", [MinGRU(), MinLSTM(), IndRNN()], ids=repr)
def test_cells_without_recurrent_matrices(data, cell):
    """Only what lies above reads h; the rank of the top layer is that of the head."""
    model = of_low_rank(make(data, cell=cell, dtype="float64", **DEEP))
    smaller = factorize(model, RANK)
    assert_allclose(smaller.predict(data[0]), model.predict(data[0]), rtol=1e-11, atol=1e-12)
    directions = smaller.parameters_["weight_hr_l1"]
    assert_allclose(directions @ directions.T, np.eye(RANK), atol=1e-12)


def joint_error(model, smaller, layer):
    """From the definition: what the two factors make of the weights that read h of a layer."""
    old, new = model.parameters_, smaller.parameters_
    names = [f"weight_hh_l{layer}", "weight_out" if f"weight_ih_l{layer + 1}" not in old else f"weight_ih_l{layer + 1}"]
    before = np.concatenate([old[name] for name in names]).astype(np.float64)
    after = np.concatenate([new[name].astype(np.float64) @ new[f"weight_hr_l{layer}"] for name in names])
    return np.linalg.norm(before - after) / np.linalg.norm(before), np.linalg.svd(before)[1]


def test_the_error_is_the_best_for_the_rank(data):
    model = make(data, dtype="float64", **DEEP)
    smaller = factorize(model, 6)
    for layer in (0, 1):
        error, values = joint_error(model, smaller, layer)
        assert_allclose(smaller.factorization_error_[layer], error, rtol=1e-12)
        best = np.sqrt((values[6:] ** 2).sum() / (values**2).sum())
        assert best * (1 - 1e-9) <= error < 1.05 * best


def test_operations_saved(data):
    model = make(data, **DEEP)
    smaller = factorize(model, 4)
    before, after = (
        sum(array.size for name, array in one.parameters_.items() if name.startswith("weight"))
        for one in (model, smaller)
    )
    assert smaller.operations_saved_ == 1 - after / before
    assert before == 4 * UNITS * (3 + UNITS + UNITS + UNITS) + UNITS
    assert after == 4 * UNITS * (3 + 4 + 4 + 4) + 4 + 2 * 4 * UNITS


def test_the_copy_is_a_network_with_a_projection(data):
    X, y = data
    model = make(data)
    before = pickle.dumps(model)
    smaller = factorize(model, 4)
    assert pickle.dumps(model) == before
    assert repr(smaller.cell) == "LSTM(projection_size=4)"
    assert smaller.get_params()["cell__projection_size"] == 4
    assert smaller.transform(X).shape == (len(X), 4)
    assert_array_equal(pickle.loads(pickle.dumps(smaller)).predict(X), smaller.predict(X))
    stream = smaller.stream()
    assert_array_equal([stream.step(row) for row in X[:20]], smaller.predict(X[:20]))
    fresh = clone(smaller).fit(X, y)
    assert {name: array.shape for name, array in fresh.parameters_.items()} == {
        name: array.shape for name, array in smaller.parameters_.items()
    }
    assert not hasattr(fresh, "factorization_error_")
    with pytest.raises(ValueError, match="read-only"):
        smaller.parameters_["weight_hr_l0"][0] = 1


@pytest.mark.parametrize("solver", ["adamw", "sgd", "schedule_free"])
def test_training_goes_on(data, solver):
    X, y = data
    model = make(data, solver=solver, learning_rate_init=0.01)
    for _ in range(5):
        model.partial_fit(X, y)
    smaller = factorize(model, 4)
    before, after = (one._training_state["loop"] for one in (model, smaller))
    assert set(before) - set(after) == {"moments", "clipping"}
    assert after["mean_weight"] == before["mean_weight"]
    first = pickle.loads(pickle.dumps(smaller))
    losses = [smaller.partial_fit(X, y).loss_ for _ in range(10)]
    assert losses[-1] < losses[0]
    assert smaller.n_iter_ == 17
    for _ in range(10):
        first.partial_fit(X, y)
    assert parameters_equal(first, smaller)


def test_warm_start_goes_on(data):
    smaller = factorize(make(data, warm_start=True), 4).fit(*data)
    assert smaller.parameters_["weight_hr_l0"].shape == (4, UNITS)
    assert smaller.n_iter_ == 4


def test_options_of_the_cell_are_kept(data):
    cell = LSTM(peephole=True)
    smaller = factorize(make(data, cell=cell), 4)
    assert repr(smaller.cell) == "LSTM(peephole=True, projection_size=4)"
    assert cell.projection_size is None


def test_an_lstm_estimator_stays_one(data):
    model = DeepLSTMRegressor(UNITS, sequence_length=4, max_iter=1, random_state=0).fit(*data)
    assert type(factorize(model, 4).fit(*data)) is DeepLSTMRegressor


def test_a_classifier(data):
    X, y = data
    model = DeepRNNClassifier(UNITS, sequence_length=4, max_iter=1, random_state=0).fit(X, y > 0)
    assert factorize(model, 8).predict_proba(X).shape == (len(X), 2)


def test_the_seed_decides(data):
    model = make(data)
    assert parameters_equal(factorize(model, 4), factorize(model, 4))
    assert parameters_equal(factorize(model, 4, random_state=1), factorize(model, 4, random_state=1))


@pytest.mark.parametrize(
    ("options", "rank", "message"),
    [
        ({"cell": LSTM(projection_size=4)}, 2, r"has a projection already, of size 4"),
        ({"cell": MGU()}, 2, r"cell=MGU\(\) has no projection: .* multiplies h, or its product, unit by unit"),
        ({"cell": GRU(reset_after=False)}, 2, r"has no projection"),
        ({"norm": "layer"}, 2, r"cannot be combined with norm='layer': it normalises h"),
        ({"feedforward": "swiglu"}, 2, "cannot be combined with feedforward='swiglu': its blocks normalise h"),
        ({"output_gate": "silu"}, 2, r"cannot be combined with output_gate='silu': it multiplies h unit by unit"),
        ({"attention_heads": 2}, 2, r"cannot be combined with attention_heads=2"),
        ({"residual": 1, **DEEP}, 2, r"cannot be combined with residual=1"),
        ({"pooling": "attention"}, 2, r"cannot be combined with pooling='attention': it takes the tanh"),
        ({}, 16, r"rank=16 must be smaller than hidden_size, but a layer has 16 units"),
        ({"hidden_size": [16, 4], **DEEP}, 5, r"rank=5 must be smaller than hidden_size, but a layer has 4 units"),
        ({}, 13, r"rank=13 saves no operations: .* The largest rank that saves some is 12\."),
        ({"cell": MinGRU()}, 1, r"rank=1 saves no operations: .* No other rank does either\."),
    ],
)
def test_what_cannot_be_factorised_is_refused(data, options, rank, message):
    with pytest.raises(ValueError, match=message):
        factorize(make(data, **options), rank)


def test_the_largest_rank_that_is_named_saves_some(data):
    for options in ({}, DEEP, {"cell": "elman"}, {"bidirectional": True, "hidden_size": 5}):
        model, named = make(data, **options), None
        for rank in range(model.hidden_size - 1, 0, -1):
            try:
                smaller = factorize(model, rank)
            except ValueError as error:
                named = str(error).split("some is ")[1].rstrip(".")
            else:
                assert smaller.operations_saved_ > 0
                assert named in (None, str(rank))
                break


def test_parameters_set_after_fit_are_refused(data):
    model = make(data)
    model.set_params(hidden_size=8)
    with pytest.raises(ValueError, match="parameters were set after fit, and describe another network"):
        factorize(model, 4)
