"""The ridge regression that is printed beside every forecast, and the fit of a network to the same samples."""

import numpy as np
from sklearn.linear_model import Ridge

PENALTIES = 10.0 ** np.arange(0, 7)


def ridge_predictions(problem, length, relative, decay=None, apart=()):
    """Predict with a ridge regression on the network's windows; its penalty is the best one on the validation part.

    With `relative`, windows and targets are taken relative to the window's last row, and there is no intercept; else
    columns are standardised. Without a validation part, the last tenth of the training samples choose the penalty.

    A window `decay` rows before the last one of its series counts 1 / e times as much in training. The groups in
    `apart` have a regression of their own.
    """
    if not apart:
        return one_ridge(problem, length, relative, decay)
    own = np.isin(problem.evaluation.groups[problem.evaluation.rows], apart)
    answer = np.empty((len(own), problem.train.y.shape[1]))
    for rows, which in ((own, True), (~own, False)):
        if rows.any():
            answer[rows] = one_ridge(problem.of_groups(apart, which), length, relative, decay)
    return answer


def one_ridge(problem, length, relative, decay):
    """Predict with one ridge regression for all groups."""
    A, last = problem.train.windows(length, relative)
    y = problem.train.targets - last * relative
    weights = None if decay is None else np.exp(-problem.train.age / decay)
    mean = np.average(A, axis=0, weights=weights)
    scale = 1.0 if relative else np.maximum(np.sqrt(np.average((A - mean) ** 2, axis=0, weights=weights)), 1e-12)
    mean = 0.0 if relative else np.average(y, axis=0, weights=weights)
    A /= scale
    if problem.validation is None:
        order = np.argsort(np.arange(len(A)) % 10 == 0, kind="stable")
        cut = len(A) - len(A) // 10
        fit, choose = order[:cut], (A[order[cut:]], y[order[cut:]])
    else:
        B, end = problem.validation.windows(length, relative)
        fit, choose = slice(None), (B / scale, problem.validation.targets - end * relative)
    counts = None if weights is None else weights[fit] / weights.mean()
    errors = []
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, fit_intercept=False).fit(A[fit], y[fit] - mean, counts)
        errors.append(np.mean((model.predict(choose[0]).reshape(choose[1].shape) + mean - choose[1]) ** 2))
    counts = None if weights is None else weights / weights.mean()
    model = Ridge(alpha=PENALTIES[np.argmin(errors)], fit_intercept=False).fit(A, y - mean, counts)
    B, end = problem.evaluation.windows(length, relative)
    return model.predict(B / scale).reshape(len(B), -1) + mean + end * relative


def network_predictions(model, problem):
    """Fit a network to the training part and predict the rows of the evaluation part that count."""
    train, held_out = problem.train, {}
    if problem.validation is not None:
        part = problem.validation
        held_out = {"X_val": part.X, "y_val": part.y, "sample_weight_val": part.weights, "groups_val": part.groups}
    model.fit(train.X, train.y, sample_weight=train.weights, groups=train.groups, **held_out)
    part = problem.evaluation
    return model.predict(part.X, groups=part.groups)[part.rows]
