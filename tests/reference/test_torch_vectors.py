"""The reference against the stored vectors from PyTorch: each vouches for the other."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from reference.attention import multi_head_attention, scaled_dot_product_attention
from reference.losses import LOSSES
from reference.lstm import cell_forward, layer_forward, network_backward, network_forward
from reference.optimizers import adamw_start, adamw_step, clip_by_global_norm
from reference.vectors import load_cases, split_rows

LSTM_CASES = load_cases("torch_lstm")
ADAMW_CASES = load_cases("torch_adamw")
VARIANT_CASES = load_cases("torch_variants")
ATTENTION_CASES = load_cases("torch_attention")


def run_case(case):
    """Forward and gradients of the reference, laid out like the stored ones."""
    lengths = case["lengths"]
    sequences = split_rows(case["x"], lengths)
    masks = None
    if "masks" in case:
        masks = [split_rows(case["masks"][key], lengths) for key in sorted(case["masks"])]
    parameters = case["parameters"]
    forward = network_forward(parameters, sequences, case["h0"], case["c0"], masks)
    loss, d_z = LOSSES[str(case["loss"])](forward.z, case["y"], case["sample_weight"])
    gradients = network_backward(parameters, forward, d_z, masks)
    return {
        "hidden": np.concatenate(forward.hidden),
        "h_final": forward.h_final,
        "c_final": forward.c_final,
        "z": forward.z,
        "loss": loss,
        "d_x": np.concatenate(gradients.sequences),
        "d_h0": gradients.h0,
        "d_c0": gradients.c0,
        "d_parameters": gradients.parameters,
    }


def assert_same(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_same(found[name], value, **tolerance)
        else:
            assert np.shape(found[name]) == value.shape, name
            assert_allclose(found[name], value, err_msg=name, **tolerance)


@pytest.mark.parametrize("name", LSTM_CASES)
def test_lstm_against_torch(name):
    case = LSTM_CASES[name]
    found = run_case(case)
    assert_same(found, case["float64"], rtol=1e-10, atol=1e-13)
    # Guards the stored float32 numbers, which the float32 kernels are held against.
    assert_same(found, case["float32"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ADAMW_CASES)
def test_adamw_against_torch(name):
    """Five steps of gradient, clipping and update in a row, so errors would add up."""
    case = ADAMW_CASES[name]
    settings = {key: float(value) for key, value in case["settings"].items()}
    max_norm, decay = settings.pop("max_norm"), settings.pop("weight_decay")
    parameters, sequences = case["start"], split_rows(case["x"], case["lengths"])
    decays = {key: decay for key in parameters if name == "decay_all" or "weight" in key}
    state = adamw_start(parameters)
    for number in range(5):
        forward = network_forward(parameters, sequences)
        d_z = LOSSES[str(case["loss"])](forward.z, case["y"], case["sample_weight"])[1]
        gradients = network_backward(parameters, forward, d_z).parameters
        clipped, norm = clip_by_global_norm(gradients, max_norm)
        parameters, state = adamw_step(parameters, clipped, state, weight_decay=decays, **settings)
        assert_allclose(norm, case["norm"][number], rtol=1e-10)
        assert_same(gradients, case[f"step_{number}"]["gradients"], rtol=1e-10, atol=1e-11)
        assert_same(parameters, case[f"step_{number}"]["parameters"], rtol=1e-10, atol=1e-11)


def test_bidirectional_vectors():
    """The stored layers are the reference's layer, run over the sequence and over its mirror."""
    case = VARIANT_CASES["bidirectional"]
    below = split_rows(case["x"], case["lengths"])
    for number in range(2):
        outputs = []
        for direction, suffix in enumerate(["", "_reverse"]):
            parameters = [
                case["parameters"][f"{kind}_l{number}{suffix}"] for kind in ("weight_ih", "weight_hh", "bias")
            ]
            order = slice(None, None, -1 if direction else 1)
            index = 2 * number + direction
            state = case["h0"][index], case["c0"][index]
            layer = layer_forward([x[order] for x in below], *parameters, *state)
            assert_allclose(layer.h_final, case["h_final"][index], rtol=1e-10, atol=1e-13)
            assert_allclose(layer.c_final, case["c_final"][index], rtol=1e-10, atol=1e-13)
            outputs.append([h[order] for h in layer.hidden])
        below = [np.hstack(both) for both in zip(*outputs, strict=True)]
    assert_allclose(np.concatenate(below), case["hidden"], rtol=1e-10, atol=1e-13)


def test_projection_vectors():
    """The stored layers are the reference's cell with h multiplied by ``weight_hr``."""
    case = VARIANT_CASES["projection"]
    below = split_rows(case["x"], case["lengths"])
    for number in range(2):
        kinds = ("weight_ih", "weight_hh", "bias", "weight_hr")
        *parameters, weight_hr = (case["parameters"][f"{kind}_l{number}"] for kind in kinds)
        above = []
        for n, sequence in enumerate(below):
            h, c = case["h0"][number, n], case["c0"][number, n]
            hidden = []
            for x in sequence:
                step = cell_forward(x, h, c, *parameters)
                h, c = weight_hr @ step.h, step.c
                hidden.append(h)
            above.append(np.array(hidden))
            assert_allclose(h, case["h_final"][number, n], rtol=1e-10, atol=1e-13)
            assert_allclose(c, case["c_final"][number, n], rtol=1e-10, atol=1e-13)
        below = above
    assert_allclose(np.concatenate(below), case["hidden"], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ATTENTION_CASES)
def test_attention_against_torch(name):
    case = ATTENTION_CASES[name]
    n_heads, causal, parameters = int(case["n_heads"]), bool(case["causal"]), case["parameters"]
    outs, middles = [], []
    for number, u in enumerate(split_rows(case["u"].astype(np.float64), case["lengths"])):
        out, weights = multi_head_attention(u, parameters, n_heads, causal=causal)
        assert_allclose(weights, case["weights"][str(number)], rtol=1e-12, atol=1e-14)
        outs.append(out)
        q, k, v = np.split(u @ parameters["weight_in"].T + parameters["bias_in"], 3, axis=1)
        thirds = [np.split(third, n_heads, axis=1) for third in (q, k, v)]
        heads = [scaled_dot_product_attention(*one, causal=causal)[0] for one in zip(*thirds, strict=True)]
        middles.append(np.concatenate(heads, axis=1))
    assert_allclose(np.concatenate(outs), case["out"], rtol=1e-12, atol=1e-13)
    assert_allclose(np.concatenate(middles), case["heads"], rtol=1e-12, atol=1e-13)
