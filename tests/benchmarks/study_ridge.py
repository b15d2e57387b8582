"""The ridge regression that is printed beside every forecast, and the fit of a network to the same samples."""

import numpy as np
from sklearn.linear_model import Ridge

PENALTIES = 10.0 ** np.arange(0, 7)


def ridge_predictions(problem, length, relative):
    """Predict with a ridge regression on the network's windows; its penalty is the best one on the validation part.

    With `relative`, windows and targets are taken relative to the window's last row, and there is no intercept; else
    columns are standardised. Without a validation part, the last tenth of the training samples choose the penalty.
    """
    A, last = problem.train.windows(length, relative)
    y = problem.train.targets - last * relative
    scale = 1.0 if relative else np.maximum(A.std(axis=0), 1e-12)
    mean = 0.0 if relative else y.mean(axis=0)
    A /= scale
    if problem.validation is None:
        order = np.argsort(np.arange(len(A)) % 10 == 0, kind="stable")
        cut = len(A) - len(A) // 10
        fit, choose = (A[order[:cut]], y[order[:cut]]), (A[order[cut:]], y[order[cut:]])
    else:
        B, end = problem.validation.windows(length, relative)
        fit, choose = (A, y), (B / scale, problem.validation.targets - end * relative)
    errors = []
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, fit_intercept=False).fit(fit[0], fit[1] - mean)
        errors.append(np.mean((model.predict(choose[0]).reshape(choose[1].shape) + mean - choose[1]) ** 2))
    model = Ridge(alpha=PENALTIES[np.argmin(errors)], fit_intercept=False).fit(A, y - mean)
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
