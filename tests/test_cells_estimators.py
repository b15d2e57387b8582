"""Estimators with every cell: the equations, streams, the same bits for any threads, alone and reloaded."""

import pickle

import numpy as np
import pytest
from cell_objects import OBJECTS, each_cell
from estimator_case import flat, parameters_equal
from network.options_draw import ALL_CONFIGURATIONS
from numpy.testing import assert_allclose, assert_array_equal
from reference.cells import REFERENCE_CELLS
from reference.layer import layer_forward
from reference.lstm import table_windows
from sklearn.base import clone

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm._network.cells import CELLS

RNG = np.random.default_rng(8)
X = RNG.normal(size=(90, 3))
LONG = RNG.normal(size=(300, 3))
Y = {DeepRNNRegressor: 20.0 + 5.0 * X[:, 0], DeepRNNClassifier: np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])}
SMALL = {"hidden_size": 7, "sequence_length": 5, "max_iter": 2, "random_state": 0, "n_jobs": 2}
STATEFUL = {"training": "stateful", "shuffle": False, "bptt_steps": 8, "batch_size": 3}
EXACT = {"dtype": "float64", "early_stopping": False, "input_scaling": None}
OPTIONS = {
    "plain": {},
    "deep": {"hidden_size": [5, 9, 4], "residual": 1, "norm": "layer", "dropout": 0.2},
    "noise": {"zoneout": 0.2, "recurrent_dropout": 0.2, "weight_dropout": 0.2, "dtype": "float64"},
    "windows": {"bidirectional": True, "pooling": "attention", "patch_length": 2, "linear_skip": 3},
}
each_estimator = pytest.mark.parametrize("estimator", Y, ids=["regressor", "classifier"])
# Every second pair, another one for each cell; `make test-all` takes all.
each_cell_and_option = pytest.mark.parametrize(
    ("cell", "name"),
    [(c, o) for i, c in enumerate(OBJECTS) for j, o in enumerate(OPTIONS) if ALL_CONFIGURATIONS or (i + j) % 2 == 0],
)


def settings(cell, options):
    """The options without those that act on recurrent weights, where the cell has none."""
    lacking = () if REFERENCE_CELLS[cell].h else ("recurrent_dropout", "weight_dropout")
    return {name: value for name, value in options.items() if name not in lacking}


def fitted(estimator, cell, **options):
    return estimator(**{**SMALL, "cell": OBJECTS[cell], **settings(cell, options)}).fit(X, Y[estimator])


def methods(model):
    return ["predict", "transform"] + ["predict_proba"] * hasattr(model, "predict_proba")


@each_estimator
@each_cell
def test_features_from_the_equations(cell, estimator):
    model = fitted(estimator, cell, **EXACT)
    own = {name.removesuffix("_l0"): array for name, array in model.parameters_.items() if name.endswith("_l0")}
    hidden = layer_forward(REFERENCE_CELLS[cell], table_windows(X, 5), own).hidden
    assert_allclose(model.transform(X), [h[-1] for h in hidden], rtol=1e-10, atol=1e-12)


@pytest.mark.isa
@each_estimator
@each_cell_and_option
def test_a_stream_says_what_predict_says(cell, estimator, name):
    model = fitted(estimator, cell, **OPTIONS[name])
    for method in methods(model):
        expected = getattr(model, method)(LONG[:40])
        stream = model.stream(response_method=method)
        assert_array_equal([stream.step(row) for row in LONG[:40]], expected)


@pytest.mark.isa
@pytest.mark.parametrize("name", ["plain", "deep", "noise"])
@each_estimator
@each_cell
def test_stateful_training(cell, estimator, name):
    """Steps of a stream are rows of a table, whose prefixes are sequences."""
    model = fitted(estimator, cell, **STATEFUL, **OPTIONS[name])
    for method in methods(model):
        call = getattr(model, method)
        expected, stream = call(LONG), model.stream(response_method=method)
        assert_array_equal([stream.step(row) for row in LONG], expected)
        assert_array_equal(call([LONG[:3], LONG[:7]]), expected[[2, 6]])
        assert_array_equal(call(LONG[13:], context=LONG[:13]), expected[13:])


@pytest.mark.isa
@each_estimator
@each_cell_and_option
def test_the_same_bits(cell, estimator, name):
    """For any number of threads, a row alone, after a pickle, and for a copy that is fitted again."""
    model = fitted(estimator, cell, **OPTIONS[name])
    expected = {method: getattr(model, method)(LONG) for method in methods(model)}
    for n_jobs in (1, 3):
        assert parameters_equal(model, fitted(estimator, cell, **OPTIONS[name], n_jobs=n_jobs))
    assert parameters_equal(model, clone(model).fit(X, Y[estimator]))
    reloaded = pickle.loads(pickle.dumps(model))
    assert parameters_equal(model, reloaded)
    for method, answer in expected.items():
        assert_array_equal(getattr(reloaded, method)(LONG), answer, strict=True)
        for row in (0, 17, 299):
            window = LONG[max(0, row - 4) : row + 1]
            assert_array_equal(getattr(model, method)([window])[0], answer[row])


@each_estimator
@each_cell
def test_training_goes_on(cell, estimator):
    """`warm_start` carries all on; an epoch changes every parameter."""
    model = fitted(estimator, cell, warm_start=True, early_stopping=False, max_iter=1)
    before = {name: array.copy() for name, array in model.parameters_.items()}
    model.fit(X, Y[estimator])
    for name, array in model.parameters_.items():
        assert np.isfinite(array).all()
        assert (array != before[name]).any(), name
    assert np.ptp(flat(model)) > 0


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"projection_size": 4}], ids=["norm", "projection"])
@each_cell
def test_options_of_the_cell(cell, options):
    """Where a cell has an option, its numbers are learnt, and streams say what predictions say."""
    own = clone(OBJECTS[cell]).set_params(**options)
    model = DeepRNNRegressor(**{**SMALL, "cell": own})
    if "projection_size" in options and not CELLS[cell].projects:
        with pytest.raises(ValueError, match="projection_size"):
            model.fit(X, Y[DeepRNNRegressor])
        return
    model.fit(X, Y[DeepRNNRegressor])
    assert {"weight_hr_l0", "norm_weight_ih_l0"} & set(model.parameters_)
    expected, stream = model.predict(LONG[:20]), model.stream()
    assert_array_equal([stream.step(row) for row in LONG[:20]], expected)
