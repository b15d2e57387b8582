"""The network that the parameters of an estimator describe, and the parameters that exclude each other."""

from contextlib import contextmanager
from math import prod

from sklstm._cell_choice import cell_of_kernel, check_cell, describe_cell
from sklstm._column_positions import known_positions, time_position
from sklstm._network.architecture import LARGEST_N_PARAMETERS, Architecture
from sklstm._network.cells import CELLS
from sklstm._validation import check_hidden_sizes
from sklstm._warn import warn_of_idle, warn_user

# (condition, condition, why): a condition is (parameter, test); the sentence names both parameters.
_STATEFUL = ("training", lambda value: value == "stateful")
_AT_EVERY_STEP = ("targets", lambda value: value == "sequence")
_EXCLUSIONS = [
    (
        _AT_EVERY_STEP,
        ("training", lambda value: value == "stateful"),
        "sequences are read whole, and gradients go back to their first rows. For gradients over bptt_steps rows stack "
        "the sequences as a table with groups, and set targets='sample'",
    ),
    (_AT_EVERY_STEP, ("pooling", lambda value: value != "last"), "each row has an output of its own"),
    (_AT_EVERY_STEP, ("patch_length", lambda value: value > 1), "each row has an output of its own"),
    (
        _AT_EVERY_STEP,
        ("window_norm", lambda value: value is not None),
        "moments of the whole sequence would tell its first rows of later ones",
    ),
    (_AT_EVERY_STEP, ("carry_context", bool), "a set of sequences has no rows to carry"),
    (_STATEFUL, ("shuffle", bool), "the rows of a series are read in their order; set shuffle=False"),
    (
        _STATEFUL,
        ("bidirectional", bool),
        "the backward direction would begin at the end of a series that goes on",
    ),
    (_STATEFUL, ("attention_heads", bool), "each row would have to look back at the whole series"),
    (_STATEFUL, ("pooling", lambda value: value != "last"), "each row has an output of its own"),
    (_STATEFUL, ("patch_length", lambda value: value > 1), "each row has an output of its own"),
    (_STATEFUL, ("window_norm", lambda value: value is not None), "there is no window to normalise"),
    (_STATEFUL, ("accumulation_steps", lambda value: value > 1), "each step goes on from the states of the last"),
    (
        _STATEFUL,
        ("carry_context", bool),
        "no number of carried rows stands for a whole series; hand the rows before X over as context",
    ),
    (
        ("linear_skip_training", lambda value: value == "fine_tune"),
        ("solver", lambda value: value == "schedule_free"),
        "a running mean of all weights knows no smaller step for some of them",
    ),
    (
        ("targets", lambda value: value == "sequence"),
        ("decoder", lambda value: value != "direct"),
        "a target for each row has no horizon",
    ),
    (_STATEFUL, ("decoder", lambda value: value != "direct"), "the states are those of the next row, not of a horizon"),
    (
        ("bidirectional", bool),
        ("decoder", lambda value: value != "direct"),
        "the backward direction has no state after the last row from which the recurrence could go on",
    ),
    (
        ("attention_heads", bool),
        ("decoder", lambda value: value != "direct"),
        "the decoder goes on from the states of the layers, which attention does not reach",
    ),
    (
        ("pooling", lambda value: value != "last"),
        ("decoder", lambda value: value != "direct"),
        "the decoder goes on from the states after the last row",
    ),
    (
        ("recurrent_constraint", lambda value: value is not None),
        ("solver", lambda value: value == "schedule_free"),
        "it predicts with a running mean of weights, which no step takes back to the constraint",
    ),
]

ARCHITECTURE_OPTIONS = (
    "residual",
    "output_gate",
    "norm",
    "zoneout",
    "bidirectional",
    "attention_heads",
    "pooling",
    "patch_length",
    "window_norm",
    "linear_skip",
)

# Entries of `Architecture` that have another name or value in the constructor: the name, and the value as text.
_IN_THE_CONSTRUCTOR = {
    "hidden_sizes": ("hidden_size and n_layers", lambda sizes: f"layers of {list(sizes)} units"),
    "cell": ("cell", lambda kernel: f"cell={cell_of_kernel(kernel)}"),
    "peephole": ("cell__peephole", lambda value: f"cell__peephole={value}"),
    "projection_size": ("cell__projection_size", lambda size: f"cell__projection_size={size or None}"),
    "cell_norm": ("cell__layer_norm", lambda value: f"cell__layer_norm={value}"),
    "cell_numbers": ("the parameters of cell", lambda numbers: f"a cell with the sizes {list(numbers)}"),
    "time_column": ("cell__time_column", lambda column: f"times of column {column}"),
    "feedforward": (
        "feedforward and feedforward_expansion",
        lambda expansion: f"a feedforward block of {expansion:.4g} units for each output" if expansion else "no block",
    ),
    "every_step": ("training", lambda stateful: f"training={'stateful' if stateful else 'windows'!r}"),
}


