"""Gradients of cells with options over several vectors of units, on every instruction set: some entries of each."""

import numpy as np
import pytest
from network.options_case import OptionsCase
from network.options_draw import cells_with, for_cell, isas_of
from numpy.testing import assert_allclose
from reference.differences import numerical_gradient

from sklstm._network.cells import CELLS

# Of a vector of float64 of the widest instruction set: less than one, one, several and a remainder.
SIZES = (5, 8, 37)
OPTIONS = {
    "plain": {},
    "peepholes": {"peephole": True},
    "normalised sums": {"cell_norm": True},
    "projection": {"projection_size": 3},
    "zoneout": {"zoneout": 0.3},
    "recurrent dropout": {"recurrent_dropout": 0.3},
}
ALL = {"peephole": True, "cell_norm": True, "projection_size": 4, "zoneout": 0.2, "recurrent_dropout": 0.2}


@pytest.mark.parametrize("hidden", SIZES)
@pytest.mark.parametrize(
    ("cell", "name", "isa"), [(*one.values, isa) for one in cells_with(OPTIONS) for isa in isas_of(one.values[0])]
)
def test_gradients(cell, name, hidden, isa):
    check(OptionsCase(isa, (hidden,), n=3, longest=4, seed=hidden, cell=cell, **OPTIONS[name]), hidden)


@pytest.mark.parametrize("hidden", SIZES)
@pytest.mark.parametrize(("cell", "isa"), [(cell, isa) for cell in CELLS for isa in isas_of(cell)])
def test_gradients_of_all_together(cell, hidden, isa):
    check(OptionsCase(isa, (hidden,), n=3, longest=4, seed=hidden, **for_cell(cell, ALL)), hidden)


def check(case, hidden):
    gradient, rng = case.gradients()[0], np.random.default_rng(hidden)
    for parameter in case.layout.parameters:
        size = parameter.end - parameter.begin
        # The last unit too, which lies in the last vector.
        places = np.unique(np.r_[rng.choice(size, min(5, size), replace=False), size - 1])
        chosen = parameter.begin + places
        expected = numerical_gradient(case.loss, case.flat, 1e-5, [(int(k),) for k in chosen])[chosen]
        assert_allclose(gradient[chosen], expected, rtol=1e-6, atol=1e-8, err_msg=parameter.name)
