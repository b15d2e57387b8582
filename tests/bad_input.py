"""One table of what must not pass: what is wrong, for which estimator and calls, the exception, the message."""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy.sparse as sp

N = 30
_rng = np.random.default_rng(0)
X = _rng.normal(size=(N, 3))
ARRAY = _rng.normal(size=(N, 4, 3))
RAGGED = [_rng.normal(size=(1 + i % 5, 3)) for i in range(N)]
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
GROUPS = np.repeat([0, 1, 2], 10)
ONES = np.ones(N)
LABELS = np.where(X[:, 0] > 0, "up", "down")
TARGETS = {"regressor": X[:, 0], "classifier": LABELS}
NAN, INF = float("nan"), float("inf")

# Names of calls. "X_val", "y_val", "context": `fit` or `predict` with the value there instead of in X or y.
FIT = ("fit", "partial_fit")
USE = ("predict", "transform", "predict_proba", "predict_log_proba", "score")
AGAIN = ("warm fit", "second partial_fit")


@dataclass(frozen=True)
class Bad:
    """One row: `value` is bad for `argument`, of a method or of the constructor; everything else is good."""

    title: str
    argument: str
    value: object
    message: str
    calls: tuple
    exception: type = ValueError
    kinds: tuple = ("regressor", "classifier")
    given: dict = field(default_factory=dict)  # other arguments of the call
    parameters: dict = field(default_factory=dict)  # of the constructor
    is_named: bool = True  # the message names the argument
    any_cell: bool = True  # the estimators for any cell refuse it too


def rows(argument, calls, *entries, **options):
    """Rows for one argument; an entry is (title, value, message) and options of its own."""
    for title, value, message, *own in entries:
        yield Bad(f"{argument}: {title}", argument, value, message, **{"calls": calls, **options, **(own or [{}])[0]})


def changed(array, place, value):
    array = np.array(array, dtype=float if isinstance(value, float) else object)
    array[place] = value
    return array


def at(row, value):
    return np.where(np.arange(N) == row, value, 1.0)


def first(entry):
    return [entry, *RAGGED[1:]]


def last(entry):
    return [*RAGGED[1:], entry]


WRONG_TYPE = {"exception": TypeError}

