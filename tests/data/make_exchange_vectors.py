"""Writes the vectors that the tests of `sklstm.exchange` compare with. Run once, with the package and its tests.

    PYTHONPATH=.:tests KERAS_BACKEND=torch python tests/data/make_exchange_vectors.py

It needs torch 2.13.0, keras 3.15.1, onnx 1.23.2, onnxruntime 1.32.0; the test suite reads the files and imports none.
Letters as in make_torch_vectors.py; sequence n has ``lengths[n]`` rows, which lie one after the other.

exchange_torch.npz -- modules of float64 with random weights, as PyTorch makes them::

    {case}/state/{name}       the state dict of a module with the parts `rnn` and `head`
    {case}/x (R, D), lengths (N,)
    {case}/every (R, O)       the head at every row
    {case}/last, mean (N, O)  the head at the last row, and on the mean over rows

exchange_keras.npz -- models of float64 (whose products of matrices PyTorch is given in float32); layers in their order,
each within Bidirectional by itself::

    {case}/layers             JSON: for each layer its class, its configuration, and the layers within
    {case}/weights/{k}/{i}    the weights of layer k; of Bidirectional forward, then backward
    {case}/x (N, T, D), out   what the model predicts

exchange_onnx.npz -- what onnxruntime answers to the graphs of `to_onnx` for the models of tests/exchange_case.py::

    {case}/{name of an output}    for their sequences of different lengths, by `sequence_lens`
"""

import json
from pathlib import Path

import exchange_case
import keras
import numpy as np
import onnxruntime
import torch
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from sklstm import to_onnx

HERE = Path(__file__).parent
LENGTHS = [4, 7, 1, 3]
# name: (kind, layers, outputs, options)
TORCH_CASES = {
    "lstm": ("LSTM", 1, 1, {}),
    "lstm_layers_bidirectional": ("LSTM", 2, 3, {"bidirectional": True}),
    "lstm_projection": ("LSTM", 2, 1, {"proj_size": 4}),
    "lstm_projection_bidirectional": ("LSTM", 2, 2, {"proj_size": 3, "bidirectional": True}),
    "lstm_without_bias": ("LSTM", 1, 2, {"bias": False}),
    "gru": ("GRU", 2, 1, {}),
    "gru_bidirectional": ("GRU", 1, 4, {"bidirectional": True}),
    "rnn": ("RNN", 2, 1, {}),
    "rnn_relu_bidirectional": ("RNN", 1, 2, {"nonlinearity": "relu", "bidirectional": True}),
}


def make_torch(seed, kind, n_layers, n_outputs, options):
    torch.manual_seed(seed)
    rnn = getattr(torch.nn, kind)(3, 6, n_layers, dtype=torch.float64, **options)
    size = (rnn.proj_size or 6) * (2 if rnn.bidirectional else 1)
    head = torch.nn.Linear(size, n_outputs, dtype=torch.float64)
    network = torch.nn.ModuleDict({"rnn": rnn, "head": head})
    x = [torch.randn(n, 3, dtype=torch.float64) for n in LENGTHS]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0)  # beyond the straight part of the sigmoid
        hidden = unpack_sequence(rnn(pack_sequence(x, enforce_sorted=False))[0])
        found = {
            "every": torch.cat([head(one) for one in hidden]),
            "last": torch.stack([head(one[-1]) for one in hidden]),
            "mean": torch.stack([head(one.mean(0)) for one in hidden]),
        }
    entries = {f"state/{name}": value.numpy() for name, value in network.state_dict().items()}
    entries |= {"x": torch.cat(x).numpy(), "lengths": np.array(LENGTHS)}
    return entries | {name: value.numpy() for name, value in found.items()}


