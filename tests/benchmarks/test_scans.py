"""The scan over time that PyTorch runs beside our linear recurrences."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
FOLDER = Path(__file__).parent
CELLS = ["mingru", "minlstm", "rglru", "lru"]


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in ("jobs", "scans")})


@pytest.mark.parametrize("n_steps", [1, 2, 7, 64])
def test_scan_is_the_loop(modules, n_steps):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 3, n_steps, 5, generator=generator, dtype=torch.float64)
    s, expected = torch.zeros(3, 5, dtype=torch.float64), []
    for t in range(n_steps):
        s = a[:, t] * s + b[:, t]
        expected.append(s)
    torch.testing.assert_close(modules.scans.scan(a, b), torch.stack(expected, 1), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_have_the_states_of_ours_and_learn(modules, cell):
    assert list(modules.scans.CELLS) == CELLS
    job = modules.jobs.Training(modules.jobs.Shape(1, 6, 5, cell), 20, 8, 8)
    assert modules.scans.CELLS[cell](5, 6)(torch.randn(8, 20, 5)).shape == (8, 20, 6)
    call = modules.scans.training(job, 1).call
    first = call()
    assert [call() for _ in range(30)][-1] < first
