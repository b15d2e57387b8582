"""The kernels against vectors that PyTorch computed: forward and every gradient, in both precisions."""

import numpy as np
import pytest
from network.stack_runner import StackRunner
from numpy.testing import assert_allclose
from reference.vectors import load_cases, split_rows

CASES = load_cases("torch_lstm")
KINDS = {"squared": "squared", "binary": "binary_log", "multinomial": "multinomial_log"}
# float32: PyTorch's own rounding reaches 1e-4 of the smallest gradients, hence the absolute part.
TOLERANCES = {"float64": {"rtol": 1e-10, "atol": 1e-12}, "float32": {"rtol": 1e-5, "atol": 1e-5}}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(set(CASES) - {"dropout"}))
def test_stack_agrees_with_torch(name, dtype):
    case = CASES[name]
    expected, close = case[dtype], TOLERANCES[dtype]
    runner = StackRunner(
        case["parameters"], split_rows(case["x"], case["lengths"]), dtype=dtype, h0=case["h0"], c0=case["c0"]
    )
    kind = KINDS[str(case["loss"])]
    # The package takes the mean of a squared error over the outputs, the vectors hold the sum.
    scale = runner.stack.n_outputs if kind == "squared" else 1

    found = runner.forward()
    assert_allclose(found["z"], expected["z"], **close)
    for layer in range(len(runner.sizes)):
        assert_allclose(found["h_final"][layer], expected["h_final"][layer], **close)
        assert_allclose(found["c_final"][layer], expected["c_final"][layer], **close)
    assert_allclose(found["hidden"], expected["h_final"][-1], **close)

    found = runner.forward_backward(kind, case["y"], case["sample_weight"], scale=scale)
    assert_allclose(found["loss"], expected["loss"], **close)
    assert_allclose(found["z"], expected["z"], **close)
    for parameter, gradient in expected["d_parameters"].items():
        assert_allclose(found["parameters"][parameter], gradient, err_msg=parameter, **close)
    assert_allclose(np.concatenate(found["sequences"]), expected["d_x"], **close)
    for layer in range(len(runner.sizes)):
        assert_allclose(found["h0"][layer], expected["d_h0"][layer], **close)
        assert_allclose(found["c0"][layer], expected["d_c0"][layer], **close)
