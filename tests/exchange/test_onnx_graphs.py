"""`to_onnx` against onnxruntime: stored answers, and live ones where onnx and onnxruntime are installed."""

import numpy as np
import pytest
from exchange_case import CASES, LENGTHS, model_of, padded, ragged
from numpy.testing import assert_allclose, assert_array_equal
from reference.vectors import load_cases

from sklstm import to_onnx

STORED = load_cases("exchange_onnx")
STEPWISE = ("every_step", "stateful", "binary_every_step", "multinomial_every_step")
# In units of `target_scale_`: float32 in the network, float64 around it.
CLOSE = 1e-6


def session_of(graph):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(graph, **inputs):
    session = session_of(graph)
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def ours(model, x):
    """Return what the outputs of a graph are called, with the answers of the estimator for sequences."""
    if hasattr(model, "classes_"):
        return {"label": model.predict(x), "probabilities": model.predict_proba(x)}
    answers = {"prediction": model.predict(x)}
    if model.loss == "quantile":
        answers["quantiles"] = model.predict_quantiles(x)
    return answers


def expected_of(model, name, sequences):
    if name == "stateful":  # each series begins with zero states
        groups = np.repeat(np.arange(len(sequences)), [len(one) for one in sequences])
        answers = model.predict(np.concatenate(sequences), groups=groups)
        return {"prediction": np.split(answers, np.cumsum([len(one) for one in sequences])[:-1])}
    return ours(model, sequences)


def compared(model, name, found, sequences, tolerance=CLOSE):
    expected = expected_of(model, name, sequences)
    assert found.keys() == expected.keys()
    for key, answers in expected.items():
        if name in STEPWISE:
            lengths = [len(one) for one in sequences]
            own = np.concatenate([one[:n] for one, n in zip(found[key], lengths, strict=True)])
            answers = np.concatenate(answers)
        else:
            own = found[key]
        assert own.shape == answers.shape
        if key == "label":
            assert_array_equal(own, answers)
        else:
            scale = np.max(getattr(model, "target_scale_", 1.0))
            # Of counts the error is relative.
            relative = 5 * tolerance if getattr(model, "loss", "") == "poisson" else 0
            assert_allclose(own, answers, rtol=relative, atol=tolerance * scale)


@pytest.mark.parametrize("name", CASES)
def test_onnxruntime_has_answered_the_same(name):
    """Sequences of different lengths, padded by other numbers."""
    compared(model_of(name), name, STORED[name], ragged())


@pytest.mark.parametrize("name", CASES)
def test_onnxruntime_answers_the_same(name):
    pytest.importorskip("onnx")
    model, X = model_of(name), padded()
    compared(model, name, run(to_onnx(model, dtype="float64"), X=X.astype(np.float64)), list(X))
    lengths = LENGTHS.astype(np.int32)
    graph = to_onnx(model, sequence_lens=True, dtype="float64")
    compared(model, name, run(graph, X=X.astype(np.float64), sequence_lens=lengths), ragged())
    # Numbers in float32: those of y have 7 digits, and y is about 8 scales from 0.
    found = run(to_onnx(model, sequence_lens=True), X=X, sequence_lens=lengths)
    compared(model, name, found, ragged(), 3 * CLOSE)
    for key, answers in found.items():
        assert answers.dtype == (np.float32 if key != "label" else np.int64 if "labels" in name else object)


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_reset_before", "elman", "bidirectional", "mean"])
def test_what_is_behind_the_end_does_not_count(name):
    pytest.importorskip("onnx")
    model, X, lengths = model_of(name), padded(), LENGTHS.astype(np.int32)
    graph, behind = to_onnx(model, sequence_lens=True), np.arange(X.shape[1]) >= LENGTHS[:, np.newaxis]
    before = run(graph, X=X, sequence_lens=lengths)
    X[behind] = np.nan
    assert_array_equal(run(graph, X=X, sequence_lens=lengths)["prediction"], before["prediction"])


def test_windows_of_a_table():
    pytest.importorskip("onnx")
    model = model_of("lstm")
    table = np.concatenate(ragged())
    length = model.sequence_length
    windows = np.lib.stride_tricks.sliding_window_view(table, length, axis=0).transpose(0, 2, 1)
    found = run(to_onnx(model), X=np.ascontiguousarray(windows))["prediction"]
    assert_allclose(found, model.predict(table)[length - 1 :], rtol=0, atol=3 * CLOSE * model.target_scale_)
    # Shorter ones at the beginning, whose rows come first.
    lengths = np.minimum(np.arange(1, len(table) + 1), length)
    X = np.zeros((len(table), length, table.shape[1]), np.float32)
    for end, n in enumerate(lengths, start=1):
        X[end - 1, :n] = table[end - n : end]
    found = run(to_onnx(model, sequence_lens=True), X=X, sequence_lens=lengths.astype(np.int32))["prediction"]
    assert_allclose(found, model.predict(table), rtol=0, atol=3 * CLOSE * model.target_scale_)


def test_columns_are_standardised_in_float64():
    """A column far from 0 keeps its digits; PyTorch, which gets the scales in its weights, loses them."""
    pytest.importorskip("onnx")
    model = model_of("gru")
    model.input_mean_ = np.array([1e7, -40.0, 0.5])
    X = padded().astype(np.float64)
    X[:, :, 0] += 1e7
    found = run(to_onnx(model, dtype="float64"), X=X)["prediction"]
    assert_allclose(found, model.predict(X), rtol=0, atol=CLOSE * model.target_scale_)


def test_the_graph():
    onnx = pytest.importorskip("onnx")
    graph = to_onnx(model_of("bidirectional"), sequence_lens=True)
    assert (graph.ir_version, [one.version for one in graph.opset_import], graph.producer_name) == (8, [17], "sklstm")
    assert [one.name for one in graph.graph.input] == ["X", "sequence_lens"]
    assert [one.name for one in graph.graph.output] == ["prediction"]
    assert [one.dim_param for one in graph.graph.input[0].type.tensor_type.shape.dim[:2]] == ["batch", "steps"]
    assert graph.SerializeToString() == to_onnx(model_of("bidirectional"), sequence_lens=True).SerializeToString()
    [gru, _] = [node for node in to_onnx(model_of("gru")).graph.node if node.op_type == "GRU"]
    assert {one.name: onnx.helper.get_attribute_value(one) for one in gru.attribute}["linear_before_reset"] == 1


@pytest.mark.parametrize("kind", [int, bool, float, str])
def test_labels_of_every_kind(kind):
    pytest.importorskip("onnx")
    model = model_of("binary")
    model.classes_ = np.array([kind(0), kind(1)]) if kind is not str else np.array(["no", "yes"], object)
    found = run(to_onnx(model), X=padded())["label"]
    assert found.tolist() == model.predict(padded()).tolist()
    assert len(set(found.tolist())) == 2
