"""Which workers the fits of this thread are shared with."""

import os
from contextlib import contextmanager
from contextvars import ContextVar

_workers = ContextVar("sklstm_workers", default=None)


def use(workers):
    """Share the fits of this context with workers from now on; return what `stop_using` takes."""
    return _workers.set((os.getpid(), workers))


def stop_using(token):
    """Go back to what was before `use`."""
    _workers.reset(token)


@contextmanager
def team_of_fit():
    """Give the `Team` that trains during the block, None where fits are not shared with workers.

    A process that was forked from the one with the workers has none.
    """
    entry = _workers.get()
    if entry is None or entry[0] != os.getpid():
        yield None
        return
    with entry[1].team() as team:
        yield team
