"""Members whose answers show what they were given."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


class Log(list):
    """A list that clones of an estimator share: `clone` copies parameters deeply."""

    def __deepcopy__(self, memo):
        return self


class Column(RegressorMixin, BaseEstimator):
    """Predicts a column of X (several columns for several outputs) plus a constant."""

    def __init__(self, column=0, shift=0.0):
        self.column = column
        self.shift = shift

    def fit(self, X, y, sample_weight=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.asarray(X)[:, self.column] + self.shift


class LastTrainingRow(RegressorMixin, BaseEstimator):
    """Predicts for each row the last training row of its group.

    Column 0 of X holds the number of the row, column 1 the number of its group.
    """

    def fit(self, X, y):
        self.last_ = {group: X[X[:, 1] == group, 0].max() for group in np.unique(X[:, 1])}
        return self

    def predict(self, X):
        return np.array([self.last_.get(group, -1.0) for group in X[:, 1]])


class LastAskedRow(Column):
    """Predicts for all rows the last row that this call of predict was given."""

    def predict(self, X):
        return np.full(len(X), np.asarray(X)[:, 0].max())


class MeanOfThree(Column):
    """Predicts the mean of column 0 over the last three rows; knows only the rows of the call."""

    def predict(self, X):
        values = np.asarray(X)[:, 0]
        return np.array([values[max(0, i - 2) : i + 1].mean() for i in range(len(values))])


class MeanOfSequence(RegressorMixin, BaseEstimator):
    """Predicts the mean of each sequence."""

    def fit(self, X, y):
        self.kind_ = type(X)
        return self

    def predict(self, X):
        return np.array([np.mean(sequence) for sequence in X])


class Wants(RegressorMixin, BaseEstimator):
    """Accepts all the metadata there is, and writes down what came."""

    def __init__(self, log=None):
        self.log = log

    def fit(self, X, y, sample_weight=None, groups=None, extra=None):
        self.log.append(("fit", len(X), {"sample_weight": sample_weight, "groups": groups, "extra": extra}))
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X, groups=None, context=None):
        self.log.append(("predict", len(X), {"groups": groups, "context": context}))
        return np.zeros(len(X))


class Frequencies(ClassifierMixin, BaseEstimator):
    """Gives each row the frequencies of the classes; takes no metadata at predict."""

    def __init__(self, log=None):
        self.log = log

    def fit(self, X, y, sample_weight=None, groups=None):
        if self.log is not None:
            self.log.append(("fit", len(X), {"sample_weight": sample_weight, "groups": groups}))
        self.classes_, counts = np.unique(y, return_counts=True)
        self.frequencies_ = counts / counts.sum()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self.frequencies_.argmax()])

    def predict_proba(self, X):
        return np.tile(self.frequencies_, (len(X), 1))


class Known(Frequencies):
    """Knows a label for each sequence by its first number, and is certain of the sequences it was fitted on."""

    def __init__(self, numbers=(), labels=()):
        self.numbers = numbers
        self.labels = labels

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = [sequence[0, 0] for sequence in X]
        return self

    def predict_proba(self, X):
        asked = np.array([sequence[0, 0] for sequence in X])
        labels = np.asarray(self.labels)[[list(self.numbers).index(number) for number in asked]]
        certain = (labels[:, None] == self.classes_).astype(float)
        return np.where(np.isin(asked, self.seen_)[:, None], certain, 0.97 * certain + 0.01)


class FixedProbabilities(Frequencies):
    """Gives each row the same probabilities, whatever it was fitted on."""

    def __init__(self, probabilities=(0.5, 0.5)):
        self.probabilities = probabilities

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.frequencies_ = np.asarray(self.probabilities)
        return self


class Returns(RegressorMixin, BaseEstimator):
    """Predicts whatever `answer` makes of X."""

    def __init__(self, answer=None):
        self.answer = answer

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.answer(X)


class ReturnsProbabilities(Frequencies):
    """Gives as probabilities whatever `answer` makes of X, for the classes that it says."""

    def __init__(self, answer=None, classes=(0, 1)):
        self.answer = answer
        self.classes = classes

    def fit(self, X, y):
        self.classes_ = np.asarray(self.classes)
        return self

    def predict_proba(self, X):
        return self.answer(X)


class Breaks(Column):
    """Fails in fit when it is given more than `limit` rows."""

    def __init__(self, limit=0):
        self.limit = limit

    def fit(self, X, y):
        if len(X) > self.limit:
            raise RuntimeError("no luck")
        return self

    def predict(self, X):
        return np.zeros(len(X))


class FailsOn(Column):
    """Predicts a column of X; raises where a word is among its troubles, or answers NaN if that is its way."""

    def __init__(self, column=0, shift=0.0, troubles=(), answers_nan=False):
        super().__init__(column, shift)
        self.troubles = troubles
        self.answers_nan = answers_nan

    def fit(self, X, y):
        if "fit" in self.troubles or f"fit of {len(X)}" in self.troubles:
            raise RuntimeError("no luck")
        self.fitted_ = True
        return self

    def predict(self, X):
        if "predict" in self.troubles:
            if self.answers_nan:
                return np.where(np.arange(len(X)) == 1, np.nan, 0.0)
            raise RuntimeError("no answer")
        return super().predict(X)
