"""The callback `Checkpoint`."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sklstm._callbacks import checkpoint_file
from sklstm._callbacks.epochs import EpochCallback, place_of, training_of
from sklstm._callbacks.records import EpochRecord
from sklstm._version import __version__


class Checkpoint(EpochCallback):
    """Writes the state of a training to a file, from which the same `fit` goes on after a crash.

    Once the fit is complete, the file is removed. If the process ends before, the next `fit` with the same parameters
    and data goes on behind the last epoch that was written, and gives the same bits as one that was never interrupted:
    parameters, curves, best epoch. A `fit` that Ctrl-C or an error has ended goes on as well.

    Parameters
    ----------
    path : str or path-like
        The file. Where the network is fitted inside a pipeline or a search, the place of the fit is added to its name:
        ``net.npz`` becomes ``net-0-1.npz``, so that folds do not share a file.
    every : int, default=1
        Number of epochs from one writing to the next.

    Raises
    ------
    FileNotFoundError
        In `fit`, before the first epoch, if there is no folder for the file.
    ValueError
        In `fit`, if the file is of other parameters or data, or damaged, and in `partial_fit`, whose estimator holds
        all that is needed to go on.

    See Also
    --------
    sklstm.callbacks.LearningCurve : Keeps the curves.

    Notes
    -----
    The file holds the parameters, the moments of the solver, the state of learning-rate schedule, gradient clipping and
    early stopping, the best parameters so far, the curves, the seed of each network, and checksums of parameters and
    data: plain arrays and JSON, nothing that loading could run. It is replaced in one step, so that it is whole at
    every moment, and has about four times the size of the parameters (with Adam and a validation part).

    `n_jobs` and `verbose` may differ. With ``random_state=None`` the seed is that of the file. The other callbacks of
    the estimator keep nothing there: one that counts epochs begins anew.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.callbacks import Checkpoint
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.npz"
    >>> model = DeepLSTMRegressor(hidden_size=4, max_iter=4, random_state=0)
    >>> model = model.set_callbacks(Checkpoint(path, every=2)).fit(X, X[:, 0])
    >>> path.exists()
    False
    """

    def __init__(self, path: str | os.PathLike[str], *, every: int = 1) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every={every!r} must be a number of epochs, an int from 1 on.")
        self.path, self.every = Path(path), every
        self._fits: dict[Path, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, every={self.every})"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "every": self.every, "_fits": {}}

    def _setup(self, root: Any) -> None:
        if root.task_name != "fit":
            raise ValueError(
                f"Checkpoint is for fit, not for {root.task_name}: after each call the estimator itself holds all "
                "that training goes on from. Save it instead, or remove the callback by set_callbacks()."
            )
        path = self._file(root)
        if not path.parent.exists():  # told now, not after the first epochs
            raise FileNotFoundError(errno.ENOENT, "No folder for the checkpoint", str(path.parent))
        self._fits[path] = {"found": checkpoint_file.read(path), "networks": {}, "is_complete": False}

    def _teardown(self, root: Any) -> None:
        path = self._file(root)
        if self._fits.pop(path, {"is_complete": False})["is_complete"]:
            with suppress(FileNotFoundError):
                path.unlink()

    def _begin(self, training: Any) -> None:
        path = self._file(training.fit.root)
        fit = self._fits[path]
        fit["fingerprint"] = training.fit.fingerprint()
        if fit["found"] is None:
            return
        refuse_other_fit(path, fit["found"]["fingerprint"], fit["fingerprint"])
        network = fit["found"]["networks"].get(str(training.which))
        if network is not None:
            _refuse(path, network["start"] != training.start_checksum(), "a network with other parameters")
            training.seed, training.resume_from = network["seed"], network["training"]
            fit["networks"][str(training.which)] = network

    def _after_epoch(self, training: Any, record: EpochRecord) -> None:
        # Behind the last epoch comes the end of the network.
        if record.number % self.every == 0 and not record.is_last:
            self._write(training, training.state())

    def _end(self, context: Any) -> None:
        training = training_of(context)
        if training is None or training.fit.n_networks == 1:
            self._fits[self._file(context)]["is_complete"] = True
        elif training.state is not None:
            self._write(training, {**training.state(), "is_over": True})

    def _write(self, training: Any, state: dict[str, Any]) -> None:
        path = self._file(training.fit.root)
        fit = self._fits[path]
        start = training.start_checksum()
        fit["networks"][str(training.which)] = {"seed": training.seed, "start": start, "training": state}
        content = {"sklstm": __version__, "fingerprint": fit["fingerprint"], "networks": fit["networks"]}
        checkpoint_file.write(path, content)

    def _file(self, root: Any) -> Path:
        """Return the file of the fit that a context is the root of."""
        if root.parent is None:
            return self.path
        place = "-".join(str(number) for number in place_of(root))
        return self.path.with_name(f"{self.path.stem}-{place}{self.path.suffix}")


def refuse_other_fit(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise unless two fingerprints are equal."""
    differ = {name for name in wanted if found.get(name) != wanted[name]}
    _refuse(path, "estimator" in differ, f"a {found['estimator']}, not of a {wanted['estimator']}")
    before, now = found["parameters"], wanted["parameters"]
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    told = [f"{name} was {before.get(name, 'not there')} and is {now.get(name, 'not there')} now" for name in changed]
    _refuse(path, bool(changed), f"a fit with other parameters: {', '.join(told)}")
    _refuse(path, "n_networks" in differ, f"a fit of {found['n_networks']} networks, not of {wanted['n_networks']}")
    _refuse(path, "data" in differ, "a fit of other data (X, y, weights, groups or validation part)")


def _refuse(path: Path, condition: bool, what: str) -> None:
    if condition:
        raise ValueError(f"{path} is the checkpoint of {what}. Delete the file to begin anew, or give another path.")
