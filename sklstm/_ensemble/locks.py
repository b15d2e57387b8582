"""Locks of ensembles: what changes one from several threads happens one after the other."""

import os
import threading
from weakref import WeakKeyDictionary


class _Locks:
    """A lock for each object that asks for one; the objects hold nothing of it, so that copies and files do not."""

    def __init__(self):
        self.begin_anew()

    def begin_anew(self):
        """Let go of all locks, as in a forked process: the threads that hold them are not there."""
        self._locks, self._guard = WeakKeyDictionary(), threading.Lock()

    def of(self, one):
        """Return the lock of an object, a context manager that the same thread may enter again."""
        with self._guard:
            return self._locks.setdefault(one, threading.RLock())


_LOCKS = _Locks()
lock_of = _LOCKS.of
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LOCKS.begin_anew)
