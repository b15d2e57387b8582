#!/usr/bin/env bash
# ncps: with time gaps, a CfC gives the gap of a sequence of the batch to a unit of all sequences.
#
# Expected: each sequence of a batch is answered by its own rows and its own gaps, as it is alone.
# Happens: `timespans[:, t].squeeze()` has one number for each sequence, and multiplies (sequences, units) along the units. With as
#     many sequences as units every answer is wrong, without a word; with another number it is an error of shapes. With one
#     sequence, and where all gaps of a step are equal, it is right.
# Versions: ncps 1.0.1, torch 2.13.0 (CPU), Python 3.11.  Seen: 2026-11-29.
# Hurt: everybody who trains a CfC on irregularly sampled sequences in batches of as many as it has units.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 numpy==2.4.6 packaging ncps==1.0.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import torch
from ncps.torch import CfC

torch.set_num_threads(1)
torch.manual_seed(0)
N_UNITS, N_STEPS = 8, 10
network = CfC(3, N_UNITS, backbone_dropout=0.0).double()


def distance(n_sequences, gaps):
    """The largest difference between the answers to a batch and to its sequences one by one."""
    x = torch.randn(n_sequences, N_STEPS, 3, dtype=torch.float64)
    together, _ = network(x, torch.zeros(n_sequences, N_UNITS, dtype=torch.float64), gaps)
    start = torch.zeros(1, N_UNITS, dtype=torch.float64)
    alone = torch.cat([network(x[k : k + 1], start, gaps[k : k + 1])[0] for k in range(n_sequences)])
    return (together - alone).abs().max().item()


with torch.no_grad():
    own = distance(N_UNITS, torch.rand(N_UNITS, N_STEPS, dtype=torch.float64) * 4.0)
    equal = distance(N_UNITS, torch.full((N_UNITS, N_STEPS), 2.0, dtype=torch.float64))
    print(f"{N_UNITS} sequences, {N_UNITS} units, gaps of their own: answers differ from those alone by {own:.2f}")
    print(f"the same, all gaps equal: {equal:.1e}")
    try:
        distance(5, torch.rand(5, N_STEPS, dtype=torch.float64))
        refused = False
    except RuntimeError as error:
        refused = True
        print(f"5 sequences: {str(error).splitlines()[0]}")
sys.exit(0 if own > 1e-2 and equal < 1e-12 and refused else 1)
PYTHON
