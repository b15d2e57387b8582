"""Random configurations of all options together, for every cell, and which options a configuration has on.

What the estimators refuse is not drawn: an output at every step goes with nothing that needs a window, and a
projection is smaller than every layer. What a cell cannot have is asked from its entry in `CELLS`.
"""

import os
from itertools import combinations

import numpy as np
import pytest
from network.options_case import OptionsCase

from sklstm._kernels import available_isas
from sklstm._network.cells import CELLS

ALL_CONFIGURATIONS = bool(os.environ.get("SKLSTM_ALL_CONFIGURATIONS"))
# Behind relu all four units of a layer may be off, at every step or at each but the last: weights without a gradient.
RECTIFIED = {"elman_relu", "indrnn", "mingru_relu", "minlstm_relu"}


def raise_biases(case):
    """Turn the units of rectified layers on, by the bias of each."""
    for name, view in case.layout.views(case.flat).items():
        if name.startswith("bias_l"):
            view += 3.0


# Each option alone, in a network of two layers where it needs them.
ALONE = {
    "plain": {},
    "bidirectional": {"bidirectional": True},
    "projection": {"projection_size": 3},
    "peephole": {"peephole": True},
    "norm_layer": {"norm": "layer"},
    "norm_rms": {"norm": "rms"},
    "norm_first": {"norm": "rms", "norm_first": True, "residual": 1},
    "feedforward": {"feedforward": 1.5},
    "output_gate_silu": {"output_gate": "silu"},
    "output_gate_softmax": {"output_gate": "softmax"},
    "cell_norm": {"cell_norm": True},
    "zoneout": {"zoneout": 0.3},
    "residual": {"residual": 1},
    "residual_map": {"residual": 1, "hidden_sizes": (4, 5)},
    "attention": {"attention_heads": 2},
    "pooling_mean": {"pooling": "mean"},
    "pooling_attention": {"pooling": "attention"},
    "patches": {"patch_length": 3},
    "window_norm_last": {"window_norm": "last"},
    "window_norm_standard": {"window_norm": "standard"},
    "known_columns": {"window_norm": "last", "known_columns": (0, 2), "scaled": True},
    "linear_skip": {"linear_skip": 2},
    "every_step": {"every_step": True},
    "dropout": {"dropout": 0.4},
    "recurrent_dropout": {"recurrent_dropout": 0.4},
    "scaled": {"scaled": True},
}
ONE_OF = [
    {"residual", "residual_map"},
    {"norm_layer", "norm_rms"},
    {"output_gate_silu", "output_gate_softmax"},
    {"pooling_mean", "pooling_attention"},
    {"window_norm_last", "window_norm_standard"},
    # All projections have one size.
    {"projection", "residual_map"},
]
NEEDS_A_WINDOW = {
    "pooling_mean", "pooling_attention", "patches", "window_norm_last", "window_norm_standard",
    "known_columns",
}  # fmt: skip


def can_have(cell, option, value):
    """Tell whether networks of a cell can have an option."""
    entry = CELLS[cell]
    if option in ("recurrent_dropout", "weight_dropout"):
        return not value or entry.has_weight_hh
    if option == "peephole":
        return not value or (entry.n_vectors > 0 and bool(entry.vectors_are_optional))
    return option != "projection_size" or not value or entry.projects


def for_cell(cell, options):
    """Return the options with the cell, but for those that it cannot have."""
    return {name: value for name, value in options.items() if can_have(cell, name, value)} | {"cell": cell}


def possible(cell, choices):
    """Return those of a dict of named options that a cell can have, with the cell."""
    return {
        name: options | {"cell": cell}
        for name, options in choices.items()
        if all(can_have(cell, option, value) for option, value in options.items())
    }


def cells_with(choices):
    """Parameters (cell, name) of a test: each cell with each of the named options that it can have."""
    return [pytest.param(cell, name, id=f"{cell}-{name}") for cell in CELLS for name in possible(cell, choices)]


def some_of(cell, named):
    """Return a sixth of a dict of named things, another one for each cell; all of the first cell.

    What belongs to the layer is one text for all cells. `make test-all` sets SKLSTM_ALL_CONFIGURATIONS and takes all.
    """
    index = list(CELLS).index(cell)
    if ALL_CONFIGURATIONS or index == 0:
        return named
    return {name: value for k, (name, value) in enumerate(named.items()) if (k + index) % 6 == 0}


