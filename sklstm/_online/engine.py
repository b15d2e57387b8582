"""What an online learner does with each row and each truth, and the state from which it goes on with the same bits.

Everything is a function of the state and the calls alone: no clock, and no process that is faster or slower, changes
what is predicted. So the journal of the calls since a checkpoint, applied again, gives the same bits.
"""

import copy
from dataclasses import dataclass
from math import isfinite
from time import perf_counter

import numpy as np

from sklstm._online import work
from sklstm._online.admission import read_row, row_of
from sklstm._online.buffer import BY_CHALLENGER, HAS_TRUTH, IS_FRESH, IS_WAITING, RowBuffer
from sklstm._online.candidate import Candidate
from sklstm._online.drift import DriftWatch
from sklstm._online.engine_state import buffer_from, restore, state_of
from sklstm._online.history import History
from sklstm._online.metrics import Metrics
from sklstm._online.records import ROW, ROW_WITH_TRUTH, TRUTH, read_record, row_record, truth_record
from sklstm._online.rollback import Mark
from sklstm._online.rows import RowReader, hash_of
from sklstm._online.truths import truths_from, truths_of
from sklstm._online.waiting import Waiting

# How many truths the running mean of the loss looks back on.
LOSS_SPAN = 100


@dataclass(frozen=True)
class Config:
    """The settings of a learner, see `OnlineLearner`; numbers of rows, or None."""

    buffer_size: int
    update_every: int | None
    replay: int
    refit: str | None
    refit_every: int | None
    refit_delay: int
    refit_rows: int | None
    drift_rows: int | None
    checkpoint_every: int
    sync_every: int | None
    holds: bool
    seed: int


