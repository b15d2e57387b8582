"""What a learner does behind its public methods: fits, rows before the first fit, locks, pickles."""

from __future__ import annotations

import threading
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from sklstm._online.drift import DriftWatch, PageHinkley
from sklstm._online.engine import Config, Engine
from sklstm._online.inputs import (
    check_model,
    first_model,
    held,
    read_keys,
    read_table,
    read_warm_table,
    refuse_sequences,
    rows_with_missing,
    times_of,
    unfrozen,
)
from sklstm._online.rows import read_time
from sklstm._online.runs import begin_run, refuse_run
from sklstm._online.warm_up import WarmUp, expected_of
from sklstm._pickles import VersionedPickles
from sklstm._time_order import look_at_score
from sklstm._warn import warn_user


class LearnerParts(VersionedPickles):
    """The private methods of a learner; the parameters are those of `OnlineLearner`."""

    rollout: Any

    def _lock(self) -> threading.RLock:
        lock = self.__dict__.get("_thread_lock")
        if lock is None:
            lock = self.__dict__.setdefault("_thread_lock", threading.RLock())
        return lock

    def _fitted(self, kind: type[Exception] = NotFittedError) -> Engine:
        engine = self.__dict__.get("_engine")
        if engine is None:
            self._refuse_closed()
            raise kind(f"this {type(self).__name__} is not fitted yet: call fit, or learn_one for the first rows.")
        return engine

    def _refuse_closed(self):
        """Raise if the learner was closed: what it is told would go nowhere."""
        if self.__dict__.get("_is_closed"):
            raise ValueError(
                f"this {type(self).__name__} was closed. Go on with OnlineLearner.resume(path), or begin anew with fit."
            )

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a model."""
        return self.__dict__.get("_engine") is not None

    def _predict_one(self, x, key, time, which):
        with self._lock():
            engine = self.__dict__.get("_engine")
            if engine is None:
                warm = self._warming()
                warm.predict(x, key, time)
                self._warm_up = warm
                return None
            try:
                return engine.predict(x, key, time)[which]
            finally:
                if engine.notes:
                    self._tell()

    def _ask(self, method, X, context):
        self._fitted()
        model = self.model_
        refuse_sequences(X)
        if context is None and model.carry_context:
            context = self._engine.newest_rows(model.sequence_length - 1)
        return getattr(model, method)(X, context=context)

    def _measured(self):
        engine = self._fitted()
        shares = {"share": 0.0 if engine.rollout is None else engine.rollout.share, "waiting": len(engine.waiting)}
        losses = {"loss": engine.loss_now, "loss_at_training": engine.loss_at_training, "version": engine.version}
        for name, value in {**losses, **shares}.items():
            engine.metrics.gauge(name, value)
        return engine.metrics

    def _tell(self):
        """Issue the warnings of what has been done, now that the state is whole."""
        engine = self.__dict__.get("_engine")
        while engine is not None and engine.notes:
            warn_user(engine.notes.pop(0))

    def _config(self, seed):
        names = ("buffer_size", "update_every", "replay", "refit", "refit_every", "refit_delay", "refit_rows")
        others = ("drift_rows", "checkpoint_every", "sync_every")
        settings = {name: getattr(self, name) for name in (*names, *others)}
        return Config(**settings, holds=self.on_missing == "hold", seed=seed)

    def _fit(self, X, y, classes, warm=None):
        check_model(unfrozen(self.model), self.update_every is not None, self.buffer_size, self.update_every)
        refuse_sequences(X)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        template = clone(unfrozen(self.model))
        if not isinstance(template.random_state, Integral):
            template.set_params(random_state=None)
        if self.on_missing == "hold":
            X = held(X)
        is_known = None if warm is None else warm.is_known
        model = first_model(self.model, template, X, y, is_known, classes, seed)
        table = read_table(model, X)
        keys = [None] * len(table) if warm is None else warm.keys
        is_known = np.ones(len(table), bool) if warm is None else is_known
        names = getattr(model, "feature_names_in_", None)
        names = names.tolist() if names is not None else getattr(warm, "names", None)
        engine = Engine.begin(self._config(seed), template, model, table, np.asarray(y), is_known, keys, names,
                              self._detector(), self.rollout)  # fmt: skip
        times = times_of(X)
        if times is not None:
            engine.last_time = read_time(times[-1])
        elif warm is not None:
            engine.last_time = warm.last_time
        if self.path is not None:
            begin_run(self, engine)
        self.__dict__.pop("_warm_up", None)
        self.__dict__.pop("_is_closed", None)
        self._lock()  # made here, as predictions leave the attributes alone
        self._engine = engine
        return self

    def _detector(self):
        if not isinstance(self.detector, str):
            return self.detector
        if self.detector != "page_hinkley":
            raise ValueError(f"detector={self.detector!r}, expected 'page_hinkley', None or a detector.")
        return PageHinkley()

    def _warming(self):
        """Return the rows before the first fit; what the fit would refuse whatever they are is refused at the first."""
        warm = self.__dict__.get("_warm_up")
        if warm is not None:
            return warm
        self._refuse_closed()
        self._validate_params()
        check_model(unfrozen(self.model), self.update_every is not None, self.buffer_size, self.update_every)
        unfrozen(self.model)._validate_params()
        detector = self._detector()
        if detector is not None:
            DriftWatch(detector)
        if self.path is not None:
            refuse_run(self)
        return WarmUp(is_classifier(self.model), **expected_of(unfrozen(self.model)))

    def _warm(self, x, y, key, time):
        before = self._warming()
        warm = before.copy()
        warm.learn(x, y, key, time)
        self._warm_up = warm
        n = len(warm.truths)
        if n >= self.warm_up and (not is_classifier(self.model) or warm.has_labels):
            try:
                self._validate_params()
                self._fit(*warm.samples(), None, warm)
            except BaseException:
                self._warm_up = before  # without a fit the truth was not taken
                raise

    def _warm_many(self, X, y, keys):
        """Take truths before the first fit, all of which are checked before the first is taken."""
        rows, _ = self._warm_truths(X, y, keys)
        for x, truth, key, time in rows:
            self.learn_one(x, truth, key, time=time)

    def _warm_truths(self, X, y, keys):
        """Return rows with their truths before the first fit, and what comes of them."""
        look_at_score(X, y, None, None)
        truths = list(y)
        if not is_classifier(self.model) and np.ndim(y) == 2 and np.shape(y)[1] == 1:
            truths = list(np.ravel(y))
        table, times, keys = self._warm_rows(X, keys, len(truths))
        if len(table) != len(truths):
            raise ValueError(f"X has {len(table)} rows, y {len(truths)}: expected one number.")
        rows = list(zip(table, truths, keys, times, strict=True))
        trial = self._warming().copy()
        for row in rows:
            trial.learn(*row)
        return rows, trial

    def _fit_first(self, X, y, classes):
        """Fit the rows that came before the first fit, if any, and those of a table."""
        with self._lock():
            self._refuse_closed()
            if self.__dict__.get("_warm_up") is None:
                return self._fit(X, y, classes)
            _, warm = self._warm_truths(X, y, None)
            return self._fit(*warm.samples(), classes, warm)

    def _warm_rows(self, X, keys, n_rows=0):
        """Return rows, times and keys of a table before the first fit; `n_rows` that are not there for None."""
        times = times_of(X)
        table = [None] * n_rows if X is None else read_warm_table(X)
        names = list(X.columns) if hasattr(X, "iloc") else [None]
        if all(isinstance(name, str) for name in names):
            table = [dict(zip(names, row, strict=True)) for row in table]
        return table, times or [None] * len(table), read_keys(keys, X, len(table))

    def _predict_warm(self, X, keys):
        """Take rows before the first fit, all of which are checked before the first is taken."""
        table, times, keys = self._warm_rows(X, keys)
        trial = self._warming().copy()
        for x, key, time in zip(table, keys, times, strict=True):
            trial.predict(x, key, time)
        self._warm_up = trial
        return np.full(len(table), None, object)

    def _read_rows(self, X, keys):
        """Return rows, times and keys of a table."""
        engine = self._fitted()
        if engine.config.holds:  # the rows hold by themselves: those that wait have done so before
            table = rows_with_missing(X, read_table(engine.champion.first_model, held(X, engine.last_row)))
        else:
            table = read_table(engine.champion.first_model, X)
        return table, times_of(X) or [None] * len(table), read_keys(keys, X, len(table))

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or a copy is made of: plain arrays and numbers."""
        state = super().__getstate__()
        state.pop("_thread_lock", None)
        engine = state.pop("_engine", None)
        if engine is not None:
            with self._lock():
                engine.finish_due()  # where that was interrupted
                state["_state"] = engine.state
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle or a copy: it goes on in memory."""
        state = dict(state)
        saved = state.pop("_state", None)
        super().__setstate__(state)
        if saved is not None:
            self._engine = Engine.from_state(saved, self._detector(), self.rollout, trust=True)
