"""Time one training step beside PyTorch: ``python training_step.py [threads]``, with torch installed.

Both sides run forward, loss, backward, clipping by global norm and AdamW on the same shapes, interleaved in one
process. The table holds sequences per second, from medians.
"""

import os
import sys
import time

# An exported core type makes OpenBLAS pick an old CPU's kernels.
os.environ.pop("OPENBLAS_CORETYPE", None)

import numpy as np
import torch

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._training.clipping import clip_by_global_norm
from sklstm._training.optimizers import AdamW

# layers, units, columns, steps, batch
SHAPES = [
    (1, 64, 50, 32, 512),
    (1, 64, 50, 32, 64),
    (3, 128, 32, 64, 128),
    (2, 100, 7, 20, 50),
    (1, 17, 3, 96, 33),
]
SECONDS = 6.0


def sklstm_step(layers, units, columns, steps, batch, n_threads):
    """Return a function that does one step of ours."""
    rng = np.random.default_rng(0)
    layout = ParameterLayout(columns, (units,) * layers, 1)
    network = Network(layout, "float32", n_threads)
    flat = layout.initial(rng, np.float32)
    optimizer = AdamW(layout, np.dtype("float32"), 0.01, n_threads)
    sequences = Sequences.from_array(rng.standard_normal((batch, steps, columns), dtype=np.float32))
    targets, weights = rng.standard_normal((batch, 1), dtype=np.float32), np.ones(batch, np.float32)
    rows, gradient = np.arange(batch), np.empty_like(flat)

    def step():
        network.load(flat)
        network.loss_and_gradient(sequences, rows, targets, weights, "squared", 1 / batch, gradient)
        factor, _ = clip_by_global_norm(gradient, 1.0, n_threads)
        optimizer.step(flat, gradient, 1e-3, factor)

    return step


def torch_step(layers, units, columns, steps, batch):
    """Return a function that does one step of torch.nn.LSTM (its oneDNN path)."""
    lstm, head = torch.nn.LSTM(columns, units, layers), torch.nn.Linear(units, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
    x, y = torch.randn(steps, batch, columns), torch.randn(batch, 1)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(head(lstm(x)[0][-1]), y).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return step


def interleave(*functions):
    """Run the functions in turn for a while; return the median seconds of each."""
    seconds = [[] for _ in functions]
    for function in functions:
        function()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(seconds[0]) < 5:
        for function, record in zip(functions, seconds, strict=True):
            began = time.perf_counter()
            function()
            record.append(time.perf_counter() - began)
    return [float(np.median(record)) for record in seconds]


def main():
    """Print the table."""
    n_threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    torch.set_num_threads(n_threads)
    print(f"| network, {n_threads} thread(s) | sklstm | PyTorch {torch.__version__} | ratio |\n|---|---|---|---|")
    for layers, units, columns, steps, batch in SHAPES:
        shape = (layers, units, columns, steps, batch)
        ours, theirs = interleave(sklstm_step(*shape, n_threads), torch_step(*shape))
        name = f"{layers}x{units}, {columns} columns, {steps} steps, batch {batch}"
        print(f"| {name} | {batch / ours:,.0f}/s | {batch / theirs:,.0f}/s | {theirs / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main()
