"""Full refits: by a process of their own, so that predictions go on meanwhile."""

import os
import pickle
import subprocess
import sys
import threading
from time import perf_counter

from sklstm._online.updates import fit_anew
from sklstm._snapshot import snapshot_of

# What the other process runs, before it can import anything of the package.
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from sklstm._online.worker import main; main()"


class ProcessDied(RuntimeError):
    """The process ended without a result."""


class RefitFailed(ValueError):
    """The fit itself failed, as it would in every process."""


class Refit:
    """A fit of a new model to rows of the buffer, which another process does.

    Parameters
    ----------
    model : estimator
        Not fitted.
    X, y, is_known : ndarray
        Its rows, see `fit_anew`; copies.
    classes : ndarray or None
    in_background : bool
        False to fit when the result is asked for.
    """

    def __init__(self, model, X, y, is_known, classes, in_background):
        self.task, self._process, self._outcome = (model, X, y, is_known, classes), None, None
        self._thread, self.seconds = None, 0.0
        if in_background:
            self._thread = threading.Thread(target=self._ask_process, name="sklstm-refit", daemon=True)
            self._thread.start()

    def result(self):
        """Return the fitted model; wait for it if need be, and fit it here if the process has died.

        Raises
        ------
        RefitFailed
            If it cannot be fitted.
        """
        if self._thread is not None:
            self._thread.join()
            kind, value = self._outcome
            if kind == "fitted":
                return snapshot_of(value)
            if kind == "failed":
                raise RefitFailed(value)
        begin = perf_counter()
        model = fit_task(self.task)
        self.seconds = perf_counter() - begin
        return model

    def stop(self):
        """End the process."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def _ask_process(self):
        begin = perf_counter()
        try:
            self._outcome = self._run()
            self.seconds = perf_counter() - begin
        except Exception as error:  # whatever it was: `result` fits here
            self._outcome = "died", repr(error)

    def _run(self):
        import json

        content = pickle.dumps(self.task, pickle.HIGHEST_PROTOCOL)
        # Nobody sees what it would warn of.
        command = [sys.executable, "-W", "ignore", "-c", _START, json.dumps(sys.path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, **pipes) as process:
            self._process = process
            # Its input stays open: the process ends as soon as this one does.
            process.stdin.write(len(content).to_bytes(8, "little") + content)
            process.stdin.flush()
            answer = process.stdout.read()
            process.stdin.close()
        if process.returncode != 0:
            raise ProcessDied(f"it ended with {process.returncode}")
        return pickle.loads(answer)


def fit_task(task):
    """Return the fitted model of a task."""
    model, *rows = task
    try:
        return fit_anew(snapshot_of(model), *rows)
    except (ValueError, Warning) as error:  # a warning where the user has made errors of them
        raise RefitFailed(str(error)) from error


def lower_priority():
    """Leave the cores to the process that predicts, where the system can."""
    if hasattr(os, "nice"):
        os.nice(5)
