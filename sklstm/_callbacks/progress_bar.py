"""The callback `ProgressBar`."""

import multiprocessing
import sys
from threading import Lock
from time import perf_counter
from typing import Any

from sklstm._callbacks.epochs import EpochCallback, place_of
from sklstm._callbacks.records import EpochRecord
from sklstm._training.progress import in_words

# Columns of a terminal from which on there is room for long bars.
WIDE = 120


class ProgressBar(EpochCallback):
    """Shows the progress of a training: epoch, loss, validation score, rows a second, and the time left.

    With the package `rich` and in a terminal (or a notebook) that is a bar for each network, elsewhere a line for each
    epoch. Bars in a narrow terminal leave out rows a second first, then the time left.

    See Also
    --------
    sklearn.callback.ProgressBar : A bar for each level of a search, without what a network knows of its epochs.
    sklstm.callbacks.LearningCurve : Keeps the numbers.

    Notes
    -----
    Rows are samples: rows of a table, or sequences. The time left is what the epochs up to `max_iter` would take;
    early stopping may end the training before. The processes of a search (``GridSearchCV(n_jobs=2)``) print lines.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.callbacks import ProgressBar
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = DeepLSTMRegressor(hidden_size=4, max_iter=2, random_state=0).set_callbacks(ProgressBar())
    >>> model = model.fit(X, X[:, 0])  # doctest: +ELLIPSIS
    DeepLSTMRegressor: epoch 1/2, loss 0.49..., ... rows/s, at most ... s left
    DeepLSTMRegressor: epoch 2/2, loss 0.48..., ... rows/s
    """

    def __init__(self) -> None:
        self._start_anew()

    def __repr__(self) -> str:
        return "ProgressBar()"

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start_anew()

    def _start_anew(self) -> None:
        # Fits at work, by their contexts, and the display that they share.
        self._lock, self._fits = Lock(), set[Any]()
        self._display: Any = None
        # Of each training its bar, when it began and how many epochs it has had.
        self._trainings: dict[Any, list[Any]] = {}

    def _setup(self, root: Any) -> None:
        with self._lock:
            if self._display is None:
                self._display = open_display()
            self._fits.add(root)

    def _teardown(self, root: Any) -> None:
        with self._lock:
            self._fits.discard(root)
            for key in [key for key in self._trainings if key[0] is root]:
                del self._trainings[key]
            if not self._fits and self._display is not None:
                display, self._display = self._display, None
                display.close()

    def _begin(self, training: Any) -> None:
        with self._lock:
            bar = self._display.begin(label_of(training))
            self._trainings[training.fit.root, training.which] = [bar, perf_counter(), 0]

    def _after_epoch(self, training: Any, record: EpochRecord) -> None:
        with self._lock:
            state = self._trainings[training.fit.root, training.which]
            bar, begin, n_epochs = state
            state[2] = n_epochs = n_epochs + 1
            seconds_left = (perf_counter() - begin) / n_epochs * (record.last - record.number)
            self._display.show(bar, record, told_of(record, 0.0 if record.is_last else seconds_left))


def label_of(training: Any) -> str:
    """Return what a training is called."""
    root = training.fit.root
    label: str = root.estimator_name
    if root.parent is not None:
        label += " " + "-".join(str(number) for number in place_of(root))
    if training.fit.n_networks > 1:
        label += f", network {training.which + 1}/{training.fit.n_networks}"
    return label


def told_of(record: EpochRecord, seconds_left: float) -> str:
    """Return what is told of an epoch, without its number."""
    parts = [f"loss {record.loss:.6f}"]
    if record.validation_score is not None:
        parts.append(f"validation score {record.validation_score:.6f}")
    parts.append(f"{record.n_samples / max(record.seconds, 1e-9):,.0f} rows/s")
    if seconds_left > 0:
        parts.append(f"at most {in_words(seconds_left)} left")
    return ", ".join(parts)


def shortened(told: str, room: int) -> str:
    """Return what is told of an epoch in `room` letters, by leaving out the least of it, but the loss never."""
    parts = told.split(", ")
    for end in (" rows/s", " left"):
        if len(", ".join(parts)) > room:
            parts = [part for part in parts if not part.endswith(end)]
    if len(", ".join(parts)) > room:
        parts = [part.replace("validation score", "validation") for part in parts]
    return ", ".join(parts) if len(", ".join(parts)) <= room else parts[0]


class Lines:
    """Prints a line for each epoch."""

    def begin(self, label: str) -> str:
        """Return what `show` calls a new training."""
        return label

    def show(self, bar: str, record: EpochRecord, told: str) -> None:
        """Print the line of an epoch."""
        # One call of write: those of several threads do not mix.
        sys.stdout.write(f"{bar}: epoch {record.number}/{record.last}, {told}\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Do nothing."""


class Bars:
    """Bars of rich in a terminal.

    Parameters
    ----------
    console : rich.console.Console
    """

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        bar_width = 20 if console.width >= WIDE else 8
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=bar_width),
            TextColumn("{task.fields[place]}", markup=False),
            TextColumn("{task.fields[told]}", markup=False),
        )
        self._room = console.width - bar_width - len(columns) + 1
        self._labels: dict[Any, str] = {}
        self._progress = Progress(*columns, console=console)
        self._progress.start()

    def begin(self, label: str) -> Any:
        """Add a bar."""
        bar = self._progress.add_task(label, total=None, place="", told="")
        self._labels[bar] = label
        return bar

    def show(self, bar: Any, record: EpochRecord, told: str) -> None:
        """Move a bar on."""
        total = record.number if record.is_last else record.last
        place = f"{record.number}/{total}"
        told = shortened(told, self._room - max(map(len, self._labels.values())) - 2 * len(str(total)) - 1)
        self._progress.update(bar, total=total, completed=record.number, place=place, told=told)

    def close(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()


def open_display() -> Any:
    """Return `Bars` where rich and a terminal are there, and no other bars; else `Lines`."""
    if multiprocessing.current_process().name != "MainProcess":
        return Lines()  # several processes would write over each other
    try:
        from rich.console import Console
        from rich.errors import LiveError
    except ImportError:
        return Lines()
    console = Console()
    if not (console.is_terminal or console.is_jupyter):
        return Lines()
    try:
        return Bars(console)
    except LiveError:
        return Lines()
