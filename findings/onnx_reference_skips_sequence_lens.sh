#!/usr/bin/env bash
# onnx's ReferenceEvaluator passes over `sequence_lens` of RNN, GRU and LSTM and answers for the padding.
#
# Expected: the reference implementation of the standard stops at the length of each sequence, as the specification of the
#     three operators says (an optional input, "lengths of the sequences in a batch"), or says that it cannot. The last
#     state Y_h of a sequence in a padded batch is then the one it has alone.
# Happens: the input is taken and not used. No error, no warning: Y_h of the shorter sequence is that after its padding.
#     onnxruntime answers right: the same numbers in the padded batch and alone. With nothing but zeros behind the end the
#     difference stays, since a step over zeros changes the state too.
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6, Python 3.11.  Seen: 2026-11-29.
# Hurt: everybody who checks an export, or another runtime, of sequences of different lengths against the reference.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

UNITS, COLUMNS, LENGTHS = 3, 2, np.array([5, 2], np.int32)
rng = np.random.default_rng(0)
X = rng.normal(size=(5, 2, COLUMNS)).astype(np.float32)
X[2:, 1] = 0.0  # behind the end of the second sequence
still_so = True
for kind, n_blocks in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
    shapes = {"X": ["steps", "batch", COLUMNS], "W": [1, n_blocks * UNITS, COLUMNS], "R": [1, n_blocks * UNITS, UNITS]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    inputs.append(helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, ["batch"]))
    outputs = [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, [1, "batch", UNITS])]
    node = helper.make_node(kind, ["X", "W", "R", "", "sequence_lens"], ["", "Y_h"], hidden_size=UNITS)
    graph = helper.make_graph([node], kind, inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    weights = {name: rng.normal(size=shapes[name]).astype(np.float32) for name in ("W", "R")}
    alone = {**weights, "X": X[:2, 1:], "sequence_lens": LENGTHS[1:]}
    padded = {**weights, "X": X, "sequence_lens": LENGTHS}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    reference, expected = ReferenceEvaluator(model), session.run(None, alone)[0][0, 0]
    found = {name: one.run(None, padded)[0][0, 1] for name, one in (("onnxruntime", session), ("reference", reference))}
    errors = {name: float(np.abs(states - expected).max()) for name, states in found.items()}
    same = float(np.abs(reference.run(None, alone)[0][0, 0] - expected).max())
    print(f"{kind}: error of Y_h of the shorter sequence, padded: {errors}; of the reference, alone: {same:.1e}")
    still_so &= errors["reference"] > 0.01 and errors["onnxruntime"] < 1e-6 and same < 1e-6
sys.exit(not still_so)
PYTHON
