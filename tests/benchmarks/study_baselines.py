"""Simple models that the study prints beside the networks. They see the same columns and the same window."""

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ALPHAS = 10.0 ** np.arange(0, 6)


def loss(task, y, predicted):
    """Return the share of wrong labels, or the root of the mean squared error over all outputs."""
    if task.classify:
        return float(np.mean(predicted != y))
    return float(np.sqrt(np.mean((predicted - y) ** 2)))


def trivial(task, fit, rows):
    """Predict the most frequent label, the level that the task names, or the mean."""
    y = task.y[fit]
    if task.classify:
        labels, counts = np.unique(y, return_counts=True)
        return np.full(len(rows), labels[counts.argmax()])
    level = y.mean(axis=0) if task.level is None else np.zeros(y.shape[1:])
    return np.broadcast_to(level, (len(rows), *y.shape[1:]))


def flat(task):
    """Return one row of columns per sample: its window, or its sequence at equally many points."""
    if task.is_table:
        rows = np.arange(len(task.X))
        groups = np.zeros(len(rows)) if task.groups is None else task.groups
        first = np.flatnonzero(np.diff(groups, prepend=np.nan))[groups.astype(int)]
        back = np.arange(task.sequence_length)
        # Rows before the first one are replaced by it.
        return task.X[np.maximum(first[:, None], rows[:, None] - back)].reshape(len(rows), -1)
    if isinstance(task.X, np.ndarray):
        return task.X.reshape(len(task.X), -1)
    points = np.linspace(0, 1, 15)
    return np.array([np.concatenate([np.interp(points, np.linspace(0, 1, len(s)), c) for c in s.T]) for s in task.X])


def _ridge(X, y):
    """Fit a ridge regression whose penalty is chosen on the last fifth of the rows."""
    cut = len(X) * 4 // 5
    errors = []
    for alpha in ALPHAS:
        model = Ridge(alpha).fit(X[:cut], y[:cut])
        errors.append(np.mean((model.predict(X[cut:]) - y[cut:]) ** 2))
    return Ridge(ALPHAS[np.argmin(errors)]).fit(X, y)


class RidgeOnWindow:
    """`_ridge` behind a scaler, with the methods of an estimator that are needed here."""

    def fit(self, X, y):
        """Fit scaler and ridge."""
        self._scaler = StandardScaler().fit(X)
        self._model = _ridge(self._scaler.transform(X), y)
        return self

    def predict(self, X):
        """Predict."""
        return self._model.predict(self._scaler.transform(X))


def models(task):
    """Return the simple models of a task by name."""
    found = {}
    if task.classify:
        found["ridge"] = make_pipeline(StandardScaler(), RidgeClassifierCV(ALPHAS))
        if task.is_table:
            found["logistic"] = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        if not task.is_table or task.sequence_length == 1:
            found["1NN"] = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
        return found
    found["ridge"] = RidgeOnWindow()
    if task.sequence_length == 1:
        found["5NN"] = make_pipeline(StandardScaler(), KNeighborsRegressor(5))
    return found


def baseline_losses(task, fit, rows):
    """Return the loss of every simple model on `rows` after fitting on `fit`; "trivial" is the first."""
    y = task.y[rows]
    losses = {"trivial": loss(task, y, trivial(task, fit, rows))}
    if task.lag_of_label:
        losses["last label"] = loss(task, y, task.y[rows - 1])
    X = flat(task)
    for name, model in models(task).items():
        losses[name] = loss(task, y, model.fit(X[fit], task.y[fit]).predict(X[rows]))
    return losses
