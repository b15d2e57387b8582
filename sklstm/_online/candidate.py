"""A model with its stream: what predicts the rows, and learns from their truths."""

import numpy as np

from sklstm._online.session import NeedsUpdate, Session, is_plain
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
        self._model, self._session = model, None
        self.is_classifier = hasattr(model, "classes_")
        self.stream = self._open()
        # The number of the update that it has learnt from.
        self.last_update = None

    @property
    def model(self):
        """The model as it is now."""
        return self._model if self._session is None else self._session.model()

    @property
    def first_model(self):
        """The model as it was at some time: names, classes and parameters of the constructor stay."""
        return self._model

    def _open(self):
        none = np.empty((0, self._model.n_features_in_))
        if self.is_classifier:
            return LabelStream(self._model, context=none, response_method="predict_proba")
        return Stream(self._model, context=none)

    @property
    def reach(self):
        """Number of rows before one that its prediction, or its training, is computed from."""
        model = self._model
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
        """Return what becomes of it in one epoch on some rows of a table, see `update`; its stream goes on.

        That is the candidate itself, or another one; an error leaves it as it was.
        """
        if self._session is None and is_plain(self._model):
            self._session = Session(self._model)
        if self._session is not None:
            try:
                self._session.update(table, rows, y)
            except NeedsUpdate:
                pass
            else:
                self._take_parameters()
                return self
        made = type(self)(update(self.model, table, rows, y))
        made.stream.state = self.stream.state
        return made

    def _take_parameters(self):
        """Give the stream the parameters of the session; what it keeps of its rows is computed anew."""
        network, rows = self.stream._network, self.stream._numbers
        state = rows.state
        if network.dtype_name == "bfloat16":  # a stream has rounded words of its own
            self._model = self._session.model()
            self.stream = self._open()
            self.stream.state = state
            return
        np.copyto(network.weights, self._session.network.weights)
        network._stack.weights_changed()
        rows.set_state(state)

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
