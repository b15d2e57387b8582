"""The sides of packages that have a cell of ours, for PyTorch on a CPU: minGRU-pytorch, mambapy and s5-pytorch.

Each reads the same sequences, in its parallel mode, and its last output goes through a linear head. They start from
weights of their own: their answers are not compared. Equal in size is the state: 64 units, or the 128 channels that
mambapy makes of 64 columns by default, with 16 numbers each.
"""

import peers
from timing import Side


def training(job, n_threads, make, width=None):
    """Time steps of training on one batch.

    `make` returns, for a number of columns, a module from (batch, steps, columns) to (batch, steps, `width`), which is
    the number of columns where it is None.
    """
    import torch

    torch.manual_seed(0)
    layer, head = make(job.shape.columns), torch.nn.Linear(width or job.shape.columns, 1)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
    x, y = map(torch.from_numpy, job.data())

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(head(layer(x)[:, -1]), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.item()

    side = peers.torch_side(step, n_threads)
    return Side(side.call, prepare=side.prepare, flop=job.flop)


def mingru(job, n_threads):
    """Time minGRU-pytorch."""
    from minGRU_pytorch import minGRU

    return training(job, n_threads, minGRU)


def mamba(job, n_threads):
    """Time mambapy, one block with its normalisation and residual sum."""
    from mambapy.mamba import Mamba, MambaConfig

    return training(job, n_threads, lambda columns: Mamba(MambaConfig(d_model=columns, n_layers=1)))


def s5(job, n_threads):
    """Time s5-pytorch, its layer without the block around it."""
    from s5 import S5

    return training(job, n_threads, lambda columns: S5(columns, columns))


# The package, its side, and our units.
SIDES = {
    "mingru": ("minGRU-pytorch", mingru, 64),
    "mamba": ("mambapy", mamba, 128),
    "s5": ("s5-pytorch", s5, 64),
}
