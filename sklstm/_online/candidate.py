"""A model with its stream: what predicts the rows, and learns from their truths."""

import numpy as np

from sklstm._online.updates import update
from sklstm._stream import Stream


class LabelStream(Stream):
    """A stream of a classifier whose steps return a label and the probabilities behind it."""

    def _bind(self, *bound):
        super()._bind(*bound)
        targets = self._model._targets()
        self._decode_one = None
        self._decode = lambda z: [(targets.decode(z, "predict")[0], targets.decode(z, "predict_proba")[0])]


class Candidate:
    """A fitted model that predicts rows one by one.

    Parameters
    ----------
    model : estimator
        Fitted; it is not changed.
    """

    def __init__(self, model):
        self.model = model
        self.is_classifier = hasattr(model, "classes_")
        self.stream = self._open()

    def _open(self):
        none = np.empty((0, self.model.n_features_in_))
        if self.is_classifier:
            return LabelStream(self.model, context=none, response_method="predict_proba")
        return Stream(self.model, context=none)

    @property
    def reach(self):
        """Number of rows before one that its prediction, or its training, is computed from."""
        model = self.model
        return int(model.bptt_steps if model.training == "stateful" else model.sequence_length - 1)

    def follow(self, rows):
        """Begin behind some rows."""
        self.stream._follow([rows] if len(rows) else None)

    def step(self, x):
        """Take the next row; return the prediction, and the numbers that its loss is computed from."""
        answer = self.stream.step(x)
        if self.is_classifier:
            return answer
        return answer, answer.ravel() if isinstance(answer, np.ndarray) else answer

    def learnt(self, table, rows, y):
        """Return what becomes of it in one epoch on some rows of a table, see `update`; its stream goes on."""
        made = type(self)(update(self.model, table, rows, y))
        made.stream.state = self.stream.state
        return made

    @property
    def state(self):
        """Model and stream."""
        return {"model": self.model, "stream": self.stream.state}

    @classmethod
    def from_state(cls, state):
        """Return what a state was taken of."""
        made = cls(state["model"])
        made.stream.state = state["stream"]
        return made