# Values of earlier versions: what stands for them now.
_MOVED_VALUES = {
    ("training", "stream"): "is called training='stateful' now",
}


def refuse_moved_values(parameters):
    """Raise for a value of a dict of parameters that means something else, or elsewhere, by now."""
    for (name, value), now in _MOVED_VALUES.items():
        if isinstance(parameters[name], str) and parameters[name] == value:
            raise ValueError(f"{name}={value!r} {now}.")


def refuse_exclusions(parameters):
    """Raise for two parameters of a dict that cannot go together."""
    _refuse_for_cell(parameters)
    _refuse_closed_gate(parameters)
    for (first, holds), (second, clashes), why in _EXCLUSIONS:
        if second in parameters and holds(parameters[first]) and clashes(parameters[second]):
            raise ValueError(
                f"{first}={parameters[first]!r} cannot be combined with {second}={parameters[second]!r}: {why}."
            )


def refuse_orthogonal_zeros(constraint):
    """Raise if a network with this constraint cannot have pruned weights."""
    if constraint == "scaled_orthogonal":
        raise ValueError(
            f"recurrent_constraint={constraint!r} cannot be combined with pruned weights: a matrix with zeros at given "
            "places is orthogonal by chance alone. Set recurrent_constraint='spectral_norm', or None."
        )


# What a cell that reads the time since the row before cannot go with: option, its value otherwise, and why.
_WITHOUT_TIME = (
    ("bidirectional", False, "the backward direction would need the time until the row after"),
    ("decoder", "direct", "the times between the rows ahead are not known"),
)


def _refuse_for_cell(parameters):
    """Raise for an option that needs what the registry says the cell does not have."""
    described, given = describe_cell(parameters["cell"]), f"cell={parameters['cell']!r}"
    kind = CELLS[described["cell"]]
    for option in ("recurrent_dropout", "weight_dropout", "recurrent_constraint"):
        if parameters[option] and not kind.has_weight_hh:
            raise ValueError(
                f"{option}={parameters[option]!r} cannot be combined with {given}: the cell has no matrix of recurrent "
                "weights (weight_hh) that it could act on."
            )
    if described["cell_norm"] and parameters.get("decoder", "direct") != "direct":
        raise ValueError(
            f"decoder={parameters['decoder']!r} cannot be combined with cell__layer_norm=True: what a turn adds to the "
            "sums would be normalised away."
        )
    if described["projection_size"] and parameters["recurrent_constraint"] is not None:
        raise ValueError(
            f"recurrent_constraint={parameters['recurrent_constraint']!r} cannot be combined with "
            f"cell__projection_size={described['projection_size']}: h is a projection, and a bound of weight_hh alone "
            "bounds nothing of the recurrence."
        )
    time_column = getattr(parameters["cell"], "time_column", None)
    for option, value, why in _WITHOUT_TIME:
        if time_column is not None and parameters.get(option, value) != value:
            raise ValueError(
                f"{option}={parameters[option]!r} cannot be combined with cell__time_column={time_column!r}: {why}."
            )
    if described["projection_size"] and not kind.projects:
        raise ValueError(
            f"cell__projection_size={described['projection_size']} cannot be combined with {given}: the cell "
            "multiplies h, or its product, unit by unit by others before a second product: it needs all of h."
        )


def _refuse_closed_gate(parameters):
    """Raise if the gate of the first layer reads zeros where the network reads its output: that would be zero too."""
    others = {"pooling": "last", "patch_length": 1, "attention_heads": 0, "known_columns": None}
    at_last_row = all(parameters.get(name, value) == value for name, value in others.items())
    if parameters["output_gate"] == "silu" and parameters["window_norm"] == "last" and at_last_row:
        raise ValueError(
            "output_gate='silu' cannot be combined with window_norm='last' and pooling='last': the last row of a "
            "window becomes zero, and so does the output that its gate multiplies. Set window_norm='standard', "
            "pooling='mean' or 'attention', or output_gate='softmax'."
        )


# A parameter, its default, and the values of another one without which it has no effect. `target_column` is not here:
# it tells what y is, and stays where a search tries `window_norm=None` too.
ONLY_WITH = {
    "quantile": (0.5, "loss", ("quantile",)),
    "huber_delta": (1.0, "loss", ("huber",)),
    "compete_groups": (1, "output_gate", ("softmax",)),
    "norm_first": (False, "norm", ("layer", "rms")),
    "feedforward_expansion": (8 / 3, "feedforward", ("swiglu",)),
    "bptt_steps": (32, "training", ("stateful",)),
}


