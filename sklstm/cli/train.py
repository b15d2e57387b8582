"""The command `train`: fits the estimator of a configuration to tables, and writes a model file."""

import sys
from time import perf_counter

import numpy as np

from sklstm.cli.configuration import make_estimator, read
from sklstm.cli.errors import InputError, UsageError, one_line, output_errors, refuse_output, say
from sklstm.cli.order import RowOrder
from sklstm.cli.runs import read_labels, threads
from sklstm.cli.tables import open_table, refuse_unknown, require_arrow
from sklstm.cli.texts import json_of


def add_to(commands):
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "train",
        help="fit an estimator to tables, by a configuration in TOML",
        description="""Fit the estimator that a configuration describes, and write a model file. Paths in it are
        relative to its folder. The tables are held in memory as arrays of numbers.""",
    )
    parser.add_argument("config", help="configuration: .toml, see the guide")
    parser.add_argument("--jobs", metavar="N", type=int, help="threads (default: all cores)")
    parser.add_argument("--check", action="store_true", help="check configuration and tables, and fit nothing")
    parser.add_argument("--quiet", action="store_true", help="tell nothing but errors and warnings")
    parser.set_defaults(run=train)


def train(options):
    """Run the command; the options are those of `add_to`."""
    require_arrow()
    from sklearn.base import is_classifier

    configuration = read(options.config)
    estimator = make_estimator(options.config, configuration)
    data, validation = configuration["data"], configuration.get("validation", {})
    refuse_output(configuration["output"], options.config, *data["tables"], *validation.get("tables", ()))
    if "tables" in validation and "fraction" in validation:
        raise UsageError(f"{options.config}: [validation] takes tables or a fraction, not both.")
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    if "fraction" in validation:
        if not hasattr(last, "early_stopping"):
            raise UsageError(f"{options.config}: [validation] goes with a network, not with an ensemble.")
        last.set_params(early_stopping=True, validation_fraction=validation["fraction"])
    X, y, more = _read_data(data, data["tables"], is_classifier(last))
    if "tables" in validation:
        if hasattr(estimator, "steps") or not hasattr(last, "early_stopping"):
            raise UsageError(f"{options.config}: validation.tables goes with a network without steps; set fraction.")
        X_val, y_val, of_val = _read_data(data, validation["tables"], is_classifier(last))
        more |= {"X_val": X_val, "y_val": y_val, **{f"{name}_val": value for name, value in of_val.items()}}
    if options.check:
        if not options.quiet:
            say(f"sklstm train: {len(y):,} rows of {X.shape[1]} columns; nothing was fitted")
        return
    begin = perf_counter()
    with threads(options.jobs):
        _fit(estimator, X, y, more, options.config)
    _save(estimator, configuration["output"])
    if not options.quiet:
        sys.stdout.write(json_of(_summary(last, configuration, y, perf_counter() - begin)))


def _fit(estimator, X, y, more, path):
    """Fit, and tell errors of the data from those of parameters."""
    if hasattr(estimator, "steps"):
        more = {f"{estimator.steps[-1][0]}__{name}": value for name, value in more.items()}
    from sklearn.utils._param_validation import InvalidParameterError

    try:
        estimator.fit(X, y, **more)
    except (InvalidParameterError, NotImplementedError) as error:
        raise UsageError(f"{path}: {one_line(error)}") from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: the fit failed: {one_line(error)}") from error


def _save(estimator, path):
    from sklstm.persistence import save_model

    with output_errors(path):
        save_model(estimator, path)


def _summary(model, configuration, y, seconds):
    """Return what came of a fit, as a dict for JSON."""
    found = {"model": configuration["output"], "estimator": configuration["estimator"], "rows": len(y)}
    for name in ("n_iter_", "best_iteration_", "loss_", "best_validation_score_"):
        value = getattr(model, name, None)
        if value is not None:
            found[name.rstrip("_")] = value if isinstance(value, int) else float(value)
    if hasattr(model, "weights_"):
        found["weights"] = dict(zip(model.named_estimators_, map(float, model.weights_), strict=True))
    return {**found, "seconds": round(seconds, 3)}


def _read_data(data, paths, is_classifier):
    """Return X, y and the further arguments of `fit` from tables, one below the other."""
    import pyarrow as pa

    keys = [data[name] for name in ("group", "time", "weight") if name in data]
    tables, order = [open_table(path) for path in paths], None
    features = data.get("features")
    if features is None:
        others = {*keys, *data["target"]}
        features = [name for name in tables[0].schema.names if name not in others]
    read = list(dict.fromkeys([*features, *keys, *data["target"]]))
    parts = []
    order = RowOrder(" and ".join(paths), data.get("group"), data.get("time"))
    labels = [data["group"]] if "group" in data else []
    exact = [data[name] for name in ("group", "time") if name in data] + (data["target"] if is_classifier else [])
    for table in tables:
        refuse_unknown(table, read)
        table.widen([name for name in read if name not in exact])
        read_labels(table, labels, features)
        table.read_exactly([name for name in exact if name not in features])
        for batch in table.batches(read, 1 << 18):
            order.follow(batch)
            parts.append(batch)
    if not parts:
        raise InputError(f"{paths[0]}: has no rows.")
    try:
        whole = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"{' and '.join(paths)}: their columns do not fit together: {one_line(error)}") from error
    return _arguments(data, whole, features, " and ".join(paths), is_classifier)


def _arguments(data, whole, features, path, is_classifier):
    """Return X, y and the further arguments of `fit` from one table."""
    X = _numbers(whole, features, path)
    if is_classifier and len(data["target"]) == 1:
        y = whole.column(data["target"][0])
        if y.null_count:
            raise InputError(f"{path}: column {data['target'][0]!r} holds no label in {y.null_count} rows.")
        y = y.to_numpy()
    else:
        y = _numbers(whole, data["target"], path).to_numpy()
        y = y[:, 0] if y.shape[1] == 1 else y
    more = {}
    if "group" in data:
        more["groups"] = whole.column(data["group"]).to_numpy()
    if "weight" in data:
        more["sample_weight"] = _numbers(whole, [data["weight"]], path).to_numpy()[:, 0]
    if "horizon" not in data:
        if "gap" in data:
            raise UsageError("data.gap goes with data.horizon.")
        return X, y, more
    return _with_horizon(data, X, y, more, path)


def _with_horizon(data, X, y, more, path):
    """Return the rows whose next values are all known, with these as targets."""
    from sklstm.model_selection import make_horizon

    try:
        rows, y = make_horizon(y, data["horizon"], gap=data.get("gap", 0), groups=more.get("groups"))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {one_line(error)}") from error
    return X[rows], np.ascontiguousarray(y), {name: value[rows] for name, value in more.items()}


def _numbers(whole, columns, path):
    """Return columns as a DataFrame of numbers; their names are learnt by the fit."""
    from sklstm.cli.features import Arrays, refuse_no_numbers

    refuse_no_numbers(path, columns, [whole.schema.field(name).type for name in columns])
    array, _ = Arrays(columns, 0).joined(whole, False)
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise UsageError("train keeps the names of columns in a DataFrame: pip install pandas.") from error
    return DataFrame(array, columns=columns, copy=False)
