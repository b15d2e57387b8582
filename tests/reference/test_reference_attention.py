"""The reference's pooling and self-attention block: numbers worked out by hand, and what must hold of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from reference.attention import (
    attention_block,
    attention_pooling,
    mean_pooling,
    multi_head_attention,
    position_encoding,
    scaled_dot_product_attention,
)


def make_parameters(rng, size):
    return {
        "gain": rng.normal(size=size),
        "shift": rng.normal(size=size),
        "weight_in": rng.normal(size=(3 * size, size)),
        "bias_in": rng.normal(size=3 * size),
        "weight_out": rng.normal(size=(size, size)),
        "bias_out": rng.normal(size=size),
    }


def test_mean_pooling_by_hand():
    assert_array_equal(mean_pooling(np.array([[1.0, 2.0], [3.0, 6.0]])), [2.0, 4.0])


def test_attention_pooling_by_hand():
    """Scores log 3 apart: weights 1/4 and 3/4."""
    y = np.array([[np.arctanh(0.25), 8.0], [np.arctanh(0.5), 4.0]])
    feature, weights = attention_pooling(y, np.array([4 * np.log(3.0), 0.0]))
    assert_allclose(weights, [0.25, 0.75], rtol=1e-14)
    assert_allclose(feature, [0.25 * y[0, 0] + 0.75 * y[1, 0], 5.0], rtol=1e-14)


def test_without_scores_attention_pooling_is_the_mean():
    y = np.random.default_rng(0).normal(size=(7, 3))
    assert_allclose(attention_pooling(y, np.zeros(3))[0], mean_pooling(y), rtol=1e-14)


def test_position_encoding_by_hand():
    expected = [[0.0, 1.0, 0.0, 1.0], [np.sin(1.0), np.cos(1.0), np.sin(0.01), np.cos(0.01)]]
    assert_allclose(position_encoding(2, 4), expected, rtol=1e-14)
    # An odd size ends with a sine.
    assert_allclose(position_encoding(3, 3)[2, 2], np.sin(2 * 10000 ** (-2 / 3)), rtol=1e-14)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_by_hand(causal):
    """One number a head: scores 0, log 3 for the second query; nothing but itself for the first, if causal."""
    q, k, v = np.array([[0.0], [1.0]]), np.array([[0.0], [np.log(3.0)]]), np.array([[4.0], [8.0]])
    out, weights = scaled_dot_product_attention(q, k, v, causal=causal)
    assert_allclose(weights, [[1.0, 0.0] if causal else [0.5, 0.5], [0.25, 0.75]], rtol=1e-14)
    assert_allclose(out, [[4.0 if causal else 6.0], [7.0]], rtol=1e-14)


def test_scores_are_divided_by_the_root_of_the_width_of_a_head():
    q, k = np.ones((1, 4)), np.array([[0.0] * 4, [np.log(3.0) / 2] * 4])
    _, weights = scaled_dot_product_attention(np.vstack([q, q]), k, k)
    assert_allclose(weights[0], [0.25, 0.75], rtol=1e-14)


def test_the_block_by_its_parts():
    """Two steps, one head, values alone: each row gets the mean of the normalised rows and positions on top."""
    y = np.array([[1.0, 3.0], [5.0, 1.0]])
    parameters = {
        "gain": np.ones(2), "shift": np.zeros(2), "weight_in": np.vstack([np.zeros((4, 2)), np.eye(2)]),
        "bias_in": np.zeros(6), "weight_out": np.eye(2), "bias_out": np.array([0.0, 10.0]),
    }  # fmt: skip
    first, second = 1 / np.sqrt(1 + 1e-5), 2 / np.sqrt(4 + 1e-5)
    u = np.array([[-first, first + 1.0], [second + np.sin(1.0), -second + np.cos(1.0)]])
    out, weights = attention_block(y, parameters, 1)
    assert_allclose(out, y + u.mean(axis=0) + [0.0, 10.0], rtol=1e-14)
    assert_allclose(weights, np.full((1, 2, 2), 0.5), rtol=1e-14)


def test_a_causal_step_does_not_see_what_follows():
    rng = np.random.default_rng(3)
    y, parameters = rng.normal(size=(6, 8)), make_parameters(rng, 8)
    whole, _ = attention_block(y, parameters, 2, causal=True)
    for n_steps in range(1, 7):
        assert_allclose(attention_block(y[:n_steps], parameters, 2, causal=True)[0], whole[:n_steps], rtol=1e-12)
    assert not np.allclose(attention_block(y, parameters, 2)[0][:-1], whole[:-1])


def test_weights_of_a_step_sum_to_one():
    rng = np.random.default_rng(4)
    u, parameters = rng.normal(size=(5, 6)), make_parameters(rng, 6)
    for causal in (False, True):
        _, weights = multi_head_attention(u, parameters, 3, causal=causal)
        assert weights.shape == (3, 5, 5)
        assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-14)
