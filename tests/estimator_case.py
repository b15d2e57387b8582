"""Small data of every kind, and each estimator with what it learns from them."""

import copy

import numpy as np
from reference.lstm import network_forward, table_windows
from scipy.special import expit, softmax

from sklstm import DeepRNNClassifier

SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 3, "random_state": 0, "n_jobs": 1}


def parameters_equal(first, second):
    """Tell whether two fitted models have the same parameters, bit for bit."""
    assert first.parameters_.keys() == second.parameters_.keys()
    return all(np.array_equal(array, second.parameters_[name]) for name, array in first.parameters_.items())


def flat(model):
    """Return all parameters as one vector."""
    return np.concatenate([array.ravel() for array in model.parameters_.values()])


def with_parameters(model, parameters):
    """Return the fitted model with other numbers in its network."""
    model = copy.deepcopy(model)
    assert {k: v.shape for k, v in model.parameters_.items()} == {k: v.shape for k, v in parameters.items()}
    model.parameters_ = {name: np.array(parameters[name]) for name in model.parameters_}
    return model


def as_read(model, X):
    """Return a table, or each of a list of sequences, in the unit in which the network of a fitted model reads it."""
    if isinstance(X, np.ndarray):
        return (X - model.input_mean_) / model.input_scale_
    return [as_read(model, np.asarray(sequence)) for sequence in X]


class Case:
    """One estimator and data of every kind that it takes; `make()` gives a small one, not fitted."""

    def __init__(self, kind):
        rng = np.random.default_rng(7)
        self.kind = kind
        self.is_classifier = issubclass(kind, DeepRNNClassifier)
        self.X = rng.normal(size=(90, 3))
        self.y = self.target(self.X[:, 0] + np.roll(self.X[:, 1], 1))
        self.groups = np.repeat(["b", "a", "c"], [40, 3, 47])
        self.array = rng.normal(size=(24, 6, 3))
        self.array_y = self.target(self.array[:, -1, 0] + self.array[:, -2, 1])
        self.ragged = [rng.normal(size=(length, 3)) for length in rng.integers(1, 9, size=25)]
        self.ragged_y = self.target(np.array([sequence[-1, 0] for sequence in self.ragged]))

    def target(self, signal):
        """Turn a signal around zero into what the estimator learns."""
        return np.where(signal > 0, "up", "down") if self.is_classifier else 20.0 + 5.0 * signal

    def make(self, **parameters):
        # Where `window_norm` is on, the targets are taken for the future of the first column.
        column = {} if self.is_classifier else {"target_column": 0}
        return self.kind(**{**SMALL, **column, **parameters})

    def fit(self, **parameters):
        return self.make(**parameters).fit(self.X, self.y)

    def output(self, model, X, **keywords):
        """Numbers that show every change of a prediction: values, or probabilities."""
        return (model.predict_proba if self.is_classifier else model.predict)(X, **keywords)

    def methods(self, model):
        """All that predict something per row."""
        names = ["transform", "predict"] + ["predict_proba", "predict_log_proba"] * self.is_classifier
        return [getattr(model, name) for name in names]

    def by_hand(self, model, sequences):
        """`output`, from the equations and what the fitted model shows."""
        # Normalised windows have been divided by the scales already.
        read = sequences if model.window_norm else as_read(model, sequences)
        z = network_forward(model.parameters_, read).z
        if not self.is_classifier:
            values = model.target_mean_ + model.target_scale_ * z
            return values if np.ndim(model.target_mean_) else values[:, 0]
        if z.shape[1] > 1:
            return softmax(z, axis=1)
        return np.column_stack([expit(-z), expit(z)])

    def by_hand_table(self, model, X, groups=None):
        return self.by_hand(model, table_windows(X, model.sequence_length, groups))
