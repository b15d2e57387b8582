"""Attention where its blocks end: sequences longer than a block of queries or of summed pairs, and far scores."""

import numpy as np
import pytest
from network.options_case import OptionsCase
from numpy.testing import assert_allclose
from reference.differences import numerical_gradient
from reference.network import options_forward

from sklstm._kernels import available_isas

PAIRS = 128  # rows that the kernels sum at once


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("longest", [PAIRS, PAIRS + 1, 2 * PAIRS + 3])
def test_gradients_of_long_sequences(isa, longest):
    """Each weight's gradient sums over all steps, in blocks: some entries of every array, by central differences."""
    case = OptionsCase(isa, (4,), n=2, longest=longest, seed=longest, attention_heads=2, pooling="mean")
    gradient, rng = case.gradients()[0], np.random.default_rng(0)
    for parameter in case.layout.parameters:
        chosen = parameter.begin + rng.choice(parameter.end - parameter.begin, min(4, np.prod(parameter.shape)), False)
        expected = numerical_gradient(case.loss, case.flat, 2e-4, [(int(k),) for k in chosen])[chosen]
        assert_allclose(gradient[chosen], expected, rtol=1e-6, atol=1e-9, err_msg=parameter.name)
        assert np.abs(gradient[chosen]).max() > 1e-7, parameter.name


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("scale", [-1e3, 1e3, -1e5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pooling_of_scores_far_from_zero(isa, scale, dtype):
    """All scores may lie where exp(score) is zero, or infinite: only their differences count."""
    case = OptionsCase(isa, (5,), n=4, longest=7, pooling="attention", dtype=dtype)
    views = case.layout.views(case.flat)
    views["bias_l0"][:] = 4 * np.repeat([1, 1, 1, 1], 5)  # all h of one sign, so that all scores are
    views["weight_pool"][:] = scale
    if dtype == "float32":
        # The rounding of a score of 1e5 is some hundredths: one unit alone decides, and rounds alike.
        views["weight_pool"][1:] = 0
    expected = options_forward(case.shape, case.parameters, case.sequences, None, None, *case.scaling)
    for found, wanted in zip(case.forward()[:2], expected[:2], strict=True):
        assert np.isfinite(found).all()
        assert_allclose(found, wanted, rtol=0, atol=1e-9 if dtype == "float64" else 2e-2)
    assert np.isfinite(case.gradients()[0]).all()
