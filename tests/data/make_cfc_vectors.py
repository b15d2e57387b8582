"""Writes the vectors of closed-form continuous-time networks that the tests compare with. Run once.

    python tests/data/make_cfc_vectors.py            # needs torch 2.13.0 and ncps 1.0.1

`CfC` of that package, with a backbone of one layer of as many units (case "cfc_backbone") and without one ("cfc"), on
one sequence at a time: with several, its line ``timespans[:, t].squeeze()`` would give the gaps of the sequences to the
units. The test suite reads the file and imports neither package. Numbers that go in are those of make_torch_vectors.py,
float64, one layer::

    {case}/x (R, D), gaps (R,), lengths (N,), h0 (1, N, H)
    {case}/parameters/weight_ih_l0, weight_hh_l0, bias_l0
    {case}/hidden (R, H), h_final (1, N, H)
    {case}/d_hidden (R, H) given; d_h0, d_parameters/... found
"""

from pathlib import Path

import numpy as np
import torch
from make_torch_vectors import draw, shrink
from ncps.torch import CfC

HERE = Path(__file__).parent
LENGTHS, N_COLUMNS, UNITS = [7, 4, 1, 9], 5, 6
HEADS = ("ff1", "ff2", "time_a", "time_b")


def by_name(module, of, *, backbone):
    """Parameters, or their gradients, as this package has them."""
    arrays = {name.removeprefix("rnn_cell."): of(p).numpy().copy() for name, p in module.named_parameters()}
    heads = [arrays[f"{head}.weight"] for head in HEADS]
    biases = [arrays[f"{head}.bias"] for head in HEADS]
    if backbone:
        first = arrays["backbone.0.weight"]
        return {
            "weight_ih_l0": first[:, :N_COLUMNS],
            "weight_hh_l0": np.concatenate([first[:, N_COLUMNS:], *heads]),
            "bias_l0": np.concatenate([arrays["backbone.0.bias"], *biases]),
        }
    both = np.concatenate(heads)
    return {
        "weight_ih_l0": both[:, :N_COLUMNS],
        "weight_hh_l0": both[:, N_COLUMNS:],
        "bias_l0": np.concatenate(biases),
    }


def make_case(rng, *, backbone):
    module = CfC(N_COLUMNS, UNITS, backbone_units=UNITS, backbone_layers=int(backbone), backbone_dropout=0.0).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(draw(rng, *parameter.shape, scale=0.5 if "bias" in name else 0.8)))
    n_rows = sum(LENGTHS)
    case = {
        "x": draw(rng, n_rows, N_COLUMNS, scale=2.0),
        "gaps": draw(rng, n_rows, scale=2.0) + 2.0,
        "lengths": np.array(LENGTHS),
        "h0": draw(rng, 1, len(LENGTHS), UNITS),
        "d_hidden": draw(rng, n_rows, UNITS),
    }
    h0 = torch.from_numpy(case["h0"]).requires_grad_()
    hidden, finals, begin = [], [], 0
    for k, length in enumerate(LENGTHS):
        rows = slice(begin, begin + length)
        x, gaps = torch.from_numpy(case["x"][rows]), torch.from_numpy(case["gaps"][rows])
        output, final = module(x[None], h0[:, k], gaps[None])
        hidden.append(output[0])
        finals.append(final)
        begin += length
    hidden = torch.cat(hidden)
    (hidden * torch.from_numpy(case["d_hidden"])).sum().backward()
    named = {
        f"parameters/{name}": array for name, array in by_name(module, torch.Tensor.detach, backbone=backbone).items()
    }
    found = {
        f"d_parameters/{name}": array for name, array in by_name(module, lambda p: p.grad, backbone=backbone).items()
    }
    results = {
        "hidden": hidden.detach().numpy(),
        "h_final": torch.cat(finals).detach().numpy()[None],
        "d_h0": h0.grad.numpy(),
    }
    return {name: shrink(array) for name, array in {**case, **named}.items()} | results | found


if __name__ == "__main__":
    rng, arrays = np.random.default_rng(30), {}
    for name in ("cfc", "cfc_backbone"):
        for key, array in make_case(rng, backbone=name.endswith("backbone")).items():
            arrays[f"{name}/{key}"] = array
    np.savez_compressed(HERE / "torch_cfc.npz", **arrays)
