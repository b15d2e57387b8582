"""Writes the vectors from ONNX Runtime that the tests compare with. Run once; needs onnx and onnxruntime 1.32.0.

    python tests/data/make_onnx_vectors.py

The GRU whose reset gate stands before the product (``linear_before_reset=0``, the default of ONNX), which PyTorch does
not have. The test suite reads the file it writes and imports neither package. Keys, and the numbers that go in, are
those of make_torch_vectors.py; float32, forward only::

    {case}/cell            "gru_reset_before"
    {case}/x (R, D), lengths (N,), h0 (directions, N, H)
    {case}/parameters/weight_ih_l0 (3H, D), weight_hh_l0 (3H, H), bias_l0 (3H,), blocks in the order r, z, n;
                           bidirectional also with suffix "_reverse"
    {case}/hidden (R, directions * H), h_final (shape of h0)
"""

from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

HERE = Path(__file__).parent
GRID = 2.0**16
# name: (D, H, lengths, directions)
CASES = {
    "one_direction": (3, 7, [4, 7, 1], 1),
    "both_directions": (5, 17, [6, 1, 8, 3], 2),
    "one_unit": (2, 1, [5, 3], 1),
}


def draw(rng, *shape, scale=1.0):
    """Uniform numbers in [-scale, scale] that float32 holds exactly."""
    return (np.round(rng.uniform(-scale, scale, shape) * GRID) / GRID).astype(np.float32)


def zrn(matrix, hidden_size):
    """Blocks r, z, n -> z, r, n, the order of ONNX."""
    r, z, n = np.split(matrix, [hidden_size, 2 * hidden_size])
    return np.concatenate([z, r, n])


def run_gru(feeds, hidden_size, n_directions):
    kinds = {name: TensorProto.INT32 if name == "sequence_lens" else TensorProto.FLOAT for name in feeds}
    node = helper.make_node(
        "GRU", ["X", "W", "R", "B", "sequence_lens", "initial_h"], ["Y", "Y_h"], hidden_size=hidden_size,
        direction="bidirectional" if n_directions == 2 else "forward", linear_before_reset=0,
    )  # fmt: skip
    inputs = [helper.make_tensor_value_info(name, kinds[name], feeds[name].shape) for name in feeds]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("Y", "Y_h")]
    graph = helper.make_graph([node], "gru", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def make_case(seed, input_size, hidden_size, lengths, n_directions):
    rng = np.random.default_rng(seed)
    suffixes = ["", "_reverse"][:n_directions]
    parameters = {}
    for suffix in suffixes:
        scale = 2.0 / np.sqrt(hidden_size)
        parameters[f"weight_ih_l0{suffix}"] = draw(rng, 3 * hidden_size, input_size, scale=scale)
        parameters[f"weight_hh_l0{suffix}"] = draw(rng, 3 * hidden_size, hidden_size, scale=scale)
        parameters[f"bias_l0{suffix}"] = draw(rng, 3 * hidden_size, scale=0.5)
    n_steps, n = max(lengths), len(lengths)
    x, h0 = draw(rng, sum(lengths), input_size, scale=2.0), draw(rng, n_directions, n, hidden_size)
    padded = np.zeros((n_steps, n, input_size), np.float32)
    for k, rows in enumerate(np.split(x, np.cumsum(lengths)[:-1])):
        padded[: len(rows), k] = rows

    def stacked(kind):
        return np.stack([zrn(parameters[f"{kind}_l0{suffix}"], hidden_size) for suffix in suffixes])

    bias = stacked("bias")
    feeds = {"X": padded, "W": stacked("weight_ih"), "R": stacked("weight_hh")}
    feeds |= {"B": np.hstack([bias, np.zeros_like(bias)]), "sequence_lens": np.array(lengths, np.int32)}
    y, h_final = run_gru(feeds | {"initial_h": h0}, hidden_size, n_directions)
    hidden = np.concatenate([y[:length, :, k].reshape(length, -1) for k, length in enumerate(lengths)])
    entries = {"cell": np.array("gru_reset_before"), "x": x, "lengths": np.array(lengths), "h0": h0}
    entries |= {f"parameters/{name}": value for name, value in parameters.items()}
    return entries | {"hidden": hidden, "h_final": h_final}


def main():
    cases = {name: make_case(500 + seed, *case) for seed, (name, case) in enumerate(CASES.items())}
    entries = {f"{case}/{key}": value for case, found in cases.items() for key, value in found.items()}
    path = HERE / "onnx_gru.npz"
    np.savez_compressed(path, **entries)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
