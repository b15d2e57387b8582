"""What integers change on real data: answers on the data of the steps, and on later data that reaches beyond them."""

import numpy as np
import pytest

from sklstm import DeepRNNClassifier, DeepRNNRegressor, quantize
from sklstm.datasets import load_etth1
from sklstm.quantization import _relative_error as relative_error

HORIZON = 6
# Relative errors of the raw outputs; larger models than these were measured at 0.9 % and 2.2 %, 0.01 % and 0.03 %.
LARGEST = {"int8": (0.01, 0.02), "int16": (0.0004, 0.001)}


@pytest.fixture(scope="module")
def hours():
    X, _ = load_etth1(return_X_y=True)
    X = X[:8000]
    return X[:-HORIZON], X[HORIZON:, -1]


@pytest.fixture(scope="module", params=[("lstm", 1), ("gru", 2)], ids=lambda param: f"{param[0]}-{param[1]}")
def regressor(request, hours):
    X, y = hours
    cell, n_layers = request.param
    model = DeepRNNRegressor(
        hidden_size=32, n_layers=n_layers, cell=cell, sequence_length=16, max_iter=3, random_state=0
    )
    return model.fit(X[:5000], y[:5000])


@pytest.mark.parametrize("dtype", LARGEST)
def test_forecasts_stay(regressor, hours, dtype):
    X, y = hours
    quantised = quantize(regressor, X[:5000], dtype)
    here, later = LARGEST[dtype]
    assert quantised.quantization_error_ < here
    wanted, found = (one._forward(X[5000:], None, None, None).astype(float) for one in (regressor, quantised))
    # These rows reach beyond what the steps were measured on: clipped there, they were 10 % off.
    read = np.abs((X - regressor.input_mean_) / regressor.input_scale_)
    assert read[5000:].max() > 1.3 * read[:5000].max()
    assert relative_error(found, wanted) < later
    assert abs(quantised.score(X[5000:], y[5000:]) - regressor.score(X[5000:], y[5000:])) < 0.01


@pytest.mark.parametrize("dtype", LARGEST)
def test_labels_stay(hours, dtype):
    X, y = hours
    labels = np.where(y > X[:, -1], "warmer", "colder")
    model = DeepRNNClassifier(hidden_size=32, sequence_length=16, max_iter=3, random_state=0)
    model.fit(X[:5000], labels[:5000])
    quantised = quantize(model, X[:5000], dtype)
    assert np.mean(quantised.predict(X[5000:]) == model.predict(X[5000:])) > {"int8": 0.99, "int16": 0.998}[dtype]
    difference = quantised.predict_proba(X[5000:]) - model.predict_proba(X[5000:])
    assert np.abs(difference).max() < {"int8": 0.05, "int16": 0.01}[dtype]


@pytest.mark.parametrize("dtype", LARGEST)
def test_states_that_were_never_read(regressor, hours, dtype):
    """Of sequences of one row no state is read again: its steps are those of states up to 1."""
    X = hours[0][:5000]
    quantised = quantize(regressor, X[:, np.newaxis], dtype)
    wanted, found = (one._forward(X, None, None, None).astype(float) for one in (regressor, quantised))
    assert relative_error(found, wanted) < 2 * LARGEST[dtype][1]
