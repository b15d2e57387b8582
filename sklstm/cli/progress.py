"""Progress of a command: a bar of rich in a terminal, else a line now and then, on the standard error."""

import sys
from time import perf_counter

from sklstm._training.progress import in_words
from sklstm.cli.errors import say

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Tells how many rows are done; a context manager.

    Parameters
    ----------
    command : str
        What the lines begin with.
    total : int or None
        Rows of the whole table, None where that is not known.
    done : int, default=0
        Those that were done before.
    quiet : bool, default=False
        Whether nothing is told.
    """

    def __init__(self, command, total, done=0, quiet=False):
        self._command, self._total, self._first, self._done, self._quiet = command, total, done, done, quiet
        self._begin = self._last_line = perf_counter()
        self._bar = None

    def __enter__(self):
        self._bar = None if self._quiet else _open_bar(self._command, self._total, self._done)
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n_rows):
        """Count rows that are done."""
        self._done += n_rows
        now = perf_counter()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, told=self._speed(now))
        elif not self._quiet and now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            say(f"sklstm {self._command}: {self._of_all()}{self._speed(now)}")

    def end(self, what):
        """Tell what was made in the end."""
        if not self._quiet:
            say(f"sklstm {self._command}: {what}, {self._done:,} rows in {in_words(perf_counter() - self._begin)}")

    def _of_all(self):
        if not self._total:
            return f"{self._done:,} rows, "
        return f"{self._done:,} of {self._total:,} rows ({100 * self._done // self._total} %), "

    def _speed(self, now):
        speed = (self._done - self._first) / max(now - self._begin, 1e-9)
        left = "" if not self._total else f", {in_words((self._total - self._done) / max(speed, 1e-9))} left"
        return f"{speed:,.0f} rows/s{left}"


def _open_bar(command, total, done):
    """Return a started bar of rich, None where it or a terminal is missing."""
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bars
    except ImportError:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"))
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    bars.add_task(command, total=total, completed=done, told="")
    bars.start()
    return bars