def cells_with_some(choices):
    """Parameters (cell, name) of a test: as `cells_with`, but of all cells but the first a sixth."""
    return [
        pytest.param(cell, name, id=f"{cell}-{name}")
        for cell in CELLS
        for name in some_of(cell, possible(cell, choices))
    ]


def isas_of(cell):
    """Instruction sets that a test takes a cell through: all with the first cell, one with each other, in turn.

    `make test-all` sets SKLSTM_ALL_CONFIGURATIONS and takes all of them with all cells.
    """
    isas, index = available_isas(), list(CELLS).index(cell)
    return isas if ALL_CONFIGURATIONS or index == 0 else isas[index % len(isas) :][:1]


def drawn_cells(numbers, least=3):
    """Parameters (cell, number) of a test: each configuration with one cell that can have all of its options.

    Each goes to the one of these cells with the fewest so far. A cell that got less than `least` takes more of them,
    without the options that it cannot have. `make test-all` sets SKLSTM_ALL_CONFIGURATIONS and takes all of them with
    the first cell and a quarter, at least `least`, with every other.
    """
    numbers = list(numbers)
    if ALL_CONFIGURATIONS:
        drawn = {}
        for index, cell in enumerate(CELLS):
            step = min(4, max(1, len(numbers) // max(least, 1))) if index else 1
            drawn[cell] = numbers[index % step :: step]
    else:
        drawn = deal(numbers)
        for index, cell in enumerate(CELLS):
            others = [number for number in numbers if number not in drawn[cell]]
            turned = others[(7 * index) % max(len(others), 1) :] + others
            drawn[cell] += turned[: max(0, min(least, len(numbers)) - len(drawn[cell]))]
    return [pytest.param(cell, number, id=f"{cell}-{number}") for cell in CELLS for number in drawn[cell]]


def deal(numbers):
    """Return the configurations of each cell, each a list: no option of a configuration is lost."""
    dealt = {cell: [] for cell in CELLS}
    for number in numbers:
        options = draw_any(number, "lstm").items()
        able = [cell for cell in CELLS if all(can_have(cell, option, value) for option, value in options)]
        dealt[min(able, key=lambda cell: len(dealt[cell]))].append(number)
    return dealt


def draw_options(number, cell="lstm"):
    """Return the arguments of `OptionsCase` of configuration `number`, but for what the cell cannot have."""
    return for_cell(cell, draw_any(number, cell))


def draw_any(number, cell):
    rng = np.random.default_rng([11, number])

    def on(share):
        return bool(rng.random() < share)

    n_layers = int(rng.choice([1, 2, 3], p=[0.25, 0.55, 0.2]))
    # 4, 5, 4 or 5, 4, 5: a residual sum over one layer needs its map, one over two does not.
    sizes = 4 + (np.arange(n_layers) + rng.integers(2)) % 2 if on(0.6) else np.full(n_layers, 4)
    options = {
        "hidden_sizes": tuple(sizes.tolist()),
        "n_columns": int(rng.integers(1, 4)),
        "n_outputs": int(rng.integers(1, 3)),
        "n": int(rng.integers(16, 19)) if on(0.08) else int(rng.integers(2, 5)),
        "longest": int(rng.integers(3, 6)),
        "threads": int(rng.integers(1, 3)),
        "residual": int(rng.choice([1, 1, 2])) if on(0.7) else 0,
        **draw_norms(rng.choice(3, p=[0.4, 0.3, 0.3]), number),
        "peephole": on(0.3),
        "projection_size": 3 if on(0.3) and can_have(cell, "projection_size", 3) else 0,
        "zoneout": 0.3 if on(0.3) else 0.0,
        "bidirectional": on(0.35),
        "dropout": 0.3 if on(0.35) else 0.0,
        "recurrent_dropout": 0.3 if on(0.3) else 0.0,
        "scaled": bool(np.random.default_rng([12, number]).random() < 0.5),
    }
    width = (options["projection_size"] or options["hidden_sizes"][-1]) * (1 + options["bidirectional"])
    heads = [count for count in (1, 2, 3, 4) if width % count == 0]
    options |= draw_gate(number, options)
    if on(0.18):
        n_heads = int(rng.choice(heads)) if on(0.35) else 0
        n_skip = int(np.random.default_rng([15, number]).choice([0, 2, 7]))
        return options | {"every_step": True, "attention_heads": n_heads, "linear_skip": n_skip}
    patch_length = int(rng.integers(2, 4)) if on(0.35) else 1
    return open_gate(
        options
        | {
            # Several steps, of which some first one has rows that do not exist.
            "longest": options["longest"] * patch_length - int(rng.integers(patch_length)),
            "patch_length": patch_length,
            "attention_heads": int(rng.choice(heads)) if on(0.35) else 0,
            "pooling": ("last", "mean", "attention")[rng.choice(3, p=[0.4, 0.3, 0.3])],
            "window_norm": (None, "last", "standard")[rng.choice(3, p=[0.4, 0.3, 0.3])],
            "linear_skip": int(rng.choice([2, 7])) if on(0.35) else 0,
            "known_columns": draw_known_columns(number, options["n_columns"]),
        }
    )


def open_gate(options):
    """Pool another way where the last row becomes zero, and with it what a gate without a bias multiplies."""
    closed = options["output_gate"] == "silu" and options["window_norm"] == "last" and options["pooling"] == "last"
    if closed and options["patch_length"] == 1 and not options["attention_heads"]:
        return options | {"pooling": "mean"}
    return options


def draw_known_columns(number, n_columns):
    rng = np.random.default_rng([14, number])
    return tuple(np.flatnonzero(rng.random(n_columns) < 0.5).tolist()) if rng.random() < 0.6 else ()


def draw_gate(number, options):
    """In a third of the configurations; at least two units of a group compete.

    Three silu gates one behind the other leave gradients that no difference of losses can see.
    """
    rng, directions = np.random.default_rng([17, number]), 1 + options["bidirectional"]
    widths = [directions * (options["projection_size"] or size) for size in options["hidden_sizes"]]
    groups = [count for count in (1, 2, 3) if all(width % count == 0 and width > count for width in widths)]
    gate = (None, None, None, None, "silu" if len(widths) < 3 else None, "softmax")[rng.integers(6)]
    return {"output_gate": gate, "compete_groups": int(rng.choice(groups)) if gate == "softmax" else 1}


def draw_norms(choice, number):
    """None, that of outputs, or that of sums; of the last, some with both."""
    both = bool(np.random.default_rng([13, number]).random() < 0.4)
    rng = np.random.default_rng([16, number])
    norm = ("layer", "rms")[rng.integers(2)] if choice == 1 or (choice == 2 and both) else None
    return {
        "norm": norm,
        "norm_first": bool(rng.random() < 0.6) and norm is not None,
        "feedforward": float(rng.choice([0.4, 1.5, 8 / 3])) if rng.random() < 0.25 else 0.0,
        "cell_norm": bool(choice == 2),
    }


def make_case(options, number=0, **more):
    """The configurations take the instruction sets of this machine in turn."""
    dtype = more.get("dtype", options.get("dtype"))
    isas = available_isas("reduced" if dtype == "bfloat16" else "f32")
    return OptionsCase(isas[number % len(isas)], seed=number, **{"hidden_sizes": (4, 4), **options, **more})


def options_on(options):
    """Return the names of `ALONE` that have an effect in a configuration."""
    sizes, residual = options["hidden_sizes"], options["residual"]
    directions = 1 + options["bidirectional"]
    widths = [directions * (options.get("projection_size") or size) for size in sizes]
    sums = [(widths[k], widths[k - residual]) for k in range(residual, len(sizes), residual)] if residual else []
    holds = {
        "bidirectional": options["bidirectional"],
        "projection": options.get("projection_size"),
        "residual": any(above == below for above, below in sums),
        "residual_map": any(above != below for above, below in sums),
        "attention": options.get("attention_heads"),
        "patches": options.get("patch_length", 1) > 1,
        "dropout": options["dropout"] and len(sizes) > 1,
        "norm_first": options.get("norm_first") and sums,
        "known_columns": options.get("known_columns") and options["window_norm"],
    }
    same = (
        "peephole",
        "cell_norm",
        "feedforward",
        "zoneout",
        "linear_skip",
        "every_step",
        "recurrent_dropout",
        "scaled",
    )
    holds |= {name: options.get(name) for name in same}
    names = {name for name, held in holds.items() if held}
    for option in ("norm", "output_gate", "pooling", "window_norm"):
        if options.get(option) not in (None, "last") or (option, options.get(option)) == ("window_norm", "last"):
            names.add(f"{option}_{options[option]}")
    return names


def possible_pairs():
    """Return the pairs of options that do not exclude each other."""
    excluded = [{"every_step", name} for name in NEEDS_A_WINDOW] + ONE_OF
    names = [name for name in ALONE if name != "plain"]
    return [pair for pair in combinations(names, 2) if set(pair) not in excluded]
