"""The metrics of `evaluate`, by name."""

import numpy as np

from sklstm.cli.errors import ModelError, UsageError, nearest

#: Of numbers: functions of scikit-learn that take y, predictions and weights.
OF_NUMBERS = (
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "median_absolute_error",
    "mean_absolute_percentage_error",
    "r2_score",
    "explained_variance_score",
    "max_error",
    "mean_error",
)
#: Of quantiles: the mean pinball loss, and for each level the share of targets that are not above it.
OF_QUANTILES = ("mean_pinball_loss", "coverage")
#: Of labels, and of their probabilities.
OF_LABELS = ("accuracy_score", "balanced_accuracy_score", "f1_macro", "matthews_corrcoef")
OF_PROBABILITIES = ("log_loss", "roc_auc_score")
#: Those that there are for a matrix of labels.
OF_MATRICES = ("accuracy_score", "f1_macro", "roc_auc_score")
DEFAULTS = {
    "numbers": ("mean_absolute_error", "root_mean_squared_error", "r2_score"),
    "quantiles": OF_QUANTILES,
    "labels": ("accuracy_score", "balanced_accuracy_score", "log_loss"),
}


def choose(model, asked):
    """Return the names of the metrics, and the methods of the model whose answers they need.

    Parameters
    ----------
    model : estimator
        Fitted.
    asked : list of str or None
        None for the usual ones.
    """
    if hasattr(model, "classes_"):
        known = {**dict.fromkeys(OF_LABELS, "predict"), **dict.fromkeys(OF_PROBABILITIES, "predict_proba")}
        usual = DEFAULTS["labels"]
        if np.ndim(model.classes_) == 2:
            known, usual = {name: known[name] for name in OF_MATRICES}, OF_MATRICES
        usual = [name for name in usual if hasattr(model, known[name])]
    else:
        known, usual = dict.fromkeys(OF_NUMBERS, "predict"), list(DEFAULTS["numbers"])
        if hasattr(model, "predict_quantiles"):
            known |= dict.fromkeys(OF_QUANTILES, "predict_quantiles")
            usual += DEFAULTS["quantiles"]
    for name in asked or ():
        if name not in known:
            raise UsageError(
                f"--metrics: {name!r} is none of {', '.join(known)} for a {type(model).__name__}{nearest(name, known)}"
            )
    names = list(dict.fromkeys(asked or usual))
    for name in names:
        if not hasattr(model, known[name]):
            raise ModelError(f"{name} needs {known[name]}, which the model, a {type(model).__name__}, does not have.")
    return names, list(dict.fromkeys(known[name] for name in names))


def compute(name, y, answers, levels, labels, weights):
    """Return a metric, a number or a dict of numbers.

    Parameters
    ----------
    name : str
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
    answers : dict of str to ndarray
        Of the methods.
    levels : list of float
        Of quantiles.
    labels : ndarray or None
        Of classes.
    weights : ndarray of shape (n_rows,) or None
    """
    from sklearn import metrics

    if name == "mean_error":
        return float(np.average(np.mean(answers["predict"] - y, axis=tuple(range(1, y.ndim))), weights=weights))
    if name == "max_error":
        return float(np.max(np.abs(answers["predict"] - y)))
    if name in ("mean_pinball_loss", "coverage"):
        return _of_quantiles(name, y, answers["predict_quantiles"], levels, weights)
    if name == "f1_macro":
        return float(metrics.f1_score(y, answers["predict"], average="macro", sample_weight=weights))
    if name == "log_loss":
        return float(metrics.log_loss(y, answers["predict_proba"], labels=labels, sample_weight=weights))
    if name == "roc_auc_score":
        probabilities = answers["predict_proba"]
        if np.ndim(labels) == 2:
            return float(metrics.roc_auc_score(y, probabilities, sample_weight=weights))
        if len(labels) == 2:
            return float(metrics.roc_auc_score(y == labels[1], probabilities[:, 1], sample_weight=weights))
        more = {"multi_class": "ovr", "labels": labels, "sample_weight": weights}
        return float(metrics.roc_auc_score(y, probabilities, **more))
    return float(getattr(metrics, name)(y, answers["predict"], sample_weight=weights))


def _of_quantiles(name, y, quantiles, levels, weights):
    """Return a metric for each level."""
    found = {}
    for k, level in enumerate(levels):
        over = y - quantiles[..., k]
        values = np.maximum(level * over, (level - 1) * over) if name == "mean_pinball_loss" else over <= 0
        values = values.reshape(len(values), -1).mean(axis=1)
        found[f"{level:g}"] = float(np.average(values, weights=weights))
    return found
