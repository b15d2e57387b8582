"""The command `evaluate`: metrics of a model on a table that holds the targets."""

import sys

import numpy as np

from sklstm._model_files.atomic import replacing
from sklstm.cli.errors import InputError, ModelError, UsageError, one_line, output_errors, refuse_output
from sklstm.cli.metrics import choose, compute
from sklstm.cli.models import load, quantiles_of
from sklstm.cli.predict import add_reading, names
from sklstm.cli.progress import Progress
from sklstm.cli.runs import answers_of, open_run, read_labels, threads
from sklstm.cli.tables import require_arrow
from sklstm.cli.texts import json_of


def add_to(commands):
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "evaluate",
        help="metrics of a model on a table with the targets",
        description="""Compare the answers of a model with the targets in a table, and print metrics as JSON. Rows
        without a target are read, as others look back at them, and not counted. The targets and answers of all rows are
        held in memory, the columns that the model reads are not.""",
    )
    parser.add_argument("model", help="model file (sklstm.save_model), or a joblib file with --trust")
    parser.add_argument("table", help="table with rows and targets: .parquet, .pq or .csv")
    parser.add_argument("--target", metavar="A,B,...", type=names, required=True, help="columns with the targets")
    parser.add_argument("--weight", metavar="COL", help="column with the weights of rows")
    parser.add_argument("--metrics", metavar="A,B,...", type=names, help="metrics by their names in sklearn.metrics")
    parser.add_argument("--output", metavar="FILE", help="file that is written instead of the standard output")
    add_reading(parser)
    parser.set_defaults(run=evaluate)


def evaluate(options):
    """Run the command; the options are those of `add_to`."""
    require_arrow()
    if options.output is not None:
        refuse_output(options.output, options.table, options.model)
    model = load(options.model, options.trust)
    chosen, methods = choose(model, options.metrics)
    with threads(options.jobs):
        others = options.target + ([options.weight] if options.weight else [])
        numbers = ([options.weight] if options.weight else []) + ([] if hasattr(model, "classes_") else options.target)
        run = open_run(options, methods, others, model, numbers)
        if hasattr(model, "classes_") and np.ndim(model.classes_) == 1:
            read_labels(run.table, options.target, known=np.asarray(model.classes_))
        y, weights, answers, n_without = _collect(run, options)
    found = {"model": str(options.model), "table": str(options.table), "rows": len(y), "rows_without_target": n_without}
    _check_shapes(model, y, answers, options)
    labels = getattr(model, "classes_", None)
    levels = quantiles_of(model, answers["predict_quantiles"].shape[-1]) if "predict_quantiles" in answers else []
    try:
        found["metrics"] = {name: compute(name, y, answers, levels, labels, weights) for name in chosen}
    except (ValueError, TypeError) as error:
        raise InputError(f"{options.table}: {one_line(error)}") from error
    text = json_of(found)
    if options.output is None:
        sys.stdout.write(text)
        return
    with output_errors(options.output), replacing(options.output) as file:
        file.write(text.encode())


def _collect(run, options):
    """Return targets, weights and answers of all rows that have a target, and how many have none."""
    targets, weights, answers, n_without = [], [], {method: [] for method in run.methods}, 0
    with Progress("evaluate", run.table.n_rows, quiet=options.quiet) as progress:
        for keys, found, _ in answers_of(run):
            y, present = _targets_of(keys, options.target, options.table)
            n_without += len(present) - int(present.sum())
            targets.append(y[present])
            if options.weight:
                weights.append(_weights_of(keys, options)[present])
            for method, answer in found.items():
                answers[method].append(answer[present])
            progress.advance(keys.num_rows)
    y = np.concatenate(targets)
    if len(y) == 0:
        raise InputError(f"{options.table}: no row has a target in {', '.join(options.target)}.")
    weights = np.concatenate(weights) if weights else None
    if weights is not None and not weights.any():
        raise InputError(f"{options.table}: column {options.weight!r} holds no weight above 0.")
    return y, weights, {method: np.concatenate(parts) for method, parts in answers.items()}, n_without


def _targets_of(keys, columns, path):
    """Return the targets of a batch, and which rows have all of them."""
    missing = [keys.column(name).is_null(nan_is_null=True).to_numpy() for name in columns]
    present = ~np.any(missing, axis=0)
    arrays = [keys.column(name).to_numpy() for name in columns]
    if len(columns) == 1:
        return arrays[0], present
    try:
        return np.column_stack([array.astype(np.float64) for array in arrays]), present
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: the columns {', '.join(columns)} must hold numbers: {error}.") from error


def _weights_of(keys, options):
    try:
        weights = keys.column(options.weight).to_numpy().astype(np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{options.table}: column {options.weight!r} must hold numbers: {error}.") from error
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"{options.table}: column {options.weight!r} must hold finite weights of at least 0.")
    return weights


def _check_shapes(model, y, answers, options):
    """Raise unless there are as many targets as the model answers with, of its kind."""
    if "predict" in answers:
        shape = answers["predict"].shape
    elif "predict_quantiles" in answers:
        shape = answers["predict_quantiles"].shape[:-1]
    else:
        shape = y.shape
    n_found, n_expected = int(np.prod(y.shape[1:])), int(np.prod(shape[1:]))
    if n_found != n_expected:
        raise UsageError(f"--target names {n_found} columns, but the model answers with {n_expected}.")
    if len(shape) > 2:
        raise ModelError("the model answers with a horizon of several targets; evaluate it in Python.")
    if hasattr(model, "classes_"):
        found, known = (np.unique(one).tolist() for one in (y, model.classes_))
        unknown = [str(one) for one in found if one not in known]  # numbers of another type are equal
        if unknown:
            raise InputError(f"{options.table}: labels {', '.join(unknown[:5])} are none of the model's classes.")
    elif y.dtype.kind not in "iufb":
        raise InputError(
            f"{options.table}: column {options.target[0]!r} must hold numbers, found a {type(y.flat[0]).__name__}."
        )
    elif y.dtype.kind == "f" and not np.isfinite(y).all():
        names = ", ".join(options.target)
        raise InputError(f"{options.table}: {names} holds infinity in a row that is compared, expected finite numbers.")
