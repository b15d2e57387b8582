#!/usr/bin/env bash
# onnxruntime's int8 LSTM: the answer for a sequence depends on the other sequences of the batch.
#
# Expected: a quantised model answers for a sequence as it does for the same sequence in any batch, as the float model does, bit
#     for bit: sequences are independent.
# Happens: `quantize_dynamic` makes an LSTM a DynamicQuantizeLSTM, which measures the scale of its inputs and states on each batch.
#     Alone, the states of 64 sequences differ by up to 0.011 from those in one batch (their deviation is 0.15); beside sequences
#     of 20 times the size, those of the first one change by 0.075. `reduce_range=True` keeps the sums of CPUs without VNNI from
#     saturating, which is another matter (documented; errors of 0.3 here without it).
# Versions: onnxruntime 1.32.0, onnx 1.23.2, Python 3.11, a CPU without AVX512_VNNI.  Seen: 2026-11-29.
# Hurt: everybody who compares answers of a service, which comes in batches of any size, with those of a test.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)
rng = np.random.default_rng(0)
n_features, hidden, n_steps, n = 8, 32, 12, 64
weights = {
    "W": rng.uniform(-0.4, 0.4, (1, 4 * hidden, n_features)),
    "R": rng.uniform(-0.2, 0.2, (1, 4 * hidden, hidden)),
    "B": rng.uniform(-0.2, 0.2, (1, 8 * hidden)),
}
graph = helper.make_graph(
    [helper.make_node("LSTM", ["X", "W", "R", "B"], ["", "Y_h", ""], hidden_size=hidden)],
    "lstm",
    [helper.make_tensor_value_info("X", TensorProto.FLOAT, [n_steps, None, n_features])],
    [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, [1, None, hidden])],
    [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(model, "float.onnx")
quantize_dynamic(
    "float.onnx", "int8.onnx", op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8, reduce_range=True
)
x = rng.normal(size=(n_steps, n, n_features)).astype(np.float32)
loud = x.copy()
loud[:, 1:] *= 20
differences = {}
for name in ("float.onnx", "int8.onnx"):
    session = onnxruntime.InferenceSession(name, providers=["CPUExecutionProvider"])

    def states(batch):
        return session.run(None, {"X": np.ascontiguousarray(batch)})[0][0]

    together = states(x)
    alone = np.concatenate([states(x[:, k : k + 1]) for k in range(n)])
    differences[name] = np.abs(alone - together).max(), np.abs(states(loud)[0] - together[0]).max()
    print(
        f"{name}: {[node.op_type for node in onnx.load(name).graph.node][-1]}, deviation of h {together.std():.2f}; alone "
        f"against in a batch {differences[name][0]:.1e}, the first beside louder ones {differences[name][1]:.1e}"
    )
sys.exit(not (max(differences["float.onnx"]) == 0 and differences["int8.onnx"][0] > 3e-3 and differences["int8.onnx"][1] > 0.03))
PYTHON
