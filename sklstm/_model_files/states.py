"""The fitted attributes of our estimators in a model file: types, and shapes computed anew from the parameters."""

from dataclasses import MISSING, fields

import numpy as np

from sklstm._fitted import check_fitted_attributes, freeze
from sklstm._model_files.checks import (
    anything,
    array,
    either,
    entries,
    flag,
    integer,
    number,
    optional,
    refuse,
    sequence,
    text,
)
from sklstm._model_files.training_state import check_training_state
from sklstm._network.architecture import Architecture
from sklstm._network.parameters import ParameterLayout
from sklstm.exceptions import ModelFormatError

_CURVE = sequence(number(finite=False))
_NAMES = array("OU", "features")
_LABELS = array("biufOUS", None, finite=False)
_COLUMNS = optional(sequence(integer(0)))


def _names_of_features(value, where, sizes):
    _NAMES(value, where, sizes)
    if not all(isinstance(name, str) for name in value.tolist()):
        refuse(where, value, "names that are texts")


def _of_targets(value, where, sizes):
    """Check a number for each target: an array of their shape, or one number."""
    if np.shape(value) != sizes["shape"] or not isinstance(value, np.ndarray | np.float64):
        refuse(where, value, f"numbers of float64 of shape {sizes['shape']}")
    if np.asarray(value).dtype != np.float64 or not np.isfinite(value).all():
        refuse(where, value, "finite numbers of float64")


def _shape(value, where, sizes):
    sequence(integer(0), tuple)(value, where, sizes)
    if len(value) > 2:
        refuse(where, value, "at most two axes")


def _moments(length):
    """Return a check for `Moments` of so many columns, as a dict."""
    return entries(
        {
            "weight": array("float64", length, least=0),
            "exponent": integer(),
            "mean": array("float64", length),
            "deviation": array("float64", length, least=0),
        }
    )


def _label(value, where, sizes):
    if not isinstance(value, str | int | float | tuple | None):
        refuse(where, value, "a label")


_SPAN = entries(
    {
        "kind": text(),
        "groups": sequence(_label),
        "first": array("iufMmO", None, finite=False),
        "last": array("iufMmO", None, finite=False),
        "names": sequence(text()),
        "step": anything,
    }
)


def _span(value, where, sizes):
    _SPAN(value, where, sizes)
    if not len(value["groups"]) == len(value["first"]) == len(value["last"]) == len(value["names"]):
        raise ModelFormatError(f"{where} has lists of different lengths.")
    step = value["step"]
    if step is not None and not isinstance(step, np.timedelta64 | np.number | int | float):
        refuse(where, step, "a step between two rows")


_ROW_ORDER = entries({"span": optional(_span), "groups": flag})
_OF_A_NETWORK = {
    "parameters_": lambda value, where, sizes: None,  # checked by the layout
    "n_iter_": integer(0),
    "loss_": number(finite=False),
    "loss_curve_": _CURVE,
    "gradient_norms_": _CURVE,
    "validation_scores_": optional(_CURVE),
    "validation_loss_curve_": optional(_CURVE),
    "best_validation_score_": optional(number(finite=False)),
    "best_iteration_": integer(0),
    "best_loss_": optional(number(finite=False)),
}
_NETWORK = {
    **_OF_A_NETWORK,
    "input_mean_": array("float64", "features"),
    "input_scale_": array("float64", "features"),
    "_input_moments": _moments("features"),
    "n_features_in_": integer(1),
    "_architecture": anything,  # checked before all else
    "_trained_dtype": text("float32", "float64", "bfloat16"),
    "_fitted_on": text("table", "sequences"),
    "_row_order": _ROW_ORDER,
}
_OTHERS_OF_NETWORK = {
    "weight_decay_": number(0),
    "other_networks_": sequence(entries({}, _OF_A_NETWORK)),
    "ridge_penalty_": number(0, finite=False),
    "skip_score_": number(finite=False),
    "context_": array("f", None, "features"),
    "context_groups_": _LABELS,
    "quantization_dtype_": text("int8", "int16"),
    "quantization_error_": number(0),
    "feature_names_in_": _names_of_features,
    "sparsity_": number(0),
    "factorization_error_": array("float64", None),
    "operations_saved_": number(),
    "_training_state": check_training_state,
}
_CODING = {
    "loss": text("squared_error", "absolute_error", "huber", "log_cosh", "quantile", "poisson"),
    "quantiles": optional(either(sequence(number(0)), sequence(number(0), tuple))),
    "columns": _COLUMNS,
    "shape": _shape,
    "group_scaling": optional(text("mean_absolute_difference", "standard")),
    "unit_columns": _COLUMNS,
    "moments": _moments("targets"),
    "is_huge": flag,
}


