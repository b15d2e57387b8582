"""From what `cell` is set to, a name or an object, to the cell and what the network needs of it."""

import difflib
from itertools import combinations, product
from typing import Any, Literal, TypeVar

from sklearn.utils._param_validation import InvalidParameterError

from sklstm.cells import (
    GRU,
    LMU,
    LRU,
    LSTM,
    MGU,
    MLSTM,
    QRNN,
    RGLRU,
    RHN,
    RWKV,
    S4D,
    S5,
    SRU,
    Cell,
    CfC,
    Delta,
    Elman,
    ExpLSTM,
    IndRNN,
    LinearAttention,
    Mamba,
    MinGRU,
    MinLSTM,
    Retention,
    SecondOrder,
)

CellName = Literal[
    "lstm",
    "gru",
    "elman",
    "mgu",
    "delta",
    "mingru",
    "minlstm",
    "indrnn",
    "sru",
    "rglru",
    "qrnn",
    "explstm",
    "second_order",
    "cfc",
    "mlstm",
    "rhn",
    "s4d",
    "s5",
    "lru",
    "mamba",
    "rwkv",
    "retention",
    "linear_attention",
    "lmu",
]

# What a name stands for: the cell with its defaults.
_KINDS: dict[str, type[Cell]] = {
    kind._name or kind.__name__.lower(): kind
    for kind in (
        *(LSTM, GRU, Elman, MGU, Delta, MinGRU, MinLSTM, IndRNN, SRU, RGLRU, QRNN, ExpLSTM),
        *(SecondOrder, CfC, MLSTM, RHN),
        *(S4D, S5, LRU, Mamba, RWKV, Retention, LinearAttention, LMU),
    )
}


def check_cell(cell: object) -> Cell:
    """Return a cell as an object with valid parameters.

    Parameters
    ----------
    cell : str or Cell
        Its name or the object itself.

    Returns
    -------
    Cell
        The object itself, or a new one with the defaults.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError, if it is none, or one of its own parameters is not valid.
    """
    if isinstance(cell, str) and cell in _KINDS:
        return _KINDS[cell]()
    kinds: tuple[type[Cell], ...] = tuple(_KINDS.values())
    if isinstance(cell, kinds):
        cell._validate_params()
        return cell
    names = ", ".join(map(repr, _KINDS))
    if isinstance(cell, str):
        close = difflib.get_close_matches(cell.lower(), _KINDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise InvalidParameterError(f"cell={cell!r} is not known; there are {names}{hint}")
    if isinstance(cell, type) and issubclass(cell, kinds):
        raise InvalidParameterError(f"cell={cell.__name__} is a class, expected an object: set cell={cell.__name__}().")
    raise InvalidParameterError(
        f"cell must be one of the names {names} or an object of sklstm.cells, found {cell!r} of type "
        f"{type(cell).__name__}."
    )


def describe_cell(cell: object) -> dict[str, Any]:
    """Return the fields of `Architecture` that a cell stands for.

    Parameters
    ----------
    cell : str or Cell
        Its name or an object.

    Returns
    -------
    dict
        ``cell``, the key of the registry of cells, ``peephole``, ``projection_size``, ``cell_norm``, ``cell_numbers``.
    """
    return check_cell(cell)._architecture()


def cell_of_kernel(kernel: str) -> str:
    """Return what stands for a key of the registry of cells in the constructor, as text.

    Parameters
    ----------
    kernel : str
        As `describe_cell` returns it.

    Returns
    -------
    str
        A quoted name, or the object where only an object stands for the key.
    """
    for name, kind in _KINDS.items():
        if kind()._kernel_name() == kernel:
            return repr(name)
        own = [
            [(option, value) for value in getattr(constraints[0], "options", (False, True))]
            for option, constraints in kind._parameter_constraints.items()
            if option not in Cell._parameter_constraints
        ]
        # One option, or two together (the pooling and the window of QRNN).
        for options in (*combinations(own, 1), *combinations(own, 2)):
            for chosen in product(*options):
                if (cell := kind(**dict(chosen)))._kernel_name() == kernel:
                    return repr(cell)
    raise KeyError(kernel)


CellKind = TypeVar("CellKind", bound=Cell)


def refuse_other_cells(model: Any, kind: type[CellKind], general: str) -> CellKind:
    """Return the cell of an estimator for one kind of cell only; the error names the one for any cell."""
    cell = check_cell(model.cell)
    if not isinstance(cell, kind):
        raise InvalidParameterError(
            f"cell={model.cell!r} is no {kind.__name__}, and {type(model).__name__} has no other cells; use {general}."
        )
    return cell
