"""Writes the vectors of Mamba that the tests compare with. Run once.

    python tests/data/make_mamba_vectors.py            # needs torch 2.13.0 and mambapy 1.2.0

`MambaBlock` of that package (its `forward` over whole sequences, step by step, not by its scan in parallel) without
norm and residual sum: `in_proj` is ``weight_ih``, `out_proj` the projection. The package computes A and D in float32
whatever the dtype of the module; here ``Tensor.float`` is the identity meanwhile. The test suite reads the file and
imports neither package. Keys, and the numbers that go in, are those of make_torch_vectors.py, float64, one layer::

    {case}/cell "mamba"; x (R, D), lengths (N,), h0 (1, N, D) and c0 (1, N, 19 H) of zeros, H = 2 D
    {case}/parameters/weight_ih_l0 (2H, D), bias_l0 of zeros, weight_conv_l0 (4, H), ..., weight_hr_l0 (D, H)
    {case}/hidden (R, D), h_final (1, N, D), c_final (1, N, 19 H) by the package's own `step`
    {case}/d_hidden (R, D) given; d_x, d_parameters/... found
"""

from pathlib import Path

import numpy as np
import torch
from make_torch_vectors import draw, shrink
from mambapy.mamba import MambaBlock, MambaConfig

HERE = Path(__file__).parent
# name: (D, lengths)
CASES = {"mamba": (5, [4, 9, 2]), "mamba_wide": (12, [12, 5, 8, 2])}
N_STATES, RANK = 16, 4


def by_name(block, of):
    """Parameters of the block, or their gradients, as this package has them."""
    arrays = {name: of(parameter).numpy().copy() for name, parameter in block.named_parameters()}
    return {
        "weight_ih_l0": arrays["in_proj.weight"],
        "weight_conv_l0": arrays["conv1d.weight"][:, 0].T,
        "bias_conv_l0": arrays["conv1d.bias"][np.newaxis],
        "weight_x_l0": arrays["x_proj.weight"],
        "weight_dt_l0": arrays["dt_proj.weight"].T,
        "bias_dt_l0": arrays["dt_proj.bias"][np.newaxis],
        "weight_log_a_l0": arrays["A_log"].T,
        "weight_d_l0": arrays["D"][np.newaxis],
        "weight_hr_l0": arrays["out_proj.weight"],
    }


def final_states(block, rows):
    """h, and the states as this package carries them: those of the scan, then the last inputs of the convolution."""
    cache, out = (None, torch.zeros(1, block.config.d_inner, 3, dtype=rows.dtype)), None
    for row in rows:
        out, cache = block.step(row[None], cache)
    states = torch.cat([cache[0][0].T, cache[1][0].T.flip(0)])
    return out[0], states.reshape(-1)


def make_case(seed, size, lengths):
    rng = np.random.default_rng(seed)
    block = MambaBlock(MambaConfig(size, 1, dt_rank=RANK, d_state=N_STATES, pscan=False)).double()
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            scale = 2.0 / np.sqrt(parameter.shape[-1]) if parameter.ndim > 1 and name != "A_log" else 1.0
            parameter.copy_(torch.from_numpy(draw(rng, *parameter.shape, scale=scale)))
    given = {"x": draw(rng, sum(lengths), size, scale=2.0), "d_hidden": draw(rng, sum(lengths), size)}
    x = torch.from_numpy(given["x"]).requires_grad_()
    hidden = [block(rows[None])[0] for rows in torch.split(x, lengths)]
    (torch.cat(hidden) * torch.from_numpy(given["d_hidden"])).sum().backward()
    n_states = (N_STATES + 3) * 2 * size
    given |= {"h0": np.zeros((1, len(lengths), size)), "c0": np.zeros((1, len(lengths), n_states))}
    given |= {f"parameters/{name}": array for name, array in by_name(block, torch.Tensor.detach).items()}
    given["parameters/bias_l0"] = np.zeros(4 * size)
    entries = {key: shrink(value) for key, value in given.items()}
    entries |= {"cell": np.array("mamba"), "lengths": np.array(lengths)}
    entries |= {"hidden": torch.cat(hidden).detach().numpy(), "d_x": x.grad.numpy()}
    finals = [final_states(block, rows.detach()) for rows in torch.split(x, lengths)]
    for k, name in enumerate(("h_final", "c_final")):
        entries[name] = torch.stack([final[k] for final in finals]).detach().numpy()[None]
    return entries | {f"d_parameters/{name}": array for name, array in by_name(block, lambda p: p.grad).items()}


def main():
    torch.set_num_threads(1)
    torch.Tensor.float = lambda tensor: tensor
    cases = {name: make_case(700 + seed, *case) for seed, (name, case) in enumerate(CASES.items())}
    entries = {f"{case}/{key}": value for case, found in cases.items() for key, value in found.items()}
    path = HERE / "torch_mamba.npz"
    np.savez_compressed(path, **entries)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
