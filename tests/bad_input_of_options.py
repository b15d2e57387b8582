"""Rows of the table of bad input (bad_input.py) for options of regressors, rows ahead and cells."""

import re
from numbers import Integral

import numpy as np
from bad_input import ARRAY, FIT, INF, NAN, ONES, Bad, X, rows
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm import cells

AHEAD = np.column_stack([np.roll(X[:, 0], -1), np.roll(X[:, 0], -2)])
BEHIND = X[:2]

# As CONSTRAINTS, of parameters that regressors alone have.
CONSTRAINTS_OF_THE_REGRESSOR = {
    "decoder": ("seq2seq", None, True),
    "loss": ("mse", None, 1),
    "quantile": (0.0, 1.0, -0.1, NAN, "median", None),
    "conformal": (1, None, "yes"),
    "huber_delta": (0.0, -1.0, NAN, "1", None),
    "group_weight": (True, 1.0),
}

REGRESSORS = {"kinds": ("regressor",)}
QUANTILE = {"parameters": {"loss": "quantile"}, **REGRESSORS}
THREE = {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}
DECODER = {"parameters": {"decoder": "recurrent", "known_columns": [2]}, "given": {"y": AHEAD}, **REGRESSORS}


def bad_values(constraints):
    """Values that none of the constraints of a parameter of a cell takes."""
    interval = next((one for one in constraints if isinstance(one, Interval)), None)
    if interval is not None:
        outside = [] if interval.left is None else [interval.left - 1]
        outside += [] if interval.right is None else [interval.right + 1]
        return [*outside, NAN, *([1.5] if interval.type is Integral else []), [2]]
    if any(isinstance(one, StrOptions) for one in constraints):
        return ["another", 7, True]
    return [1, "yes"] if constraints == ["boolean"] else [1, 5, "deep", None]


def rows_of_cells():
    """Rows for each parameter of each kind of cell, given inside an object."""
    for kind in map(vars(cells).get, cells.__all__):
        for name, constraints in kind._parameter_constraints.items():
            if kind is cells.Cell or (name in cells.Cell._parameter_constraints and kind is not cells.LSTM):
                continue
            kinds = ("regressor", "classifier") if kind is cells.LSTM else ("RNN regressor", "RNN classifier")
            for value in bad_values(constraints):
                if name == "projection_size" and value is None:
                    continue
                yield Bad(
                    f"cell: {kind.__name__}({name}={value!r})",
                    "cell",
                    kind(**{name: value}),
                    f"The '{name}' parameter of {kind.__name__} must be .* Got {re.escape(repr(value))} instead",
                    FIT,
                    kinds=kinds,
                    is_named=False,
                )


