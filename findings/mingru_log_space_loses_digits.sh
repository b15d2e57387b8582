#!/usr/bin/env bash
# minGRU-pytorch: the parallel mode in logarithms is less exact than the plain loop, and worse the longer the sequence.
#
# Expected: logarithms are what one takes for numerical safety, so the parallel mode, a scan over sums of logarithms, is at least
#     as exact in float32 as the step-by-step mode of the same module.
# Happens: the two are the same function, but of the same weights and 5,000 steps the parallel mode is 4e-4 away from the answer
#     in float64, the step-by-step mode 4e-7. The error grows with the length (1e-5 after 100 steps): the running sum of
#     log(1 - z) reaches thousands, and a float32 of that size has lost the digits that its exponential needs.
# Versions: minGRU-pytorch 0.2.1, torch 2.13.0 (CPU), Python 3.11.  Seen: 2026-11-29.
# Hurt: everybody who trains in the parallel mode and answers step by step, on long sequences, or compares two such programs.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 numpy==2.4.6 minGRU-pytorch==0.2.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import torch
from minGRU_pytorch import minGRU

torch.set_num_threads(1)
torch.manual_seed(0)
N_STEPS = 5000
network = minGRU(64)
exact = minGRU(64).double()
exact.load_state_dict({name: value.double() for name, value in network.state_dict().items()})
x = torch.randn(1, N_STEPS, 64)


def step_by_step(module, rows):
    state, answers = None, []
    for t in range(N_STEPS):
        answer, state = module(rows[:, t : t + 1], state, return_next_prev_hidden=True)
        answers.append(answer)
    return torch.cat(answers, 1)


with torch.no_grad():
    expected = step_by_step(exact, x.double())
    found = {"parallel": network(x), "step by step": step_by_step(network, x)}
errors = {}
for name, answers in found.items():
    distance = (answers - expected).abs()
    errors[name] = [distance[:, :n].max().item() for n in (100, 1000, N_STEPS)]
    print(f"{name}: largest error of the first 100, 1,000, 5,000 steps:", *(f"{error:.1e}" for error in errors[name]))
print(f"largest output: {expected.abs().max().item():.1f}")
parallel, stepped = errors["parallel"], errors["step by step"]
sys.exit(0 if parallel[2] > 1e-4 and parallel[2] > 10 * parallel[0] and stepped[2] < 2e-6 else 1)
PYTHON
