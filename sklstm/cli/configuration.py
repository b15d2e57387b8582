"""Configurations of `train`: TOML files whose keys are known, and the estimators that they describe."""

import inspect
import tomllib
from pathlib import Path

from sklstm.cli.errors import UsageError, nearest, one_line

#: Estimators by the names that stand in a configuration, with their modules.
ESTIMATORS = {
    "DeepRNNRegressor": "sklstm.regressor",
    "DeepLSTMRegressor": "sklstm.regressor",
    "DeepRNNClassifier": "sklstm.classifier",
    "DeepLSTMClassifier": "sklstm.classifier",
    "WeightedEnsembleRegressor": "sklstm.ensemble",
    "WeightedEnsembleClassifier": "sklstm.ensemble",
}
#: Members of ensembles can be these too, and steps before the estimator those of the second table.
MEMBERS = {
    **{name: module for name, module in ESTIMATORS.items() if name.startswith("Deep")},
    **dict.fromkeys(("LinearRegression", "Ridge", "Lasso", "ElasticNet", "LogisticRegression"), "sklearn.linear_model"),
}
STEPS = {
    **dict.fromkeys(("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"), "sklearn.preprocessing"),
    "SimpleImputer": "sklearn.impute",
}

_TEXT, _NAMES, _TABLE, _TABLES = (str,), (str, list), (dict,), (list,)
#: Keys of each table of a configuration, with the types of their values; the first ones must be there.
KEYS = {
    "": {
        "estimator": (str,),
        "output": (str,),
        "data": _TABLE,
        "parameters": _TABLE,
        "steps": _TABLES,
        "members": _TABLES,
        "validation": _TABLE,
    },
    "data": {
        "tables": _NAMES,
        "target": _NAMES,
        "features": _TABLES,
        "group": _TEXT,
        "time": _TEXT,
        "weight": _TEXT,
        "horizon": (int,),
        "gap": (int,),
    },
    "validation": {"tables": _NAMES, "fraction": (float,)},
    "steps": {"class": _TEXT, "parameters": _TABLE},
    "members": {"name": _TEXT, "estimator": _TEXT, "parameters": _TABLE},
}
NEEDED = {"": ("estimator", "output", "data"), "data": ("tables", "target"), "steps": ("class",)}
NEEDED["members"] = ("name", "estimator")
# TOML has no null.
NONE = "None"


def read(path):
    """Return the configuration in a file, checked, with lists for `tables` and `target`.

    Raises
    ------
    UsageError
        If it cannot be read, or a key is missing, unknown or of another type.
    """
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or one_line(error)}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML: {one_line(error)}.") from error
    _check(path, found, "")
    for name in ("data", "validation"):
        if name in found:
            _check(path, found[name], name)
            for key in ("tables", "target"):
                if isinstance(found[name].get(key), str):
                    found[name][key] = [found[name][key]]
    _refuse_columns(path, found["data"])
    for name in ("steps", "members"):
        for entry in found.get(name, ()):
            if not isinstance(entry, dict):
                raise UsageError(f"{path}: each entry of {name} must be a table, found {entry!r}.")
            _check(path, entry, name)
    folder = Path(path).parent
    for name in ("data", "validation"):
        if "tables" in found.get(name, {}):
            found[name]["tables"] = [str(folder / one) for one in found[name]["tables"]]
    found["output"] = str(folder / found["output"])
    return found


def _check(path, table, name):
    """Raise unless a table has its keys, and no others."""
    keys, title = KEYS[name], f"[{name}]: " if name else ""
    for key, value in table.items():
        if key not in keys:
            raise UsageError(f"{path}: {title}unknown key {key!r}{nearest(key, keys) or '; known: ' + ', '.join(keys)}")
        value_is_bool = isinstance(value, bool) and bool not in keys[key]
        if not isinstance(value, keys[key]) or value_is_bool:
            expected = " or ".join(kind.__name__ for kind in keys[key]).replace("dict", "table")
            raise UsageError(f"{path}: {title}{key} must be a {expected}, found {value!r}.")
        if (
            isinstance(value, list)
            and name in ("data", "validation")
            and not (value and all(isinstance(one, str) for one in value))
        ):
            raise UsageError(f"{path}: {title}{key} must be a list of names, found {value!r}.")
    for key in NEEDED.get(name, ()):
        if key not in table:
            raise UsageError(f"{path}: {title}the key {key!r} is missing.")


def _refuse_columns(path, data):
    """Raise for columns that are named twice, and for targets among the features of the same row."""
    for key in ("features", "target"):
        twice = [name for place, name in enumerate(data.get(key, ())) if name in data[key][:place]]
        if twice:
            raise UsageError(f"{path}: [data]: {key} names {twice[0]!r} twice.")
    known = [name for name in data["target"] if name in data.get("features", ())]
    if known and "horizon" not in data:
        raise UsageError(
            f"{path}: [data]: the target {known[0]!r} is a feature too: a row would tell its own target. Leave it out, "
            "or set horizon for targets of later rows."
        )


def make_estimator(path, configuration):
    """Return the estimator of a configuration, not fitted: a pipeline where it has `steps`.

    Parameters
    ----------
    path : str
        Of the file, for messages.
    configuration : dict
        Of `read`.
    """
    more = {}
    if configuration["estimator"].startswith("WeightedEnsemble"):
        members = configuration.get("members")
        if not members:
            raise UsageError(f"{path}: an ensemble needs [[members]].")
        more["estimators"] = [
            (one["name"], _make(path, one["estimator"], one.get("parameters", {}), MEMBERS, "members"))
            for one in members
        ]
    elif "members" in configuration:
        raise UsageError(f"{path}: members are those of an ensemble, found estimator {configuration['estimator']!r}.")
    estimator = _make(path, configuration["estimator"], configuration.get("parameters", {}), ESTIMATORS, "", more)
    steps = configuration.get("steps", [])
    if not steps:
        return estimator
    from sklearn.pipeline import make_pipeline

    before = [_make(path, one["class"], one.get("parameters", {}), STEPS, "steps") for one in steps]
    return make_pipeline(*before, estimator)


def _make(path, name, parameters, table, title, more=None):
    """Return an object of a class that a table names."""
    from importlib import import_module

    where = f"{path}: {f'{title}: ' if title else ''}"
    if name not in table:
        raise UsageError(f"{where}there is no {name!r}{nearest(name, table) or '; known: ' + ', '.join(table)}")
    cls = getattr(import_module(table[name]), name)
    known = [key for key in inspect.signature(cls).parameters if key not in (more or {})]
    for key in parameters:
        if key not in known:
            raise UsageError(f"{where}{name} has no parameter {key!r}{nearest(key, known) or '.'}")
    values = {key: _value(where, key, value) for key, value in parameters.items()}
    return cls(**values, **(more or {}))  # what a value may be is checked by the fit


def _value(where, key, value):
    """Return the value of a parameter: "None" is None, and the table of a cell its object."""
    if value == NONE:
        return None
    if key != "cell" or not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    from sklstm.cells import __all__ as cells

    names = {name: "sklstm.cells" for name in cells if name != "Cell"}
    options = dict(value)
    if "class" not in options:
        raise UsageError(f"{where}cell needs its class, as in cell = {{ class = 'GRU' }}.")
    return _make(where.removesuffix(": "), str(options.pop("class")), options, names, "cell")