TABLE_OF_OPTIONS = [
    *rows(
        "cell",
        FIT,
        ("no cell", "lsmt", "cell='lsmt' is not known; there are .*; did you mean 'lstm'?"),
        ("none that is close", "transformer", r"cell='transformer' is not known; there are 'lstm', .*\."),
        ("a class", cells.LSTM, r"cell=LSTM is a class, expected an object: set cell=LSTM\(\)"),
        ("the base", cells.Cell(), "cell must be one of the names .* or an object of sklstm.cells, found Cell"),
        ("None", None, "cell must be one of the names .*, found None of type NoneType"),
        ("a number", 4, "cell must be one of the names .*, found 4 of type int"),
    ),
    *rows(
        "cell",
        FIT,
        ("another cell", "gru", "cell='gru' is no LSTM, and DeepLSTM.* has no other cells; use DeepRNN"),
        ("another object", cells.GRU(), r"cell=GRU\(\) is no LSTM, and DeepLSTM.* has no other cells"),
        any_cell=False,
    ),
    *rows_of_cells(),
    *rows(
        "quantile",
        FIT,
        *(
            (repr(value), value, "quantile must be a number between 0 and 1, or an increasing sequence .* found")
            for value in ([0.1, 0.9], [0.5, 0.1], [0.0, 0.5], [0.5, 1.0], [0.5, NAN], [0.5, 0.5], ["a"], [[0.5]], [])
        ),
        **QUANTILE,
    ),
    *rows(
        "conformal",
        ("fit",),
        ("no quantiles", True, "a conformal correction is one of bands between quantiles, found loss='squared_error'"),
        ("one quantile", True, "bands between quantiles, found quantile=0.5", {"parameters": {"loss": "quantile"}}),
        (
            "not symmetric",
            True,
            "one of bands about the median, but quantile=.* is not symmetric",
            {"parameters": {**THREE, "quantile": (0.1, 0.5, 0.8)}},
        ),
        is_named=False,
        **REGRESSORS,
    ),
    *rows(
        "decoder",
        ("fit",),
        ("bidirectional", "recurrent", "cannot be combined with decoder", {"parameters": {"bidirectional": True}}),
        ("attention", "parallel", "cannot be combined with decoder", {"parameters": {"attention_heads": 2}}),
        ("pooling", "recurrent", "cannot be combined with decoder", {"parameters": {"pooling": "mean"}}),
        (
            "stateful",
            "recurrent",
            "cannot be combined with decoder",
            {"parameters": {"training": "stateful", "shuffle": False}},
        ),
        (
            "a norm in the cell",
            "recurrent",
            "cannot be combined with cell__layer_norm=True",
            {"parameters": {"cell": cells.LSTM(layer_norm=True)}},
        ),
        given={"y": AHEAD},
        **REGRESSORS,
    ),
    # Rows ahead
    *rows(
        "future",
        ("fit",),
        ("without a decoder", BEHIND, "future is read by decoders alone: set decoder='recurrent' or 'parallel'"),
        **REGRESSORS,
    ),
    *rows(
        "future",
        ("fit",),
        ("too few", X[:1], "the decoder reads the known columns of the 2 rows after each row, but .* as future"),
        ("none", None, "the decoder reads the known columns of the 2 rows after each row, but .* as future"),
        ("NaN", np.full((2, 3), NAN), "Input future contains NaN"),
        ("infinity", np.full((2, 3), INF), "Input future contains infinity"),
        ("too large for float32", np.full((2, 3), 1e30), r"future holds 1e\+30 in column 2, too large for"),
        ("column missing", BEHIND[:, :2], "future has 2 features, but DeepLSTM.* is expecting 3 features"),
        ("one dimension", BEHIND[0], "future: Expected 2D array, got 1D array"),
        ("masked", np.ma.array(BEHIND, mask=BEHIND > 1), "future is a masked array"),
        ("text", np.full((2, 3), "a"), "future: could not convert string to float"),
        **DECODER,
    ),
    *rows(
        "future",
        ("fit",),
        ("a table", X, "future must be a set of sequences like X, the rows after each"),
        ("other sequences", ARRAY[1:], "future holds the rows after 29 sequences, but X has 30"),
        parameters=DECODER["parameters"],
        given={"y": AHEAD, "X": ARRAY},
        **REGRESSORS,
    ),
    *rows(
        "future_groups",
        ("fit",),
        (
            "without groups",
            ["a", "a"],
            "future with future_groups needs groups too",
            {"given": {"y": AHEAD, "future": X[:2]}},
        ),
        ("without future", ["a"], "future_groups needs future", {"given": {"y": AHEAD, "groups": ONES}}),
        (
            "another length",
            ["a"],
            "future_groups has 1 labels, but future has 2 rows",
            {"given": {"y": AHEAD, "groups": ONES, "future": X[:2]}},
        ),
        parameters=DECODER["parameters"],
        **REGRESSORS,
    ),
    # Losses
    *rows(
        "y",
        FIT,
        ("negative counts", -ONES, "y .*loss='poisson'", {"parameters": {"loss": "poisson"}}),
        **REGRESSORS,
    ),
]
TABLE_OF_OPTIONS += [
    Bad(
        f"{name}: {value!r}",
        name,
        value,
        f"The '{name}' parameter of DeepLSTM.* Got {re.escape(repr(value))} instead",
        FIT,
        **REGRESSORS,
    )
    for name, values in CONSTRAINTS_OF_THE_REGRESSOR.items()
    for value in values
]