class Engine:
    """The state of a learner.

    Parameters
    ----------
    config : Config
    template : estimator
        What refits are clones of.
    champion : Candidate
        The model that predicts.
    truths : Numbers or Labels
    buffer : RowBuffer
    detector, rollout : object or None
        As they are when they begin; copies are used.
    """

    def __init__(self, config, template, champion, truths, buffer, names, detector, rollout):
        self.config, self.template, self.names = config, template, names
        self.challenger, self.truths, self.buffer = None, truths, buffer
        self.detector, self.rollout_template, self.rollout = detector, rollout, None
        self.new_watch()
        self.waiting, self.history, self.metrics = Waiting(), History(), Metrics()
        self.n_calls = self.n_truths = self.n_updates = self.n_refits = self.n_drifts = 0
        self.version = 1
        self.last_time = self.last_row = None
        self.loss_now = self.loss_at_training = self.challenger_loss = float("nan")
        # A running refit, the truths at which it takes over, and the row behind those that it is fitted on.
        self.refit = self.refit_at = self.refit_behind = self.wanted = None
        self.drift_refits = ()  # the truths at which refits after drift are due
        self.folder = self.versions = self.parameters = None
        self.n_checked = 0  # calls at the last checkpoint
        self.due, self.notes = [], []
        self.set_champion(champion)

    def set_champion(self, candidate):
        """Let another model predict."""
        self.champion = candidate
        self.reader = RowReader(candidate.first_model, candidate.stream._network, self.names, self.config.holds)

    def new_watch(self):
        """Begin to watch the losses anew."""
        self.watch = None if self.detector is None else DriftWatch(copy.deepcopy(self.detector))

    @classmethod
    def begin(cls, config, template, model, X, y, is_known, keys, names, detector, rollout):
        """Begin with a fitted model behind the rows that it was fitted on.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
        y : array-like of shape (n_rows, ...)
            As the model takes it.
        is_known : ndarray of bool of shape (n_rows,)
            Which truths are known.
        keys : list
            Of the rows, None for no key.
        """
        truths, champion = truths_of(model, y), Candidate(model)
        buffer = RowBuffer(config.buffer_size, X.shape[1], truths.n_targets, truths.n_answers)
        read = np.full((len(X), truths.n_targets), np.nan)
        read[is_known] = truths.read_all(y[is_known])
        buffer.extend(X, read, is_known, np.array([hash_of(key) for key in keys], np.uint64))
        made = cls(config, template, champion, truths, buffer, names, detector, rollout)
        for number in range(buffer.first, buffer.n_seen):
            if not is_known[number]:
                made.waiting.add(number, keys[number])
        made.n_truths = int(is_known.sum())
        made.last_row = X[-1].copy() if config.holds and len(X) else None
        work.follow(made, champion)
        made.history.append("fit", buffer.n_seen, n=int(is_known.sum()))
        made.loss_at_training = work.training_loss(made, model)
        return made

    # Calls

    def predict(self, x, key=None, time=None):
        """Take the next row; return what `Candidate.step` does, of the model that the row is for."""
        self.finish_due()
        begin = perf_counter()
        x, key, time, n_held = read_row(self, x, key, time)
        record = None if self.folder is None else row_record(x, key, time, n_held)
        shown = self._act(record, self._take, x, key, time, n_held)
        self.metrics.count("predictions")
        self.metrics.observe("step", perf_counter() - begin)
        if self.folder is not None and self.n_calls - self.n_checked >= 4 * self.config.checkpoint_every:
            self.due.append(work.checkpoint)  # where truths do not come
            self.finish_due()
        return shown

    def learn(self, x, y, key=None, time=None):
        """Take the truth of a row that waits, or a row with its truth."""
        self.finish_due()
        begin = perf_counter()
        truth = self.truths.read(y)
        number = row_of(self, x, key)
        if number is None:
            x, key, time, n_held = read_row(self, x, None, time)
            record = None if self.folder is None else row_record(x, key, time, n_held, truth)
            self._act(record, self._take_with_truth, x, key, time, n_held, truth)
        else:
            record = None if self.folder is None else truth_record(number, truth)
            self._act(record, self._learn, number=number, truth=truth)
        self.metrics.observe("learn", perf_counter() - begin)
        self.finish_due()

    def _act(self, record, act, *arguments, **named):
        """Write a record, and then do what it says; what cannot be done, or is interrupted, leaves all as it was."""
        self.buffer.make_room()
        mark = Mark(self, named.get("number"))
        try:
            if record is not None:
                self.folder.append(record)
            result = act(*arguments, **named)
            self.n_calls += 1
            return result
        except BaseException:
            mark.go_back()
            raise

    def apply(self, record):
        """Do again what a record of the journal says."""
        kind, read = read_record(record, self.buffer.X.shape[1])
        self._act(None, {ROW: self._take, ROW_WITH_TRUTH: self._take_with_truth, TRUTH: self._learn}[kind], **read)
        self.finish_due()

    def pending(self):
        """Return key and prediction of each row that waits."""
        buffer, found = self.buffer, []
        for key, number in self.waiting.items():
            slot = buffer.slot(number)
            by_challenger = buffer.flags[slot] & BY_CHALLENGER
            found.append((key, self.truths.shown((buffer.others if by_challenger else buffer.answers)[slot])))
        return found

    def newest_rows(self, n):
        """Return the last n rows."""
        return self.buffer.X[self.buffer.rows(max(self.buffer.first, self.buffer.n_seen - n))].copy()

    def close(self):
        """Write a last checkpoint and give the folder back."""
        self.finish_due()
        if self.refit is not None:
            self.refit.stop()
        if self.folder is not None:
            work.checkpoint(self)
            self.folder.close()

    # What a call does

    def _take(self, x, key, time, n_held):
        shown, numbers = self.champion.step(x)
        other = work.shadow_step(self, x) if self.challenger is not None else None
        buffer = self.buffer
        number = buffer.n_seen
        if number >= buffer.capacity:
            oldest = buffer.first
            if buffer.flags[buffer.slot(oldest)] & IS_WAITING:
                self.waiting.remove(oldest)
                self.metrics.count("truths_missed")
        slot = buffer.append(x, hash_of(key))
        buffer.answers[slot] = numbers
        flags = IS_WAITING
        if other is not None:
            buffer.others[slot] = other[1]
            if self.rollout is not None and self.rollout.takes(number if key is None else key):
                shown, numbers = other
                flags = IS_WAITING | BY_CHALLENGER
        buffer.flags[slot] = flags
        self.waiting.add(number, key)
        if self.config.holds:
            self.last_row = x.copy()
        if time is not None:
            self.last_time = time
        if n_held:
            self.metrics.count("held", n_held)
        self.metrics.count("rows")
        return shown, numbers

    def _take_with_truth(self, x, key, time, n_held, truth):
        self._take(x, key, time, n_held)
        self._learn(self.buffer.n_seen - 1, truth)

    def _learn(self, number, truth):
        buffer, config = self.buffer, self.config
        slot = buffer.slot(number)
        flags = int(buffer.flags[slot])
        buffer.y[slot] = truth
        buffer.flags[slot] = (flags & ~IS_WAITING) | HAS_TRUTH | IS_FRESH
        self.waiting.remove(number)
        self.truths.follow(truth)
        self.n_truths += 1
        loss = self.truths.loss(buffer.answers[slot], truth)
        other = self.truths.loss(buffer.others[slot], truth) if self.challenger is not None else float("nan")
        served = other if flags & BY_CHALLENGER and isfinite(other) else loss
        if isfinite(served):
            step = 1.0 / min(self.n_truths, LOSS_SPAN)
            self.history.observe(number, served)
            self.loss_now = (
                served if self.loss_now != self.loss_now else self.loss_now + (served - self.loss_now) * step
            )
        if config.update_every is not None and self.n_truths % config.update_every == 0:
            self.due.append(work.train)
        if self.watch is not None and isfinite(loss):
            self._watch(loss)
        if self.drift_refits and self.n_truths >= self.drift_refits[0]:
            self.wanted = "drift"
            self.drift_refits = tuple(due for due in self.drift_refits if due > self.n_truths)
        if config.refit is not None and config.refit_every is not None and self.n_truths % config.refit_every == 0:
            self.wanted = self.wanted or "refit_every"
        if self.challenger is not None and isfinite(loss) and isfinite(other):
            work.compare(self, loss, other)
        if self.refit is not None and self.n_truths >= self.refit_at:
            self.due.append(work.take_over)
        if self.wanted and self.refit is None and self.challenger is None:
            self.due.append(work.start_refit)
        if self.folder is not None and self.n_calls + 1 - self.n_checked >= config.checkpoint_every:
            self.due.append(work.checkpoint)
        self.metrics.count("truths")

    def _watch(self, loss):
        begin = perf_counter()
        try:
            is_drift = self.watch.update(loss)
        except Exception as error:  # of a detector of any kind: the truth was taken, and would be again after a crash
            self.watch, is_drift = None, False
            self.history.append("detector_failed", self.buffer.n_seen)
            why = f"{type(error).__name__}: {error}"
            self.notes.append(f"the detector failed, and nothing looks for drift until the next model: {why}")
        if is_drift:
            self.n_drifts += 1
            self.metrics.count("drifts")
            self.history.append("drift", self.buffer.n_seen, loss=self.loss_now)
            if self.config.refit is not None:
                self._plan_refits()
        self.metrics.observe("drift_check", perf_counter() - begin)

    def _plan_refits(self):
        """Plan the refits of an alarm, which comes early: for when half of their rows came after it, and all of them.

        The next refit of an alarm before is not put off, so that one alarm after the other does not keep the old model.
        """
        n_rows = self.config.drift_rows
        if n_rows is None:
            self.wanted = "drift"
            return
        n_rows = min(n_rows, self.config.buffer_size)
        self.drift_refits = (*self.drift_refits[:1], self.n_truths + (n_rows + 1) // 2, self.n_truths + n_rows)

    def keep_version(self, kind):
        """Write the champion as a numbered version."""
        work.keep_version(self, kind)

    def finish_due(self):
        """Do what the last call has left to do: what was interrupted is done before the next call."""
        while self.due:
            mark = Mark(self)
            try:
                self.due[0](self)
                self.due.pop(0)
            except BaseException:
                mark.go_back()
                raise

    # State

    @property
    def state(self):
        """The state as nested dicts of arrays, numbers, texts and estimators."""
        return state_of(self)

    @classmethod
    def from_state(cls, state, detector, rollout, *, trust):
        """Return what a state was taken of; `detector` and `rollout` are those of the learner.

        With `trust`, the state of a detector of another package is unpickled.
        """
        config = Config(**state["config"])
        buffer = buffer_from(state["buffer"], config.buffer_size)
        champion, truths = Candidate.from_state(state["champion"]), truths_from(state["truths"])
        made = cls(config, state["template"], champion, truths, buffer, state["names"], detector, rollout)
        restore(made, state, detector, rollout, trust)
        return made