def warn_of_no_effect(parameters):
    """Warn of a parameter of a dict that has no effect beside the others."""
    n_layers = len(check_hidden_sizes(parameters["hidden_size"], parameters["n_layers"]))
    for name, needed in (("dropout", 2), ("residual", int(parameters["residual"]) + 1)):
        if parameters[name] and n_layers < needed:
            warn_user(
                f"{name}={parameters[name]} has no effect on {n_layers} layer{'s' * (n_layers > 1)} (n_layers, "
                f"hidden_size): it needs {needed} or more.",
            )
    warn_of_idle(parameters, ONLY_WITH)
    if parameters["linear_skip_training"] != "frozen" and not parameters["linear_skip"]:
        warn_user(
            f"linear_skip_training={parameters['linear_skip_training']!r} has no effect with linear_skip=0: set "
            "linear_skip, the number of rows that the linear map reads."
        )
    is_direct = parameters.get("decoder", "direct") == "direct"
    if parameters["known_columns"] is not None and parameters["window_norm"] is None and is_direct:
        decoder = " and decoder='direct'" if "decoder" in parameters else ""
        warn_user(
            f"known_columns={parameters['known_columns']!r} has no effect with window_norm=None{decoder}: no column is "
            "changed by it, and no row ahead is read."
        )


def warn_without_validation(parameters, validation):
    """Warn of a parameter of a dict that has no effect where no validation part was set aside."""
    if validation is None and parameters["scoring"] is not None:
        warn_user(
            f"scoring={parameters['scoring']!r} has no effect without a validation part "
            f"(early_stopping={parameters['early_stopping']!r}): set early_stopping=True, or hand over X_val and y_val."
        )


def refuse_reach_beyond(parameters):
    """Raise if the windows of a table are too short for `linear_skip`, `patch_length` or `window_norm`."""
    length = parameters["sequence_length"]
    if parameters["training"] == "stateful":
        return
    for name in ("patch_length", "linear_skip"):
        if parameters[name] > length:
            raise ValueError(
                f"{name}={parameters[name]} reaches beyond the windows of sequence_length={length} rows; raise "
                f"sequence_length, or lower {name}."
            )
    if length == 1 and parameters["window_norm"] is not None:
        raise ValueError(
            f"sequence_length=1 cannot be combined with window_norm={parameters['window_norm']!r}: the only "
            "row of a window, normalised by itself, is zero, and the network would read nothing. Raise "
            "sequence_length, or set window_norm=None."
        )


def describe_network(parameters, input_size, n_outputs, names=None, horizon=0):
    """Return the arguments of `Architecture` for a dict of constructor parameters.

    `names` are those of the columns; `horizon` is how many rows ahead a decoder runs.

    Those that exclude each other were refused before (`refuse_exclusions`).

    Raises
    ------
    ValueError
        If two parameters exclude each other; both are named.
    """
    hidden_sizes = check_hidden_sizes(parameters["hidden_size"], parameters["n_layers"])
    described = {
        "input_size": input_size,
        "hidden_sizes": hidden_sizes,
        "n_outputs": n_outputs,
        "every_step": has_output_at_every_step(parameters),
        "known_columns": known_positions(parameters["known_columns"], input_size, names),
        "time_column": time_position(check_cell(parameters["cell"]), input_size, names),
        "decoder": parameters.get("decoder", "direct"),
        "horizon": horizon,
        "compete_groups": parameters["compete_groups"] if parameters["output_gate"] == "softmax" else 1,
        # Without a norm nothing comes first; without residual connections it makes no difference.
        "norm_first": bool(parameters["norm_first"] and parameters["norm"]),
        "feedforward": float(parameters["feedforward_expansion"]) if parameters["feedforward"] else 0.0,
        **{name: parameters[name] for name in ARCHITECTURE_OPTIONS},
        **describe_cell(parameters["cell"]),
    }
    projection = described["projection_size"]
    if projection >= min(hidden_sizes):
        raise ValueError(
            f"cell__projection_size={projection} must be smaller than hidden_size, but a layer has "
            f"{min(hidden_sizes)} units."
        )
    _check_heads(described, parameters)
    _check_groups(described, parameters)
    # NumPy scalars become Python numbers, which are compared and stored.
    described = {name: value.item() if hasattr(value, "item") else value for name, value in described.items()}
    n_parameters = sum(prod(shape) for _, shape in Architecture(**described).parameters)
    if n_parameters > LARGEST_N_PARAMETERS:
        raise ValueError(
            f"{_sizes(parameters)} describe a network of {n_parameters:.2g} parameters for {input_size} columns of X "
            f"and {n_outputs} outputs; there may be {LARGEST_N_PARAMETERS:.2g}. Lower them."
        )
    return described


