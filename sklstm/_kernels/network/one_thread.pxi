# A lock that raises instead of waiting.

cdef class OneThread:
    """Base class of objects that one thread at a time may use: a claim by another thread raises, it never waits.

    A thread may claim again what it has claimed already, so an interrupt before `release` locks nobody out.
    """

    cdef unsigned long owner  # 0: nobody

    def claim(self):
        """Keep other threads out until `release`."""
        self.refuse_other_threads()
        self.owner = PyThread_get_thread_ident()

    def release(self):
        """Let other threads in, if this one has claimed it."""
        if self.owner == PyThread_get_thread_ident():
            self.owner = 0

    cdef int refuse_other_threads(self) except -1:
        if self.owner != 0 and self.owner != PyThread_get_thread_ident():
            raise RuntimeError(
                "the stream is at work in another thread; one thread at a time may use it: make a stream for each")
        return 0
