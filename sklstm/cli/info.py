"""The command `info`: what a model is, without running code of its file."""

import os
import sys

from sklstm._version import __version__
from sklstm.cli.errors import ModelError
from sklstm.cli.models import METHODS, load, reading_of
from sklstm.cli.texts import json_of

MOST_NAMES = 12


def add_to(commands):
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "info",
        help="what a model is and reads",
        description="""Print class, parameters, columns, sizes and versions of a model. A model file is read without
        running code from it.""",
    )
    parser.add_argument("model", help="model file (sklstm.save_model), or a joblib file with --trust")
    parser.add_argument(
        "--trust", action="store_true", help="read a joblib file, which runs code: only from where you know"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=info)


def info(options):
    """Run the command."""
    model = load(options.model, options.trust)
    found = describe(model, options.model)
    if options.json:
        sys.stdout.write(json_of(found))
        return
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, entry in value.items():
                print(f"  {key}: {entry}")
        else:
            print(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


def describe(model, path):
    """Return what a model is, as a dict of texts, numbers, lists and dicts."""
    found = {"file": os.fspath(path), "bytes": os.path.getsize(path), **_versions(path), "class": _name(model)}
    if hasattr(model, "steps"):
        found["steps"] = [f"{name} ({_name(step)})" for name, step in model.steps]
    if hasattr(model, "named_estimators_"):
        weights = getattr(model, "weights_", [])
        members = [f"{name} ({_name(member)})" for name, member in model.named_estimators_.items()]
        found["members"] = members
        found["weights"] = [float(weight) for weight in weights]
    found["parameters"] = _changed_parameters(model)
    if hasattr(model, "n_features_in_"):
        found["n_features"] = int(model.n_features_in_)
    if hasattr(model, "feature_names_in_"):
        found["features"] = [str(name) for name in model.feature_names_in_]
    if hasattr(model, "classes_"):
        found["classes"] = [str(label) for label in model.classes_]
    found["methods"] = [method for method in METHODS if hasattr(model, method)]
    found["rows_before"] = _rows_before(model)
    networks = _arrays_of(model)
    if networks:
        found["weights_of_networks"] = sum(array.size for array in networks)
        found["dtype"] = ", ".join(sorted({array.dtype.name for array in networks}))
    return found


def _versions(path):
    """Return the versions in the header of a model file, none of another file."""
    from sklstm._model_files.container import read_file
    from sklstm.exceptions import ModelFormatError

    try:
        metadata, _ = read_file(path)
    except ModelFormatError:
        return {"format": "joblib", "read_by": f"sklstm {__version__}"}
    return {
        "format": f"model file, version {metadata['format_version']}",
        "written_by": f"sklstm {metadata['sklstm_version']}",
        "read_by": f"sklstm {__version__}",
    }


def _name(model):
    return model if isinstance(model, str) else type(model).__name__


def _changed_parameters(model):
    """Return the parameters that differ from their defaults, as they are written in code."""
    from sklearn.base import BaseEstimator

    if not isinstance(model, BaseEstimator) or hasattr(model, "steps"):
        return {}
    import inspect

    defaults = {name: one.default for name, one in inspect.signature(type(model)).parameters.items()}
    given = model.get_params(deep=False)
    hidden = ("estimators",)  # told as members
    return {
        name: repr(value) if not isinstance(value, int | float | str | bool) else value
        for name, value in given.items()
        if name not in hidden and repr(value) != repr(defaults.get(name))
    }


def _rows_before(model):
    """Return how many rows before a row its answer depends on, or in words why that is no number."""
    try:
        reading = reading_of(model)
    except ModelError as error:
        return str(error)
    return "all (states are carried on)" if reading.by_states else reading.reach


def _arrays_of(model):
    """Return the weights of all networks in a model."""
    found = []
    for one in _all_networks(model):
        found += one.parameters_.values()
        for other in getattr(one, "other_networks_", []):
            found += other["parameters_"].values()
    return found


def _all_networks(model):
    from sklstm.cli.models import networks_in

    last = model
    while hasattr(last, "steps"):
        last = last.steps[-1][1]
    return [one for one in networks_in(last) if hasattr(one, "parameters_")]