def _per_group(value, where, sizes):
    """Check a number for each group and target."""
    array("float64", *(None,) * (1 + len(sizes["shape"])))(value, where, sizes)
    if value.shape[1:] != sizes["shape"]:
        refuse(where, value, f"numbers of shape (n_groups, {', '.join(map(str, sizes['shape']))})")


def _classes(value, where, sizes):
    """Check labels, or the rows [0, 1] of several labels."""
    if isinstance(value, np.ndarray) and value.ndim == 2:
        if value.shape[1] != 2 or not np.array_equal(value, np.tile([0, 1], (len(value), 1))):
            refuse(where, value, "a row of 0 and 1 for each label")
        return
    _LABELS(value, where, sizes)
    if len(value) < 2 or not np.array_equal(np.unique(value), value):
        refuse(where, value, "two labels or more, different and sorted")


_REGRESSOR = {"target_mean_": _of_targets, "target_scale_": _of_targets, "_coding": entries(_CODING)}
_OTHERS_OF_REGRESSOR = {
    "group_labels_": _LABELS,
    "group_means_": _per_group,
    "group_scales_": _per_group,
    "conformal_correction_": lambda value, where, sizes: array("float64", *(None,) * (1 + len(sizes["shape"])))(
        value, where, sizes
    ),
}


_FIELDS = {field.name: field.default for field in fields(Architecture)}
_NEEDED = {name for name, default in _FIELDS.items() if default is MISSING}


def _sizes_of(state, where):
    """Return the sizes that shapes follow from, by name: of the architecture and the targets."""
    described = state.get("_architecture")
    if not isinstance(described, dict) or not described.keys() >= _NEEDED or not described.keys() <= _FIELDS.keys():
        refuse(where, described, "the fields of the architecture")
    # Fields that came after the file was written have their defaults.
    described = state["_architecture"] = {**_FIELDS, **described}
    try:
        layout = ParameterLayout(**described)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFormatError(f"{where}: {error}.") from error
    shape = state["_coding"].get("shape") if isinstance(state.get("_coding"), dict) else None
    sizes = {"features": layout.architecture.input_size, "parameters": layout.size, "layout": layout}
    if isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape):
        sizes |= {"shape": shape, "targets": int(np.prod(shape, dtype=object))}
    return sizes


def _network_state(required, others):
    """Return the function that checks the attributes of a network and gives them to a new estimator."""
    check = entries({**_NETWORK, **required}, {**_OTHERS_OF_NETWORK, **others})

    def give(made, state, where):
        """Check them and give them."""
        sizes = _sizes_of(state, where)
        check(state, where, sizes)
        if "context_groups_" in state and len(state["context_groups_"]) != len(state.get("context_", ())):
            raise ModelFormatError(f"{where}: context_groups_ has not as many labels as context_ has rows.")
        made.__dict__.update(state)
        try:
            check_fitted_attributes(made, made._targets())
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise ModelFormatError(f"{where}: {error}.") from error
        freeze(made)

    return give


REGRESSOR = _network_state(_REGRESSOR, _OTHERS_OF_REGRESSOR)
CLASSIFIER = _network_state({"classes_": _classes}, {})

_STATISTIC = array("float64", "features", finite=False)
_SELECTOR = entries(
    {
        "n_features_in_": integer(1),
        "support_": array("bool", "features"),
        "ranking_": array("int64", "features"),
        "autocorrelation_": _STATISTIC,
        "noise_ratio_": _STATISTIC,
        "trend_strength_": _STATISTIC,
        "scores_": _STATISTIC,
    },
    {"feature_names_in_": _names_of_features},
)


def SELECTOR(made, state, where):
    """Check the attributes of a selector and give them to a new one."""
    integer(1)(state.get("n_features_in_"), f"{where}: n_features_in_", {})
    _SELECTOR(state, where, {"features": state["n_features_in_"]})
    made.__dict__.update(state)


def _transformer_of_rows(value, where, sizes):
    if not hasattr(value, "transform") or getattr(value, "n_features_in_", None) != sizes["features"]:
        refuse(where, value, f"a fitted transformer of {sizes['features']} columns")


