"""Layers of cells that other packages have, against vectors stored from them: every step and every gradient.

PyTorch's scalar is ``sum(hidden * d_hidden)`` over all steps. Here every step has an output, the head is the identity,
and the targets of a squared error are ``hidden - d_hidden``: its gradient by each hidden state is then d_hidden.
"""

import numpy as np
import pytest
from network.stack_runner import aligned
from numpy.testing import assert_allclose
from reference.cells import REFERENCE_CELLS
from reference.vectors import load_cases, split_rows

from sklstm._kernels import available_isas
from sklstm._network.cells import CELLS
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout

CASES = {f"lstm_{name}": case for name, case in load_cases("torch_variants").items()}
CASES |= load_cases("torch_gru") | load_cases("torch_rnn") | load_cases("torch_minimal") | load_cases("torch_mamba")
ONNX = load_cases("onnx_gru")
ALL = {name: case for name, case in (CASES | ONNX).items() if str(case.get("cell", "lstm")) in CELLS}
# float32: rounding over three layers, of numbers up to 10.
TOLERANCES = {"float64": {"rtol": 1e-10, "atol": 1e-12}, "float32": {"rtol": 2e-5, "atol": 2e-5}}


class VectorRunner:
    """A network with the parameters of a case, and its sequences, longest first."""

    def __init__(self, case, dtype, isa, n_threads):
        own = case["parameters"]
        n_layers = sum(name.startswith("weight_ih") and not name.endswith("_reverse") for name in own)
        cell = str(case.get("cell", "lstm"))
        hidden = len(own["bias_l0"]) // len(REFERENCE_CELLS[cell].sums)
        self.dtype, self.n_threads = np.dtype(dtype), n_threads
        self.projection = len(own["weight_hr_l0"]) if "weight_hr_l0" in own else 0
        self.n_outputs = case["hidden"].shape[1]
        self.layout = ParameterLayout(
            case["x"].shape[1], (hidden,) * n_layers, self.n_outputs, projection_size=self.projection,
            bidirectional="bias_l0_reverse" in own, every_step=True, cell=cell,
        )  # fmt: skip
        self.network = Network(self.layout, dtype, n_threads, isa)
        self.stack = self.network._stack
        arrays = {name.replace("_reverse", "_backward"): array for name, array in own.items()}
        arrays |= {"weight_out": np.eye(self.n_outputs), "bias_out": np.zeros(self.n_outputs)}
        self.network.load(self.layout.flatten(arrays, dtype))
        self.back = aligned(self.stack.transposed_size * self.dtype.itemsize).view(dtype)
        self.stack.bind(self.network.weights, self.back, True)
        self.order = np.argsort(-case["lengths"], kind="stable")
        self.lengths = case["lengths"][self.order].astype(np.intp)
        self.starts = (np.cumsum(case["lengths"]) - case["lengths"])[self.order].astype(np.intp)
        self.table = case["x"].astype(dtype)
        # (layers and directions, N, ...) -> rows of [h, c, h, c, ...] or [h, h, ...], longest first.
        self.n_kinds = 2 if "c0" in case else 1
        kinds = [case[name] for name in ("h0", "c0")[: self.n_kinds]]
        parts = [part for of_layer in zip(*kinds, strict=True) for part in of_layer]
        self.state = np.ascontiguousarray(np.concatenate(parts, axis=1)[self.order], dtype)

    def split(self, rows):
        """Rows of states, longest first -> h, and c if there is one, as PyTorch has them."""
        original = np.empty_like(rows)
        original[self.order] = rows
        ends = np.cumsum([size for _, size in self.layout.architecture.states])[:-1]
        parts = np.split(original, ends, axis=1)
        return [np.array(parts[kind :: self.n_kinds]) for kind in range(self.n_kinds)]

    def forward(self):
        n_bytes, _, _ = self.stack.workspace_bytes(len(self.lengths), self.lengths[0])
        hidden, final = np.full((len(self.table), self.n_outputs), np.nan, self.dtype), np.full_like(self.state, np.nan)
        self.stack.forward(
            self.table, self.table.shape[1], self.starts, self.lengths, aligned(n_bytes * self.n_threads),
            self.n_threads, hidden=hidden, initial_state=self.state, final_state=final,
        )  # fmt: skip
        return hidden, *self.split(final)

    def backward(self, targets):
        n, steps = len(self.lengths), int(self.lengths[0])
        n_bytes, slot_bytes, _ = self.stack.workspace_bytes(n, steps, training=True, d_x=True)
        slots, d_state = aligned(slot_bytes), np.full_like(self.state, np.nan)
        d_x = np.full((n, steps, self.table.shape[1]), np.nan, self.dtype)
        self.stack.forward_backward(
            self.table, self.table.shape[1], self.starts, self.lengths, aligned(n_bytes * self.n_threads),
            self.n_threads, max_steps=steps, targets=targets, weights=np.ones(len(self.table), self.dtype),
            # The package takes the mean of a squared error over the outputs.
            loss="squared", scale=float(self.n_outputs), slots=slots, initial_state=self.state,
            d_initial_state=d_state, d_x=d_x,
        )  # fmt: skip
        d_table = np.full_like(self.table, np.nan)
        for start, length, one in zip(self.starts, self.lengths, d_x, strict=True):
            d_table[start : start + length] = one[:length]
        flat = self.network.from_panels(slots[: self.network.weights.nbytes].view(self.dtype))
        return self.layout.views(flat), d_table, *self.split(d_state)


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", ALL)
def test_layers_agree_with_vectors(name, dtype, isa):
    case, close = ALL[name], TOLERANCES["float32" if name in ONNX else dtype]
    runner = VectorRunner(case, dtype, isa, n_threads=2)
    hidden, *final = runner.forward()
    assert_allclose(hidden, case["hidden"], **close)
    for kind, found in zip("hc", final, strict=False):
        assert_allclose(found, case[f"{kind}_final"], **close)
    if name in ONNX:
        return  # forward only
    gradients, d_x, *d_state = runner.backward(hidden - case["d_hidden"].astype(dtype))
    assert_allclose(d_x, case["d_x"], **close)
    for kind, found in zip("hc", d_state, strict=False):
        if f"d_{kind}0" in case:
            assert_allclose(found, case[f"d_{kind}0"], **close)
    for parameter, gradient in case["d_parameters"].items():
        found = gradients[parameter.replace("_reverse", "_backward")]
        assert_allclose(found, gradient, err_msg=parameter, **close)


def test_cases_hold_what_they_should():
    """Each cell and option with several layers, of different lengths; both options together."""
    bidirectional = {name for name, case in CASES.items() if "bias_l0_reverse" in case["parameters"]}
    projected = {name for name, case in CASES.items() if "weight_hr_l0" in case["parameters"]}
    deep = {name for name, case in CASES.items() if "bias_l2" in case["parameters"]}
    assert bidirectional & projected
    for names in (bidirectional - projected, projected - bidirectional):
        assert names & deep
        assert names - deep
    for cell in ("gru", "elman", "elman_relu"):
        names = {name for name, case in CASES.items() if str(case.get("cell")) == cell}
        assert names & deep & bidirectional
        assert (names & deep) - bidirectional
    assert all(len({split.shape[0] for split in split_rows(c["x"], c["lengths"])}) > 2 for c in CASES.values())