def keras_cases():
    """The models, without weights."""
    dense, recurrent = keras.layers.Dense, keras.layers
    return {
        "lstm": [recurrent.LSTM(5), dense(1)],
        "lstm_plain_forget_bias": [recurrent.LSTM(5, unit_forget_bias=False), dense(2)],
        "lstm_without_bias": [recurrent.LSTM(5, use_bias=False), dense(1, use_bias=False)],
        "gru": [recurrent.GRU(6), dense(1)],
        "gru_reset_before": [recurrent.GRU(6, reset_after=False), dense(1)],
        "gru_sizes": [recurrent.GRU(6, return_sequences=True), recurrent.Dropout(0.5), recurrent.GRU(4), dense(2)],
        "simple": [recurrent.SimpleRNN(5), dense(1)],
        "simple_relu": [recurrent.SimpleRNN(5, activation="relu"), dense(1)],
        "bidirectional_mean": [
            recurrent.Bidirectional(recurrent.LSTM(4, return_sequences=True)),
            recurrent.Bidirectional(recurrent.LSTM(3, return_sequences=True)),
            recurrent.GlobalAveragePooling1D(),
            dense(2),
        ],
        "every_step": [
            recurrent.Bidirectional(recurrent.GRU(4, return_sequences=True)),
            recurrent.TimeDistributed(dense(1)),
        ],
        "normalization": [recurrent.Normalization(), recurrent.LSTM(5), dense(1)],
        "softmax": [recurrent.LSTM(5), dense(3, activation="softmax")],
        "softmax_of_two": [recurrent.LSTM(5), dense(2, activation="softmax")],
        "sigmoid": [recurrent.GRU(5), dense(1, activation="sigmoid")],
        "labels": [recurrent.GRU(5), dense(3, activation="sigmoid")],
        "exponential": [recurrent.LSTM(5), dense(1, activation="exponential")],
    }


def described(layer):
    """A layer as JSON and its weights."""
    config = {
        key: value for key, value in layer.get_config().items() if isinstance(value, (str, bool, int, type(None)))
    }
    entry = {"class": type(layer).__name__, "config": config}
    if hasattr(layer, "forward_layer"):
        entry["merge_mode"] = layer.merge_mode
        entry["within"] = [described(one)[0] for one in (layer.forward_layer, layer.backward_layer)]
    elif hasattr(layer, "layer"):
        entry["within"] = [described(layer.layer)[0]]
    return entry, layer.get_weights()


def make_keras(seed, layers):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4, 6, 3))
    if type(layers[0]).__name__ == "Normalization":
        x = 5.0 + 3.0 * x
        layers[0].adapt(x)
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    for layer in model.layers[1 if type(layers[0]).__name__ == "Normalization" else 0 :]:
        layer.set_weights([value + rng.normal(size=value.shape) * 0.6 for value in layer.get_weights()])
    entries, listed = {"x": x, "out": model.predict(x, verbose=0)}, []
    for k, layer in enumerate(model.layers):
        entry, weights = described(layer)
        listed.append(entry)
        entries |= {f"weights/{k}/{i}": value for i, value in enumerate(weights)}
    return entries | {"layers": np.array(json.dumps(listed))}


def make_onnx(name):
    model = exchange_case.model_of(name)
    graph = to_onnx(model, sequence_lens=True, dtype="float64")
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    X = exchange_case.padded().astype(np.float64)
    answers = session.run(names, {"X": X, "sequence_lens": exchange_case.LENGTHS.astype(np.int32)})
    return {
        key: np.asarray(value, str if value.dtype == object else None)
        for key, value in zip(names, answers, strict=True)
    }


def write(name, cases):
    entries = {f"{case}/{key}": value for case, found in cases.items() for key, value in found.items()}
    path = HERE / f"{name}.npz"
    np.savez_compressed(path, **entries)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e3:.0f} kB")


def main():
    torch.set_num_threads(1)
    keras.config.set_floatx("float64")
    write("exchange_torch", {name: make_torch(600 + k, *case) for k, (name, case) in enumerate(TORCH_CASES.items())})
    write("exchange_keras", {name: make_keras(700 + k, case) for k, (name, case) in enumerate(keras_cases().items())})
    write("exchange_onnx", {name: make_onnx(name) for name in exchange_case.CASES})


if __name__ == "__main__":
    main()