_COLLECTION_TRANSFORMER = entries(
    {"n_features_in_": integer(1), "transformer_": _transformer_of_rows}, {"feature_names_in_": _names_of_features}
)


def COLLECTION_TRANSFORMER(made, state, where):
    """Check the attributes of a transformer of sets of sequences and give them to a new one."""
    integer(1)(state.get("n_features_in_"), f"{where}: n_features_in_", {})
    _COLLECTION_TRANSFORMER(state, where, {"features": state["n_features_in_"]})
    made.__dict__.update(state)


def _member(value, where, sizes):
    if not hasattr(value, sizes["method"]) or not hasattr(value, "n_features_in_"):
        refuse(where, value, f"a fitted estimator with {sizes['method']}")


def _fitted_names(value, where, sizes):
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        refuse(where, value, "names")
    if not all(isinstance(one, bool) for one in value.values()) or sum(value.values()) != sizes["members"]:
        refuse(where, value, f"{sizes['members']} names of fitted members")


_ENSEMBLE = {
    "estimators_": sequence(_member),
    "_fitted_names": _fitted_names,
    "weights_": array("float64", "members", least=0),
    "n_features_in_": integer(1),
    "_fitted_on": text("table", "sequences"),
}
_OTHERS_OF_ENSEMBLE = {
    "_row_order": optional(_ROW_ORDER),
    "feature_names_in_": _names_of_features,
    "learned_weights_": array("float64", "members"),
    "shrinkage_": number(),
    "oof_losses_": array("float64", "members", finite=False),
    "oof_indices_": array("int64", None),
    "oof_predictions_": anything,
    "weight_history_": array("float64", None, "members", least=0),
    "history_steps_": array("int64", None, least=0),
    "recent_losses_": array("float64", "members", finite=False),
    "dynamics_": entries(
        {
            "recent": array("float64", "members"),
            "count": number(0),
            "total": array("float64", "members"),
            "rounds": number(0),
            "low": number(),
            "high": number(finite=False),
        }
    ),
}


def _calibration(value, where, sizes):
    """Check the calibrators of the classes: slope and intercept, or the corners of an increasing function."""
    if not isinstance(value, dict) or not all(name in map(str, range(sizes["classes"])) for name in value):
        refuse(where, value, "calibrators of classes by their numbers")
    for name, curve in value.items():
        if not isinstance(curve, np.ndarray) or curve.shape not in ((2,), (2, curve.shape[-1])):
            refuse(f"{where}[{name!r}]", curve, "an array of shape (2,) or (2, n_points)")
        array("float64", *(None,) * curve.ndim)(curve, f"{where}[{name!r}]", sizes)
        if curve.ndim == 2 and (curve.shape[1] == 0 or (np.diff(curve) < 0).any()):
            refuse(f"{where}[{name!r}]", curve, "increasing points")


_DYNAMIC = ("weight_history_", "history_steps_", "recent_losses_", "dynamics_")


def _ensemble_state(required, method, others=None):
    check = entries({**_ENSEMBLE, **required}, {**_OTHERS_OF_ENSEMBLE, **(others or {})})

    def give(made, state, where):
        """Check the attributes of an ensemble and give them to a new one."""
        sequence(anything)(state.get("estimators_"), f"{where}: estimators_", {})
        integer(1)(state.get("n_features_in_"), f"{where}: n_features_in_", {})
        sizes = {"members": len(state["estimators_"]), "features": state["n_features_in_"], "method": method}
        sizes["classes"] = len(state["classes_"]) if isinstance(state.get("classes_"), np.ndarray) else 0
        check(state, where, sizes)
        found = [name for name in _DYNAMIC if name in state]
        if found and len(found) < len(_DYNAMIC):
            raise ModelFormatError(f"{where} has {found[0]}, but not all of {', '.join(_DYNAMIC)}.")
        if found and not 1 <= len(state["weight_history_"]) == len(state["history_steps_"]):
            raise ModelFormatError(f"{where}: weight_history_ and history_steps_ have different lengths, or no entry.")
        if not state["weights_"].any():
            refuse(f"{where}: weights_", state["weights_"], "a weight above 0")
        made.__dict__.update(state)

    return give


ENSEMBLE_OF_REGRESSORS = _ensemble_state({"n_outputs_": integer(1), "_target_axes": _shape}, "predict")
ENSEMBLE_OF_CLASSIFIERS = _ensemble_state({"classes_": _classes}, "predict_proba", {"calibration_": _calibration})
