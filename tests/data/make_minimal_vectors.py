"""Writes the vectors of minGRU and minLSTM that the tests compare with. Run once.

    python tests/data/make_minimal_vectors.py            # needs torch 2.13.0 and minGRU-pytorch 0.2.1

That package computes all steps of a sequence at once, by a sum in logarithms. It is right from a state of zero
(findings/minlstm_in_parts.sh is about other states), and has no bias. The test suite reads the file and imports neither
package. Keys, and the numbers that go in, are those of make_torch_vectors.py (torch_gru.npz), float64, one layer::

    {case}/cell            "mingru" or "minlstm"
    {case}/x (R, D), lengths (N,), h0 (1, N, H) of zeros
    {case}/parameters/weight_ih_l0 (2H, D) blocks z, n, or (3H, D) blocks f, i, n; bias_l0 of zeros
    {case}/hidden (R, H), h_final (1, N, H)
    {case}/d_hidden (R, H) given; d_x, d_parameters/weight_ih_l0 found
"""

from pathlib import Path

import numpy as np
import torch
from make_torch_vectors import draw, shrink
from minGRU_pytorch.minGRU import minGRU
from minGRU_pytorch.minLSTM import minLSTM

HERE = Path(__file__).parent
# name: (module, D = H, lengths); a sequence of one step goes another way there.
CASES = {
    "mingru": (minGRU, 7, [4, 9, 2]),
    "mingru_wide": (minGRU, 33, [12, 5, 8, 2]),
    "minlstm": (minLSTM, 7, [4, 9, 2]),
    "minlstm_wide": (minLSTM, 33, [12, 5, 8, 2]),
}


def blocks(matrix, n_blocks):
    """Blocks with the candidate first, as the package has them, -> the candidate last."""
    first, *others = np.split(matrix, n_blocks)
    return np.concatenate([*others, first])


def make_case(seed, kind, size, lengths):
    rng, n_blocks = np.random.default_rng(seed), 2 if kind is minGRU else 3
    module = kind(size).double()
    weights = draw(rng, n_blocks * size, size, scale=4.0 / np.sqrt(size))
    (parameter,) = module.parameters()
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(weights))
    given = {"x": draw(rng, sum(lengths), size, scale=2.0), "d_hidden": draw(rng, sum(lengths), size)}
    x = torch.from_numpy(given["x"]).requires_grad_()
    hidden = [module(rows[None])[0] for rows in torch.split(x, lengths)]
    (torch.cat(hidden) * torch.from_numpy(given["d_hidden"])).sum().backward()
    given |= {"h0": np.zeros((1, len(lengths), size)), "parameters/bias_l0": np.zeros(n_blocks * size)}
    given["parameters/weight_ih_l0"] = blocks(weights, n_blocks)
    entries = {key: shrink(value) for key, value in given.items()}
    entries |= {"cell": np.array("mingru" if kind is minGRU else "minlstm"), "lengths": np.array(lengths)}
    entries |= {"hidden": torch.cat(hidden).detach().numpy(), "d_x": x.grad.numpy()}
    entries["h_final"] = torch.stack([rows[-1] for rows in hidden]).detach().numpy()[None]
    entries["d_parameters/weight_ih_l0"] = blocks(parameter.grad.numpy(), n_blocks)
    return entries


def main():
    torch.set_num_threads(1)
    cases = {name: make_case(600 + seed, *case) for seed, (name, case) in enumerate(CASES.items())}
    entries = {f"{case}/{key}": value for case, found in cases.items() for key, value in found.items()}
    path = HERE / "torch_minimal.npz"
    np.savez_compressed(path, **entries)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
