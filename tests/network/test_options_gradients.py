"""Every gradient of networks of all cells and options against central differences of their own loss, in float64.

Dropout, zoneout and recurrent dropout are functions of counters: their masks stand still while a number is moved.
"""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from network.options_draw import (
    ALONE,
    RECTIFIED,
    cells_with_some,
    deal,
    draw_options,
    drawn_cells,
    make_case,
    options_on,
    possible_pairs,
    raise_biases,
)
from reference.differences import numerical_gradient

from sklstm._network.cells import CELLS

# Over all cells, in which every pair of options is drawn; and at least so many of each cell.
N_CONFIGURATIONS, N_OF_EACH = 240, 12
# A bend may lie within the first of them.
SHORT_STEPS = (1e-6, 1e-7)


def simple_differences(function, array, step=1e-5):
    """Central differences of second order: two values for each entry."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        gradient[index] = (above - function()) / (2.0 * step)
        array[index] = value
    return gradient


def assert_gradient(function, array, gradient):
    """Hold a gradient against differences, entry by entry against the better of two.

    A normalisation of numbers that are nearly or exactly equal (a sequence of one row, freed of its last row) divides
    by sqrt(1e-5): its third derivative is a million times the first, and the two values of `simple_differences` are too
    far apart. Where they miss, four values, of fourth order, decide; both steps leave an error of rounding near 1e-11.
    Where these miss too, a bend (of relu, or of the candidate of minGRU) may lie between the values: shorter steps.
    """
    tolerance = {"rtol": 1e-6, "atol": 1e-8}
    expected = simple_differences(function, array)
    missed = np.argwhere(~np.isclose(gradient, expected, **tolerance))
    missed = [tuple(index.tolist()) for index in missed]
    better = numerical_gradient(function, array, 2e-5, missed)
    for index in missed:
        expected[index] = better[index]
        for step in SHORT_STEPS:
            if np.isclose(gradient[index], expected[index], **tolerance):
                break
            value = array[index]
            array[index] = value + step
            above = function()
            array[index] = value - step
            expected[index] = (above - function()) / (2.0 * step)
            array[index] = value
    np.testing.assert_allclose(gradient, expected, **tolerance)
    return expected


def idle_arrays(case):
    return {name for name, view in case.layout.views(case.gradients()[0]).items() if np.abs(view).max() < 1e-7}


def check_gradients(case):
    moved = case.flat, case.table, case.state
    for array, gradient in zip(moved, case.gradients(), strict=True):
        if gradient is not None:
            expected = assert_gradient(case.loss, array, gradient)
            # What fades must still stand out from the absolute tolerance.
            assert np.abs(expected).max() > 1e-6
    # An option whose numbers do nothing would pass as well.
    shape, idle = case.shape, idle_arrays(case)
    if idle and shape.cell in RECTIFIED:
        raise_biases(case)
        idle = idle_arrays(case)
    if shape.bidirectional and shape.window_norm == "last" and shape.n_layers == 1:
        # At the last step, the backward direction has read the last row alone: zeros.
        idle -= {"weight_ih_l0_backward", "norm_weight_ih_l0_backward"}
    if shape.bidirectional and shape.pooling == "last":
        # And the decay of RWKV acts from its second step on.
        idle -= {f"weight_time_decay_l{shape.n_layers - 1}_backward"}
    if -(-case.lengths.max() // shape.patch_length) <= 4:
        # In so few steps it may stay below what stands out; it is compared with differences all the same.
        idle -= {name for name in idle if name.startswith("weight_time_decay")}
    if shape.cell_norm and case.table.shape[1] == 1:
        # The norm inside the cell leaves of a single column its sign: steps that are averages of the same are all the
        # same, and it is of no account which of them are attended to.
        idle -= {"weight_pool"}
    # Gates that multiply each other fade: with larger weights their gradients stand out, and are checked again.
    for _ in range(4 if idle else 0):
        case.flat *= 1.2
        idle &= idle_arrays(case)
        if not idle:
            assert_gradient(case.loss, case.flat, case.gradients()[0])
            break
    assert not idle


@pytest.mark.parametrize(("cell", "number"), drawn_cells(range(N_CONFIGURATIONS), N_OF_EACH))
def test_gradients_of_all_options_together(cell, number):
    check_gradients(make_case(draw_options(number, cell), number))


@pytest.mark.parametrize(("cell", "name"), cells_with_some(ALONE))
def test_gradients_of_each_option_alone(cell, name):
    check_gradients(make_case({"cell": cell, **ALONE[name]}, list(ALONE).index(name)))


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_of_attention_over_many_steps(bidirectional, pooling):
    """More steps than a block of queries."""
    options = {"attention_heads": 2, "pooling": pooling, "bidirectional": bidirectional}
    check_gradients(make_case({**options, "hidden_sizes": (4,), "n": 2, "longest": 50}, int(bidirectional)))


def test_configurations_cover_the_options():
    numbers = range(N_CONFIGURATIONS)
    drawn = [options_on(draw_options(number)) for number in numbers]
    singles = Counter(name for names in drawn for name in names)
    pairs = Counter(pair for names in drawn for pair in combinations([n for n in ALONE if n in names], 2))
    assert {name: singles[name] for name in ALONE if name != "plain" and singles[name] < 25} == {}
    assert [pair for pair in possible_pairs() if not pairs[pair]] == []
    several_chunks = [draw_options(number)["n"] >= 16 for number in numbers]
    assert sum(several_chunks) >= 12
    threads = Counter(draw_options(number)["threads"] for number in numbers if several_chunks[number])
    assert min(threads[1], threads[2]) >= 5


def test_each_configuration_is_drawn_with_all_its_options():
    dealt = deal(range(N_CONFIGURATIONS))
    assert sorted(number for numbers in dealt.values() for number in numbers) == list(range(N_CONFIGURATIONS))
    for cell, numbers in dealt.items():
        for number in numbers:
            assert options_on(draw_options(number, cell)) == options_on(draw_options(number))
    of_each = Counter(parameter.values[0] for parameter in drawn_cells(range(N_CONFIGURATIONS), N_OF_EACH))
    assert min(of_each[cell] for cell in CELLS) >= N_OF_EACH