TABLE = [
    # X as a table
    *rows(
        "X",
        (*FIT, *USE, "X_val", "context"),
        ("NaN", changed(X, (3, 1), NAN), "Input X contains NaN"),
        ("infinity", changed(X, (3, 1), INF), "Input X contains infinity"),
        ("missing objects", pd.DataFrame({"a": [None] * N, "b": ONES, "c": ONES}), "Input X contains NaN"),
        ("complex", X + 1j, "Complex data not supported: X must hold real numbers"),
        ("sparse array", sp.csr_array(X), "Sparse data was passed.*dense data is required", WRONG_TYPE),
        ("sparse matrix", sp.csc_matrix(X), "Sparse data was passed.*dense data is required", WRONG_TYPE),
        ("masked", np.ma.array(X, mask=X > 1), r"X is a masked array; masks would be ignored. Fill it \(X.filled"),
        ("text", changed(X, (3, 1), "seven"), "X: could not convert string to float: 'seven'"),
        ("column of text", FRAME.assign(b="x"), "X: could not convert string to float: 'x'"),
        ("dicts", changed(X, (3, 1), {"a": 1}), "X: .* must be a string or a real number", WRONG_TYPE),
        ("a string", "table", "X: could not convert string to float: 'table'"),
        ("one dimension", X[:, 0], "X: Expected 2D array, got 1D array.*Reshape your data"),
        ("no dimension", 3.0, "X: Expected 2D array, got scalar array"),
    ),
    # What is far off in training is a part of the scale.
    *rows(
        "X",
        (*FIT, *USE, "X_val", "context"),
        (
            "too large for float32",
            changed(X, (3, 1), 1e39),
            r"X holds 1e\+39 in column (1|'b') \(row 3\), too large for dtype='float32'.* Set dtype='float64'",
        ),
        parameters={"input_scaling": None},
    ),
    *rows(
        "X",
        (*FIT, *USE, "X_val"),
        ("no rows", X[:0], r"X: Found array with 0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1"),
        ("no columns", X[:, :0], r"X: Found array with 0 feature\(s\).*a minimum of 1 is required"),
        ("four dimensions", ARRAY[np.newaxis], r"X has 4 dimensions, expected 2 \(rows of a table\) or 3 \(a set"),
        ("an empty list", [], "X: Expected 2D array, got 1D array"),
    ),
    *rows("X", (*FIT, *USE), ("None", None, "X: Expected 2D array, got scalar array")),
    # X as a set of sequences
    *rows(
        "X",
        (*FIT, *USE, "X_val"),
        ("NaN in 3-D", changed(ARRAY, (3, 1, 1), NAN), "Input X contains NaN"),
        ("complex 3-D", ARRAY + 1j, "Complex data not supported: X must hold real numbers"),
        ("masked 3-D", np.ma.array(ARRAY, mask=ARRAY > 1), "X is a masked array"),
        ("text in 3-D", changed(ARRAY, (3, 1, 1), "seven"), "X: could not convert string to float: 'seven'"),
        ("no sequences", ARRAY[:0], r"X: Found array with 0 sample\(s\) \(shape=\(0, 4, 3\)\)"),
        ("no steps", ARRAY[:, :0], r"X has an empty axis: its shape is \(30, 0, 3\), minimum of 1 is required"),
        ("no features", ARRAY[:, :, :0], r"X has an empty axis: its shape is \(30, 4, 0\)"),
        ("NaN in a list", first(np.full((2, 3), NAN)), r"Input X\[0\] contains NaN"),
        ("complex in a list", first(X + 1j), r"Complex data not supported: X\[0\] must hold real numbers"),
        ("masked in a list", first(np.ma.array(X, mask=X > 1)), r"X\[0\] is a masked array"),
        ("sparse in a list", first(sp.csr_array(X)), r"Sparse data was passed for X\[0\]", WRONG_TYPE),
        ("text in a list", first(changed(X, (3, 1), "a")), r"X\[0\]: could not convert string to float"),
        ("empty sequence", first(X[:0]), r"X\[0\] is an empty sequence; every sequence needs at least one row"),
        ("empty nested list", last([]), r"X\[29\] is an empty sequence"),
        ("empty DataFrame", last(FRAME[:0]), r"X\[29\] is an empty sequence"),
        ("differing features", last(X[:, :2]), r"X\[29\] has 2 features, but .* is expecting 3 features"),
        ("one dimension in a list", last(X[0]), r"X is a list of sequences, but X\[29\] has 1 dimensions, expected 2"),
        ("three dimensions in a list", first(ARRAY), r"X is a list of sequences, but X\[0\] has 3 dimensions, expect"),
        ("None in a list", last(None), r"X is a list of sequences, but X\[29\] has 0 dimensions, expected 2"),
        ("ragged rows", first([[1.0, 2.0], [4.0]]), r"X\[0\]: setting an array element with a sequence"),
    ),
    # X that differs from what was fitted
    *rows(
        "X",
        (*USE, *AGAIN, "X_val", "context"),
        ("column missing", X[:, :2], "X has 2 features, but DeepLSTM.* is expecting 3 features"),
        ("column too many", X[:, [0, 1, 2, 2]], "X has 4 features, but DeepLSTM.* is expecting 3 features"),
        (
            "other names",
            FRAME.rename(columns={"c": "z"}),
            "X: The feature names.*unseen at fit time:\n- z.*missing:\n- c",
        ),
        ("other order", FRAME[["b", "a", "c"]], "X: The feature names.*must be in the same order"),
    ),
    *rows(
        "X",
        (*USE, *AGAIN, "X_val"),
        ("last axis", ARRAY[:, :, :2], r"X of shape \(30, 4, 2\) has 2 features, but .*expecting 3.*last axis"),
        ("the wrong axis fits", ARRAY[:, :3, :2], r"X of shape \(30, 3, 2\) has 2 features, but .*expecting 3"),
        ("last axis in a list", [one[:, :2] for one in RAGGED], r"X\[0\] has 2 features, but .*expecting 3"),
    ),
    # y
    *rows("y", FIT, ("None", None, "requires y to be passed, but the target y is None")),
    *rows(
        "y",
        (*FIT, "y_val"),
        ("another length", ONES[1:], "inconsistent numbers of samples: X(_val)? has 30, y(_val)? has 29"),
        ("a number", 3.0, "y: Expected sequence or array-like, got <class 'float'>", WRONG_TYPE),
        ("masked", np.ma.array(np.arange(N) % 2, mask=ONES), "y is a masked array"),
        ("NaN", at(3, NAN), "Input y contains NaN"),
        ("NaN among objects", at(3, NAN).astype(object), "Input y contains NaN|y: Input contains NaN"),
    ),
    *rows(
        "y",
        (*FIT, "y_val"),
        (
            "text",
            LABELS,
            "y must hold numbers, but could not convert .*'(up|down)'.* For labels use a classifier, such as DeepRNNC",
        ),
        ("text objects", LABELS.astype(object), "y must hold numbers, but could not convert .*DeepRNNClassifier"),
        ("infinity", at(3, INF), "Input y contains infinity"),
        ("complex", ONES + 1j, "Complex data not supported: y must hold real numbers"),
        ("sparse", sp.csr_array(ONES[:, np.newaxis]), "Sparse data was passed for y", WRONG_TYPE),
        (
            "four dimensions",
            np.ones((N, 2, 2, 2)),
            r"y has 4 dimensions, expected 1 or 2 \(n_samples, n_outputs\), or 3",
        ),
        ("no outputs", np.ones((N, 0)), r"y: Found array with 0 feature\(s\)"),
        kinds=("regressor",),
    ),
    *rows(
        "y",
        ("y_val", *AGAIN),
        (
            "two outputs",
            np.ones((N, 2)),
            r"y has shape \(30, 2\), but the targets of this model have shape \(n_samples,\)",
        ),
        (
            "a column",
            np.ones((N, 1)),
            r"y has shape \(30, 1\), but the targets of this model have shape \(n_samples,\)",
        ),
        kinds=("regressor",),
    ),
    *rows(
        "y",
        (*FIT, "y_val"),
        ("continuous", X[:, 0], "y: Unknown label type: continuous"),
        (
            "columns of classes",
            np.arange(2 * N).reshape(N, 2),
            r"y should be a 1d array, got an array of shape \(30, 2\)",
        ),
        ("columns of numbers", X[:, :2], r"y should be a 1d array, got an array of shape \(30, 2\)"),
        ("1 and 2", 1 + (X > 0), r"y has shape \(30, 3\), one column for each label, but holds [12], not 0 and 1"),
        ("sparse labels", sp.csr_array((X > 0) * 1), "Sparse data was passed for y", WRONG_TYPE),
        ("labels of mixed types", np.array([1, "a"] * 15, object), "y: Unknown label type: unknown"),
        kinds=("classifier",),
    ),
    *rows(
        "y",
        ("y_val", *AGAIN),
        (
            "new label",
            np.repeat(["up", "flat"], 15),
            r"y holds 'flat', which is not among the classes \['down', 'up'\]",
        ),
        (
            "a matrix of labels",
            (X > 0) * 1,
            r"y has shape \(30, 3\), but the targets of this model have shape \(n_samples,\)",
        ),
        ("labels of another type", np.arange(N) % 2, r"y holds 0, which is not among the classes \['down', 'up'\]"),
        kinds=("classifier",),
    ),
    *rows(
        "y",
        FIT,
        ("one class", np.repeat("up", N), "at least 2 classes; y holds only one class with a positive weight: 'up'"),
        (
            "one weighs",
            LABELS,
            "y holds only one class with a positive weight: 'up'",
            {"given": {"sample_weight": (LABELS == "up") * 1.0}},
        ),
        kinds=("classifier",),
    ),
    # Weights
    *rows(
        "sample_weight",
        (*FIT, "sample_weight_val"),
        ("negative", at(7, -1.0), "sample_weight holds negative values, the first at position 7"),
        ("all zero", 0 * ONES, "sample_weight is zero for every sample; at least one weight must be positive"),
        ("zero", 0.0, "sample_weight is zero for every sample"),
        ("another length", ONES[1:], r"sample_weight has shape \(29,\), expected \(30,\): one weight per sample"),
        ("two dimensions", np.ones((N, 2)), r"sample_weight has shape \(30, 2\), expected \(30,\)"),
        ("NaN", at(7, NAN), "Input sample_weight contains NaN"),
        ("infinity", at(7, INF), "Input sample_weight contains infinity"),
        ("complex", ONES + 1j, "sample_weight must hold real numbers"),
        ("masked", np.ma.array(ONES, mask=ONES > 2), "sample_weight is a masked array"),
        ("text", ["a"] * N, "sample_weight: could not convert string to float: 'a'"),
    ),
    # Groups
    *rows(
        "groups",
        (*FIT, *USE),
        (
            "two blocks",
            np.repeat(["u", "v", "u"], 10),
            "label 'u' comes in 2 separate blocks, which begin at rows 0, 20;",
        ),
        ("many blocks", np.arange(N) % 2, "label 0 comes in 15 separate blocks, which begin at rows 0, 2, 4, ...;"),
        ("another length", GROUPS[1:], "groups has 29 labels, but X has 30 rows; one label per row is needed"),
        ("two dimensions", np.ones((N, 2)), r"groups must be 1-D, one label per row of X; its shape is \(30, 2\)"),
        ("one label", 3, r"groups must be 1-D, one label per row of X; its shape is \(\)"),
        ("NaN", np.where(np.arange(N) < 9, NAN, 1.0), r"groups holds no label \(nan\) at row 0; every row needs one"),
        ("None", np.array([1] * 9 + [None] * 21), r"groups holds no label \(None\) at row 9; every row needs one"),
        ("NaT", np.array(["2020"] * 9 + ["NaT"] * 21, "M8[D]"), r"groups holds no label \(NaT\) at row 9"),
        ("NA", np.array(["a"] * 9 + [pd.NA] * 21, object), "groups: boolean value of NA is ambiguous", WRONG_TYPE),
        ("masked", np.ma.array(GROUPS, mask=GROUPS == 1), "groups is a masked array"),
        ("with 3-D", GROUPS, "groups goes with a 2-D table X; here each sequence", {"given": {"X": ARRAY}}),
        ("with a list", GROUPS, "groups goes with a 2-D table X; here each sequence", {"given": {"X": RAGGED}}),
    ),
    *rows(
        "groups",
        ("predict after carrying",),
        ("carried rows of one series", GROUPS, "groups: carry_context=True kept the rows of one series, whose group"),
        parameters={"carry_context": True},
    ),
    # Context
    *rows(
        "context",
        USE,
        ("with groups", X, "context with groups needs context_groups too", {"given": {"groups": GROUPS}}),
        ("with 3-D", X, "context goes with a 2-D table X", {"given": {"X": ARRAY}}),
        ("with a list", X, "context goes with a 2-D table X", {"given": {"X": RAGGED}}),
        ("3-D", ARRAY, "context must be a 2-D table, the rows that came right before X; found a set of sequences"),
        ("a list", RAGGED, "context must be a 2-D table, the rows that came right before X; found a set of sequences"),
    ),
    *rows(
        "context_groups",
        USE,
        ("without context", GROUPS, "context_groups needs context, the rows that these labels are of"),
        ("without groups", GROUPS, "context with context_groups needs groups too", {"given": {"context": X}}),
        (
            "another length",
            GROUPS[1:],
            "context_groups has 29 labels, but context has 30 rows",
            {"given": {"context": X, "groups": GROUPS}},
        ),
        (
            "split group",
            np.repeat([0, 1, 0], 10),
            "context_groups: label 0 comes in 2 separate blocks",
            {"given": {"context": X, "groups": GROUPS}},
        ),
    ),
    *rows(
        "carry_context",
        FIT,
        ("3-D", True, "carry_context=True goes with a 2-D table X; a set of sequences", {"given": {"X": ARRAY}}),
        ("a list", True, "carry_context=True goes with a 2-D table X; a set of sequences", {"given": {"X": RAGGED}}),
    ),
    # The validation part
    *rows("X_val", ("fit",), ("alone", X, "X_val and y_val go together, but only one of them was given")),
    *rows("y_val", ("fit",), ("alone", LABELS, "X_val and y_val go together, but only one of them was given")),
    *rows("sample_weight_val", ("fit",), ("alone", ONES, "sample_weight_val needs X_val and y_val")),
    *rows("groups_val", ("fit",), ("alone", GROUPS, "groups_val needs X_val and y_val")),
    *rows(
        "early_stopping",
        ("fit",),
        (
            "no room",
            True,
            r"early_stopping=True with validation_fraction=0.1 leaves no .* of 30: sequence_length - 1 = 29 rows lie",
            {"parameters": {"sequence_length": N}},
        ),
    ),
    # Training that diverges
    *rows(
        "learning_rate_init",
        FIT,
        ("huge", 1e30, r"diverged in epoch 1, step \d: the loss is .*Lower learning_rate_init \(now 1e\+30\)"),
        (
            "later",
            1e30,
            "diverged in epoch 2, step 1: the loss",
            {"parameters": {"batch_size": N}, "kinds": ("regressor",), "calls": ("fit",)},
        ),
        (
            "without clipping",
            1e20,
            r"set a small max_grad_norm \(now None\)",
            {"parameters": {"max_grad_norm": None}, "calls": ("fit",)},
        ),
        (
            "validation",
            1e38,
            r"diverged in epoch 1, after its last step: the validation loss is (inf|nan).* Lower learning_rate_init",
            {"parameters": {"batch_size": N, "early_stopping": True, "max_iter": 1}, "calls": ("fit",)},
        ),
    ),
    # Parameters
    *rows(
        "class_weight",
        FIT,
        ("negative", {"up": -1.0}, "class_weight of class 'up' is -1; it must be finite and not negative"),
        ("NaN", {"up": NAN}, "class_weight of class 'up' is nan; it must be finite"),
        ("text", {"up": "a lot"}, "class_weight: could not convert string to float"),
        ("unknown label", {"upp": 2.0}, "The classes, .* are not in class_weight"),
        ("another word", "balance", "The 'class_weight' parameter of DeepLSTMClassifier must be .*'balanced'"),
        ("one of two", {"up": 0}, "y holds only one class with a positive weight: 'down'", {"is_named": False}),
        ("none of two", {"up": 0, "down": 0}, "y holds no class with a positive weight", {"is_named": False}),
        ("by parts", "balanced", "'balanced' is not supported by partial_fit.*as a dict", {"calls": ("partial_fit",)}),
        kinds=("classifier",),
    ),
    *rows(
        "class_weight",
        AGAIN,
        ("none left", {"up": 0, "down": 0}, "class_weight leaves no sample of y with a positive weight"),
        kinds=("classifier",),
    ),
    *rows(
        "label_smoothing",
        FIT,
        *(
            (repr(value), value, r"The 'label_smoothing' parameter of DeepLSTMClassifier must be .* \[0.0, 1.0\)")
            for value in (-0.1, 1.0, 1, NAN, INF, None, "0.1")
        ),
        kinds=("classifier",),
    ),
    *rows(
        "target_column",
        FIT,
        *(
            (repr(value), value, "The 'target_column' parameter of DeepLSTMRegressor must be .* or None. Got")
            for value in (-1, 1.5)
        ),
        (
            "not said",
            None,
            r"target_column=None does not say which of the 3 columns\. Set target_column to its position",
        ),
        ("a name without names", "a", "target_column='a' names a column, but X came without names"),
        ("beyond", 3, "target_column=3 is beyond the columns of X, 0 to 2"),
        (
            "another length",
            [0, 1],
            r"target_column must be one column of X, or a list with one for each .* \(1 here\); found \[0, 1\]",
        ),
        kinds=("regressor",),
        parameters={"window_norm": "last"},
    ),
    *rows(
        "loss",
        FIT,
        ("counts", "poisson", "loss='poisson' cannot be combined with window_norm='last'"),
        kinds=("regressor",),
        parameters={"window_norm": "last"},
        given={"y": ONES},
    ),
    *rows(
        "group_scaling",
        FIT,
        *(
            (repr(value), value, "The 'group_scaling' parameter of DeepLSTMRegressor must be .* or None. Got")
            for value in ("mase", True, 1)
        ),
        ("no groups", "standard", "group_scaling='standard' needs groups, a label for each row of a table X"),
        (
            "sequences",
            "standard",
            "group_scaling='standard' needs groups.* Sets of sequences have no groups",
            {"given": {"X": ARRAY}},
        ),
        (
            "counts",
            "standard",
            "loss='poisson' cannot be combined with group_scaling='standard'",
            {"given": {"groups": GROUPS, "y": ONES}, "parameters": {"loss": "poisson"}},
        ),
        kinds=("regressor",),
    ),
    *rows(
        "group_weight",
        FIT,
        ("another word", "balanced", "The 'group_weight' parameter of DeepLSTMRegressor must be .*'equal'"),
        ("no groups", "equal", "group_weight='equal' needs groups, a label for each row of a table X"),
        kinds=("regressor",),
    ),
    *rows(
        "n_jobs",
        (*FIT, *USE),
        ("0", 0, "n_jobs=0 has no meaning"),
        ("True", True, "n_jobs must be an integer", WRONG_TYPE),
    ),
]