def has_output_at_every_step(parameters):
    """Return whether a dict of constructor parameters asks for a network with an output at every step."""
    return parameters["training"] == "stateful" or parameters["targets"] == "sequence"


def trained_targets(architecture, fitted_on):
    """Return the value of `targets` that a network with this dict of `Architecture` was trained with."""
    return "sequence" if architecture["every_step"] and fitted_on == "sequences" else "sample"


def _sizes(parameters):
    """Return the parameters of the constructor that decide how large a network is, as a part of a sentence."""
    names = ["hidden_size", "n_layers"] + [name for name in ("patch_length", "linear_skip") if parameters[name] > 1]
    named = [f"{name}={parameters[name]!r}" for name in names]
    return ", ".join(named[:-1]) + f" and {named[-1]}"


@contextmanager
def naming_sizes(parameters, passed_on=()):
    """Say in a MemoryError which parameters, of a dict of the constructor's, decide how much memory is taken.

    Errors that are among `passed_on`, a sequence that may grow meanwhile, are passed on as they are.
    """
    try:
        yield
    except MemoryError as error:
        if any(error is one for one in passed_on):
            raise
        raise MemoryError(
            f"not enough memory to train a network with {_sizes(parameters)} ({error}). Lower them, or sequence_length "
            "and batch_size if these are large."
        ) from error


def refuse_other_network(before, now):
    """Raise if two dicts of `Architecture` differ; the sentence names the parameters of the constructor."""
    changed = {}
    for name, value in now.items():
        # No parameter: y has it, but for a decoder alone.
        if value != before[name] and not (name == "horizon" and "decoder" in changed):
            parameter, say = _IN_THE_CONSTRUCTOR.get(name, (name, lambda one, name=name: f"{name}={one!r}"))
            changed[parameter] = f"{say(value)}, not {say(before[name])}"
    if changed:
        raise ValueError(
            f"training cannot go on with another network: {'; '.join(changed.values())}. Set warm_start=False, or set "
            f"{' and '.join(changed)} back."
        )


def _check_heads(described, parameters):
    heads = described["attention_heads"]
    width = (described["projection_size"] or described["hidden_sizes"][-1]) * (2 if described["bidirectional"] else 1)
    if heads and width % heads:
        projection = described["projection_size"]
        source = f"cell__projection_size={projection}" if projection else f"hidden_size={parameters['hidden_size']!r}"
        raise ValueError(
            f"attention_heads={heads} must divide the {width} outputs of the top layer, which {source}"
            f"{' with bidirectional=True' if described['bidirectional'] else ''} gives it."
        )


def _check_groups(described, parameters):
    groups, directions = described["compete_groups"], 2 if described["bidirectional"] else 1
    for units in described["hidden_sizes"]:
        size = (described["projection_size"] or units) * directions
        if size % groups:
            raise ValueError(
                f"compete_groups={groups} must divide the outputs of every layer, but hidden_size="
                f"{parameters['hidden_size']!r}{' with bidirectional=True' if directions > 1 else ''} gives one {size}."
            )


def refuse_single_steps(architecture, window, fitted_on):
    """Raise if a network with this dict of `Architecture` cannot read row after row; `window`: with windows.

    `fitted_on` is "table" or "sequences".
    """
    at_every_step = trained_targets(architecture, fitted_on) == "sequence"
    if window:
        if architecture["every_step"]:
            option = "targets='sequence'" if at_every_step else "training='stateful'"
            raise ValueError(
                f"window=True cannot be combined with {option}: such a model carries its states and knows no "
                "windows. Leave window at its default."
            )
        return
    way_out = "stream(window=True) answers for the last sequence_length rows."
    if at_every_step:
        way_out = "predict answers for whole sequences."
    reasons = {
        "bidirectional": "the backward direction begins at the last row, so every step changes all before",
        "attention_heads": "each step looks back at all rows before",
        "patch_length": "a patch ends at the last row, so every step shifts all patches",
        "window_norm": "every step changes what the rows before are normalised by",
        "linear_skip": "the output reads rows of the past themselves",
    }
    if architecture["every_step"]:
        del reasons["linear_skip"]
    for name, why in reasons.items():
        if architecture[name] not in (None, False, 0) and not (name == "patch_length" and architecture[name] == 1):
            raise ValueError(
                f"stream() without a window cannot be combined with {name}={architecture[name]!r}: {why}. {way_out}"
            )
