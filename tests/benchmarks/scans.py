"""Linear recurrences written plainly in PyTorch, as a scan over time by doubling (Hillis & Steele, 1986).

``s_t = a_t s_(t-1) + b_t`` for all steps takes log2(T) passes over arrays of the whole sequence, each of which joins
twice as many steps. That is how the papers train these cells without a kernel of their own. The equations and the
sizes are ours, the weights are not: answers are not compared, the scan is, with a loop over time.
"""

import packages


def scan(a, b):
    """Return s of shape (batch, steps, units) from a and b of that shape, with s = 0 before the first step."""
    import torch

    shift, n_steps = 1, b.shape[1]
    while shift < n_steps:
        b = torch.cat([b[:, :shift], b[:, shift:] + a[:, shift:] * b[:, :-shift]], 1)
        if 2 * shift < n_steps:
            a = torch.cat([a[:, :shift], a[:, shift:] * a[:, :-shift]], 1)
        shift *= 2
    return b


def _mingru(columns, units):
    """Return a layer of minGRU: s = (1 - z) s + z g."""
    import torch

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gates = torch.nn.Linear(columns, 2 * units)

        def forward(self, x):
            z, g = self.gates(x).chunk(2, -1)
            z = torch.sigmoid(z)
            return scan(1.0 - z, z * torch.where(g >= 0.0, g + 0.5, torch.sigmoid(g)))

    return Layer()


def _minlstm(columns, units):
    """Return a layer of minLSTM: s = f / (f + i) s + i / (f + i) g."""
    import torch

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gates = torch.nn.Linear(columns, 3 * units)

        def forward(self, x):
            f, i, g = self.gates(x).chunk(3, -1)
            f, i = torch.sigmoid(f), torch.sigmoid(i)
            return scan(f / (f + i), i / (f + i) * torch.where(g >= 0.0, g + 0.5, torch.sigmoid(g)))

    return Layer()


def _rglru(columns, units):
    """Return a layer of RG-LRU: a = exp(-8 softplus(p) r), s = a s + sqrt(1 - a^2) i v."""
    import torch

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gates = torch.nn.Linear(columns, 3 * units)
            self.decay = torch.nn.Parameter(torch.linspace(-4.0, -1.0, units))

        def forward(self, x):
            r, i, v = self.gates(x).chunk(3, -1)
            log_a = -8.0 * torch.nn.functional.softplus(self.decay) * torch.sigmoid(r)
            return scan(log_a.exp(), (-torch.expm1(2.0 * log_a)).sqrt() * torch.sigmoid(i) * v)

    return Layer()


def _lru(columns, units):
    """Return a layer of LRU, half as many complex states: v = B x, s = lambda s + gamma v, h = [Re s, Im s] + d v."""
    import torch

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            half = units // 2
            self.inputs = torch.nn.Linear(columns, units)
            self.size = torch.nn.Parameter(torch.linspace(-4.0, 0.0, half))
            self.angle = torch.nn.Parameter(torch.linspace(0.01, 3.1, half))
            self.gain = torch.nn.Parameter(torch.ones(half))
            self.through = torch.nn.Parameter(torch.randn(units))

        def forward(self, x):
            v = self.inputs(x)
            real, imaginary = v.chunk(2, -1)
            a = torch.polar(torch.exp(-torch.exp(self.size)), self.angle).expand(*real.shape)
            s = scan(a, torch.complex(self.gain * real, self.gain * imaginary))
            return torch.cat([s.real, s.imag], -1) + self.through * v

    return Layer()


CELLS = {"mingru": _mingru, "minlstm": _minlstm, "rglru": _rglru, "lru": _lru}


def training(job, n_threads):
    """Time steps of training on one batch of sequences of one length."""
    shape = job.shape
    return packages.training(job, n_threads, lambda columns: CELLS[shape.cell](columns, shape.units), shape.units)