CONSTRAINTS = {
    "hidden_size": (0, -3, 1.5, "64", None),
    "n_layers": (0, 1.0, None),
    "bidirectional": (1, 0.0, "yes", None),
    "recurrent_constraint": ("spectral", "orthogonal", True, 0.99),
    "residual": (-1, 1.5, None, "yes"),
    "output_gate": ("sigmoid", True, 1),
    "compete_groups": (0, -2, 1.5, None, "2"),
    "norm": ("output", "batch", True, 1),
    "norm_first": (1, 0.0, "yes", None),
    "feedforward": ("mlp", True, 8 / 3),
    "feedforward_expansion": (0, -1.0, 1001, "4", NAN, None),
    "attention_heads": (-1, 2.0, None, "two"),
    "pooling": ("max", None, 1, True),
    "patch_length": (0, -2, 1.5, None, "2"),
    "input_scaling": ("minmax", True, 0),
    "window_norm": ("mean", "first", True, 0),
    "known_columns": (-1, 2.5),
    "linear_skip": (-1, 2.5, None, "yes"),
    "linear_skip_training": ("ridge", None, True),
    "training": ("window", "streams", None, True),
    "targets": ("step", "sequences", None, True),
    "bptt_steps": (0, -8, 8.0, None, "all"),
    "weight_init": ("xavier", None, 1.0),
    "learning_rate": ("adaptive", 0.1, None),
    "solver": ("lbfgs", None),
    "sequence_length": (0, -1, 2.5, None),
    "dropout": (-0.1, 1, 1.5, "0.1", NAN),
    "recurrent_dropout": (-0.1, 1, 1.5, "0.1", NAN, None),
    "weight_dropout": (-0.1, 1.0, 2, "0.1", NAN, None),
    "zoneout": (-0.1, 1.0, (0.1, 0.1), "0.1", NAN, None),
    "learning_rate_init": (0.0, -1e-3, NAN, INF, "1e-3"),
    "weight_decay": (-1e-9, NAN, INF, None, "automatic"),
    "max_grad_norm": (0.0, -1.0, NAN, INF, "auto"),
    "batch_size": (0, -1, 32.0, "automatic", None),
    "accumulation_steps": (0, -1, 2.0, None, "auto"),
    "max_iter": (0, -1, 10.0, None),
    "shuffle": (1, "yes", "block", None),
    "early_stopping": (1, "always", None),
    "validation_fraction": (0.0, 1.0, 2, -0.1, NAN),
    "scoring": (1, ["r2"], True),
    "n_iter_no_change": (0, 1.5, INF),
    "tol": (-1e-9, NAN, INF, None),
    "n_seeds": (0, -1, 2.0, 1001, None),
    "warm_start": (1, None),
    "carry_context": (1, None, "True"),
    "dtype": ("float16", "f4", np.float32, None),
    "n_jobs": (1.5, "2", "all"),
    "random_state": ("seed", -1, 1.5),
    "verbose": (-1, "yes", None),
}
TABLE += [
    Bad(
        f"{name}: {value!r}",
        name,
        value,
        f"The '{name}' parameter of DeepLSTM.* Got {re.escape(repr(value))} instead",
        FIT,
    )
    for name, values in CONSTRAINTS.items()
    for value in values
]
