"""Linear attention where its features leave the range of single precision."""

import numpy as np
import pytest
from network.options_case import OptionsCase
from numpy.testing import assert_allclose

from sklstm._kernels import available_isas


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize(("query", "key"), [(-75.0, 0.0), (-75.0, -75.0), (-1e4, -1e4)])
def test_gradients_of_queries_far_below_zero(query, key, isa):
    """1 / sum(phi(q)) times a gradient overflows; its product with the slope of phi does not."""
    gradients = {}
    for dtype in ("float32", "float64"):
        case = OptionsCase(isa, (7,), cell="linear_attention", cell_numbers=(4,), longest=5, dtype=dtype)
        parameters = case.layout.views(case.flat)
        for block, bias in zip(np.split(parameters["bias_l0"], 3), (query, key, 0.0), strict=True):
            block += np.float32(bias)
        parameters["weight_out"] *= 1e6
        gradients[dtype] = case.gradients()[0].astype(np.float64)
    largest = np.abs(gradients["float64"]).max()
    assert np.isfinite(largest)
    assert_allclose(gradients["float32"], gradients["float64"], rtol=1e-3, atol=1e-5 * largest)
