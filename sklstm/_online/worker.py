"""The process of a refit: reads a task, fits, writes the model. It ends when the process that asked has ended."""

import os
import pickle
import sys
import threading

from sklstm._online.refit import RefitFailed, fit_task, lower_priority


def main():
    """Do one task; what the fit prints goes to the standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lower_priority()
    source = sys.stdin.buffer
    task = pickle.loads(source.read(int.from_bytes(source.read(8), "little")))
    done = threading.Event()

    def watch():
        """End with the process that asked."""
        source.read(1)
        if not done.is_set():
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        outcome = "fitted", fit_task(task)
    except RefitFailed as error:
        outcome = "failed", str(error)
    done.set()
    with answers:
        pickle.dump(outcome, answers, pickle.HIGHEST_PROTOCOL)
    # The thread may still wait for the other process: it must not keep this one.
    os._exit(0)
