"""The callback `LearningCurve`."""

from typing import Any

import numpy as np

from sklstm._callbacks.epochs import EpochCallback, place_of
from sklstm._callbacks.records import EpochRecord
from sklstm._typing import Array

CURVES = ("loss", "gradient_norm", "validation_loss", "validation_score", "learning_rate", "seconds")


class LearningCurve(EpochCallback):
    """Keeps what every epoch has given, of all fits that it sees, as arrays and as a DataFrame.

    A fitted estimator has the curves of its own training (`loss_curve_`). This callback keeps those of a fit that
    fails, of each fold of a search, and of all calls of `partial_fit`, one behind the other.

    Attributes
    ----------
    curves : list of dict
        One for each training of a network, in the order of their first epochs: "estimator", its name; "run", which
        counts the calls of `fit` (that of a search is one, with all its folds); "task", the place of the fit in the
        tree of tasks, the `task_id` of each from the root on; "network", that of `n_seeds`; and as arrays "epoch",
        "loss", "gradient_norm", "validation_loss" and "validation_score" (NaN without a validation part),
        "learning_rate", "seconds".

    See Also
    --------
    sklearn.callback.ScoringMonitor : Scores of the training data after each epoch.

    Notes
    -----
    From other processes (``GridSearchCV(n_jobs=2)``) epochs are sent to the object that the search began with, by the
    means of scikit-learn 1.9; with older versions they stay in those processes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.callbacks import LearningCurve
    >>> X, curve = np.random.default_rng(0).normal(size=(100, 2)), LearningCurve()
    >>> model = DeepLSTMRegressor(hidden_size=4, max_iter=3, random_state=0)
    >>> model = model.set_callbacks(curve).fit(X, X[:, 0])
    >>> curve.curves[0]["epoch"]
    array([1, 2, 3])
    >>> curve.curves[0]["loss"].tolist() == model.loss_curve_
    True
    """

    def __init__(self) -> None:
        self._log: list[tuple[Any, ...]] = []
        self._listener: Any = None
        self._is_sender = False

    def __repr__(self) -> str:
        counts = {"training": len({entry[:3] for entry in self._log}), "epoch": len(self._log)}
        return f"LearningCurve({', '.join(f'{n} {what}' + 's' * (n != 1) for what, n in counts.items())})"

    def _after_epoch(self, training: Any, record: EpochRecord) -> None:
        root = training.fit.root
        entry = (str(root.root_uuid), place_of(root), record.network, root.estimator_name, tuple(record))
        if self._is_sender:
            from sklearn.callback._transport import send

            send(self._listener, entry)
        else:
            self._log.append(entry)

    @property
    def curves(self) -> list[dict[str, Any]]:
        """The curves of each training."""
        runs: dict[str, int] = {}
        trainings: dict[tuple[Any, ...], tuple[str, list[EpochRecord]]] = {}
        for run, place, network, name, record in list(self._log):
            key = (runs.setdefault(run, len(runs)), place, network)
            trainings.setdefault(key, (name, []))[1].append(EpochRecord(*record))
        found = []
        for (number, place, network), (name, records) in trainings.items():
            curve: dict[str, Any] = {"estimator": name, "run": number, "task": place, "network": network}
            curve["epoch"] = np.array([record.number for record in records])
            curve |= {column: _array(records, column) for column in CURVES}
            found.append(curve)
        return found

    def as_frame(self) -> Any:
        """Return all epochs as a table.

        Returns
        -------
        pandas.DataFrame
            A row for each epoch, with the columns "run", "task", "estimator", "network", "epoch" and those of the
            curves.
        """
        import pandas as pd

        parts = [pd.DataFrame({**curve, "task": [curve["task"]] * len(curve["epoch"])}) for curve in self.curves]
        columns = ["run", "task", "estimator", "network", "epoch", *CURVES]
        return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)

    def __str__(self) -> str:
        """Return the curves of the last training as a table of text."""
        curves = self.curves
        if not curves:
            return "LearningCurve: no epoch yet"
        last = curves[-1]
        shown = [name for name in CURVES[:4] if not np.isnan(last[name]).all()]
        lines = [f"{'epoch':>5}" + "".join(f"{name.replace('_', ' '):>18}" for name in shown)]
        for k, epoch in enumerate(last["epoch"]):
            lines.append(f"{epoch:>5}" + "".join(f"{last[name][k]:>18.6f}" for name in shown))
        return "\n".join(lines)

    def clear(self) -> None:
        """Forget all epochs."""
        self._log.clear()

    def __getstate__(self) -> dict[str, Any]:
        if not self._is_sender and self._listener is None:
            # A copy may be on its way to another process.
            self._listener = _listen(self)
        return {"_log": list(self._log), "_listener": self._listener, "_is_sender": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._is_sender = _reaches(self._listener)
        if self._is_sender:
            self._log = []
        else:
            self._listener = None


def _array(records: list[EpochRecord], column: str) -> Array:
    values = [getattr(record, column) for record in records]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _listen(curve: LearningCurve) -> Any:
    """Return the address under which other processes reach a callback; None where there is no way."""
    try:
        from sklearn.callback._transport import open_listener

        return open_listener(curve._log.append, owner=curve)
    except (ImportError, OSError):
        return None


def _reaches(listener: Any) -> bool:
    """Return whether this is another process than that which listens, and the latter is there."""
    try:
        from sklearn.callback._transport import can_reuse_listener

        return listener is not None and bool(can_reuse_listener(listener))
    except (ImportError, OSError, EOFError):
        return False
