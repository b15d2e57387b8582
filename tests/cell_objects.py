"""An object of `sklstm.cells` for every entry of the registry of cells: what tests run over."""

import typing
from itertools import combinations, product

import pytest

from sklstm import cells


def variants(kind):
    """An object of a kind of cell for every choice, or two choices together, that lead to equations of their own."""
    found, options = {}, []
    for name, hint in typing.get_type_hints(kind).items():
        choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
        if hint is bool and name not in ("peephole", "layer_norm"):
            choices = (True, False)
        if choices:
            options.append([(name, choice) for choice in choices])
    for some in (*combinations(options, 1), *combinations(options, 2)):
        for chosen in product(*some):
            cell = kind(**dict(chosen))
            # The first choice is the default, of options that several entries do not stand for too.
            found.setdefault(cell._architecture()["cell"], cell)
    return found or {kind()._architecture()["cell"]: kind()}


KINDS = [kind for kind in map(vars(cells).get, cells.__all__) if kind is not cells.Cell]
OBJECTS = {name: cell for kind in KINDS for name, cell in variants(kind).items()}
each_cell = pytest.mark.parametrize("cell", OBJECTS)
