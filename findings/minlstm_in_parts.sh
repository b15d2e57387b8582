#!/usr/bin/env bash
# minLSTM of minGRU-pytorch: a sequence in two parts, the state handed over, is not the sequence.
#
# Expected: `model(x)` and `model(x[:, :k])`, then `model(x[:, k:], prev_hidden=state)`, give the same outputs up to rounding, as
#     minGRU of the same package does: the state is all that a recurrent cell knows of its past.
# Happens: from a state that is handed over, two and more steps at once are wrong (here by 0.32, elsewhere by up to 0.49): the
#     state is taken in as log_g(h) where log(h) is meant (minLSTM.py), so that a positive h becomes h + 1/2. One step at a time
#     goes another way and is right.
# Versions: minGRU-pytorch 0.2.1, torch 2.13.0, Python 3.11.  Seen: 2026-11-29.
# Hurt: everybody who trains on truncated sequences with carried states, or feeds a prompt in pieces.
#
# Exit status 0: still so. 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install minGRU-pytorch==0.2.1 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from minGRU_pytorch.minGRU import minGRU
from minGRU_pytorch.minLSTM import minLSTM

torch.manual_seed(0)
x = torch.randn(4, 20, 8, dtype=torch.float64)
errors = {}
for kind in (minGRU, minLSTM):
    model = kind(8).double()
    with torch.no_grad():
        whole = model(x)
        first, state = model(x[:, :10], return_next_prev_hidden=True)
        rest = model(x[:, 10:], prev_hidden=state)
        steps, hidden = [], state
        for t in range(10, 20):
            out, hidden = model(x[:, t : t + 1], prev_hidden=hidden, return_next_prev_hidden=True)
            steps.append(out)
    error = (torch.cat([first, rest], dim=1) - whole).abs().max().item()
    by_steps = (torch.cat([first, *steps], dim=1) - whole).abs().max().item()
    print(f"{kind.__name__}: largest error in two parts {error:.1e}, with the second part step by step {by_steps:.1e}")
    errors[kind.__name__] = error, by_steps
small = max(errors["minGRU"][0], errors["minGRU"][1], errors["minLSTM"][1])
sys.exit(not (small < 1e-12 < 0.1 < errors["minLSTM"][0]))
PYTHON
