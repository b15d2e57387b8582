"""States that grow at every step, as relu lets them: an error, never NaN or the label that NaN happens to give."""

import numpy as np
import pytest

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm.cells import Elman

LENGTHS = np.random.default_rng(0).integers(1, 12, 400)
SEQUENCES = [np.ones((n, 1)) for n in LENGTHS]
LONG = np.ones((2000, 1))
MESSAGE = r"the states of the network have grown beyond dtype='float32' at {}"


def counting(pooling="last"):
    """Return a network whose units double at each step."""
    model = DeepRNNClassifier(
        4, cell=Elman(activation="relu"), pooling=pooling, input_scaling=None, max_iter=1, random_state=0
    ).fit(SEQUENCES, LENGTHS > 6)
    growing = {name: np.array(array) for name, array in model.parameters_.items()}
    growing["weight_hh_l0"] = 2 * np.eye(4, dtype=np.float32)
    growing["bias_l0"][:] = 1
    model.parameters_ = growing
    return model


def step_all(stream, rows, **out):
    for row in rows:
        stream.step(row, **out)


@pytest.mark.parametrize(
    ("method", "pooling"),
    [
        ("predict", "last"),
        ("predict_proba", "last"),
        ("predict_log_proba", "mean"),
        ("transform", "last"),
        ("attention_weights", "attention"),
    ],
)
def test_predicting_names_the_sequence(method, pooling):
    classifier = counting(pooling)
    assert len(getattr(classifier, method)([LONG[:5], LONG[:20]]))
    with pytest.raises(ValueError, match=MESSAGE.format(r"X\[1\]\. .* or take a cell with tanh")):
        getattr(classifier, method)([LONG[:5], LONG, LONG[:20]])


@pytest.mark.parametrize("response_method", ["predict", "predict_proba", "transform"])
@pytest.mark.parametrize("n_streams", [None, 3])
def test_a_stream_says_so_and_starts_anew_after_reset(response_method, n_streams):
    stream = counting().stream(n_streams=n_streams, response_method=response_method)
    row = np.ones(1) if n_streams is None else np.ones((n_streams, 1))
    first = stream.step(row)
    where = "this row" if n_streams is None else "this row of stream 0"
    with pytest.raises(ValueError, match=MESSAGE.format(rf"{where} \(call reset before the next one\)")):
        step_all(stream, [row] * len(LONG))
    np.testing.assert_array_equal(stream.reset().step(row), first)


def test_a_stream_of_numbers_with_and_without_out():
    model = DeepRNNRegressor(
        4, cell=Elman(activation="relu"), training="stateful", shuffle=False, max_iter=1, random_state=0
    ).fit(np.random.default_rng(0).normal(size=(100, 1)), np.arange(100.0))
    model.parameters_ = {**model.parameters_, "weight_hh_l0": 2 * np.eye(4, dtype=np.float32)}
    for out in (None, np.empty(())):
        stream = model.stream()
        with pytest.raises(ValueError, match=MESSAGE.format("this row")):
            step_all(stream, np.tile([[2.0], [-2.0]], (400, 1)), out=out)
    with pytest.raises(ValueError, match=MESSAGE.format(r"X\[\d+\]")):
        model.predict(np.tile([[2.0], [-2.0]], (400, 1)))
