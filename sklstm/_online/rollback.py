"""All that a call may change, as it was before: a call that is interrupted at any line leaves nothing behind."""


class Mark:
    """An engine before a call, or before a part of the work that a call has left to do.

    What is bound anew is kept by its reference; what changes in place has marks of its own. A detector of another
    package stays as it is: such may be told one loss twice.

    Parameters
    ----------
    engine : Engine
    number : int or None, default=None
        Of the row whose truth comes.
    """

    def __init__(self, engine, number=None):
        buffer = engine.buffer
        self._engine, self._number = engine, number
        self._flags = None if number is None else buffer.flags[buffer.slot(number)]
        # The row that leaves the buffer, or whose truth comes, may wait no longer.
        self._leaves = buffer.first if number is None else number
        self._key = engine.waiting.key_of(self._leaves)
        self._waits = engine.waiting.has(self._leaves)
        self._steps = [(one.stream, one.stream._n_steps) for one in (engine.champion, engine.challenger) if one]
        self._due, self._n_notes = list(engine.due), len(engine.notes)
        self._journal = None if engine.folder is None else engine.folder.position
        self._history, self._counters = engine.history.mark(), engine.metrics.counters
        parts = (engine, buffer, engine.truths, engine.rollout)
        self._kept = [(one, vars(one).copy()) for one in parts if one is not None]
        if engine.watch is not None:
            self._kept += [(one, vars(one).copy()) for one in engine.watch.parts]

    def go_back(self):
        """Make all as it was."""
        engine = self._engine
        for stream, n_steps in self._steps:
            stream._go_back(n_steps)
        for one, kept in self._kept:
            vars(one).update(kept)
        engine.due = self._due
        del engine.notes[self._n_notes :]
        engine.history.go_back(self._history)
        engine.metrics.counters = self._counters
        buffer = engine.buffer
        engine.waiting.discard(buffer.n_seen)
        if self._waits:
            engine.waiting.put_back(self._leaves, self._key)
        if self._number is not None:
            slot = buffer.slot(self._number)
            buffer.y[slot], buffer.flags[slot] = float("nan"), self._flags
        if engine.folder is not None:
            engine.folder.cut_to(self._journal)
