# Ctrl-C during a long call: the kernels hold no GIL, so Python runs no handlers until the thread of the caller lets it.

from cpython.exc cimport PyErr_CheckSignals

import threading

# C11, so available on every system; a change of the wall clock does no harm here.
cdef extern from "<time.h>" nogil:
    const int TIME_UTC
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int timespec_get(timespec *now, int base)

cdef extern from "stop_flag.h" nogil:
    ctypedef int stop_flag "sklstm_stop_flag"


cdef struct SignalWatch:
    double next_look             # time of the next check, in seconds
    bint asks                    # the caller is the main thread, the only one that runs handlers
    stop_flag stopped            # written by the caller, read by the other threads of a call
    void *errors                 # a list, for the exception that a handler raised


cdef double LOOK_SECONDS = 0.05


cdef double seconds_now() noexcept nogil:
    cdef timespec now
    timespec_get(&now, TIME_UTC)
    return <double> now.tv_sec + 1e-9 * <double> now.tv_nsec


cdef void open_watch(SignalWatch *watch, list errors):
    watch.asks, watch.stopped = threading.get_ident() == threading.main_thread().ident, False
    watch.errors, watch.next_look = <void *> errors, seconds_now() + LOOK_SECONDS


cdef void ask_python(SignalWatch *watch) noexcept with gil:
    """Let Python run its signal handlers; an exception of one ends the call.

    A function of its own: Cython takes the GIL on every way out of a function that holds Python objects.
    """
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<list> watch.errors).append(error)
        watch.stopped = True


cdef bint must_stop(SignalWatch *watch, int worker) noexcept nogil:
    """Whether the call is to end early; the caller (worker 0) checks for signals now and then."""
    cdef double now
    if watch.stopped or worker != 0 or not watch.asks:
        return watch.stopped
    now = seconds_now()
    if not watch.next_look - LOOK_SECONDS <= now < watch.next_look:
        watch.next_look = now + LOOK_SECONDS
        ask_python(watch)
    return watch.stopped
