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
        # In stateful training, the row behind the last one that was learnt, and the states before it.
        self._carried = None
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

    def learnt(self, table, rows, y, number=0, update_number=None):
        """Return what becomes of it in one epoch on some rows of a table, see `update`; its stream goes on.

        `number` is that of the first row of the table, since the beginning of the stream. In stateful training the
        states behind the last row that was learnt are carried to the rows that follow it, and the rows before those are
        not read again. Returned is the candidate itself, or another one; an error leaves it as it was. A call with the
        `update_number` of the last one, which was interrupted, makes what is left to do.
        """
        if self._session is None and is_plain(self._model):
            self._session = Session(self._model)
        if self._session is not None:
            begin, states = self._carried_to(rows, number)
            try:
                states = self._session.update(table[begin:], rows[begin:], y[begin:], states, update_number)
            except NeedsUpdate:
                pass
            else:
                self._carried = None if states is None else (int(number) + len(table), states)
                self._take_parameters()
                return self
        made = type(self)(update(self.model, table, rows, y))
        made.stream.state = self.stream.state
        return made

    def rows_before(self, number):
        """Return how many rows before the one of this number `has_learnt_row` reads; None where it does not learn it.

        In stateful training it has to follow the last one that was learnt.
        """
        if self._session is None or self._model.training != "stateful":
            return None if self._session is None else self.reach
        return 0 if self._carried is not None and self._carried[0] == number else None

    def has_learnt_row(self, table, y, number, update_number):
        """Learn the last row of a table, that of this number, as `learnt` does; return whether it is done.

        False, with nothing changed, where `learnt` has to do it. `y` is the truth of this row.
        """
        is_stateful = self._model.training == "stateful"
        if not self._session.has_made_row(table, y, self._carried[1] if is_stateful else None, update_number):
            return False
        if is_stateful:
            self._carried = number + 1, self._session.last_states
        self._take_parameters()
        return True

    def _carried_to(self, rows, number):
        """Return the row of a table that training begins with, and the states before it, None for zeros."""
        if self._carried is None:
            return 0, None
        behind, states = self._carried
        first = int(rows.argmax())  # that is learnt
        return (behind - number, states) if 0 <= behind - number <= first else (0, None)

    def _take_parameters(self):
        """Give the stream the parameters of the session; what it keeps of its rows is computed anew."""
        # They share one array: the next update writes to another.
        self.stream._network.use(self._session.network.weights)
        self.stream._numbers.weights_changed()

    @property
    def state(self):
        """Model, stream and what is carried from update to update."""
        behind, states = self._carried or (None, None)
        return {"model": self.model, "stream": self.stream.state, "behind": behind, "carried": states}

    @classmethod
    def from_state(cls, state):
        """Return what a state was taken of."""
        made = cls(state["model"])
        made.stream.state = state["stream"]
        if state.get("carried") is not None:
            made._carried = int(state["behind"]), state["carried"]
        return made
