"""The number of threads of the pool: environment, machine and threadpoolctl."""

import os

import threadpoolctl
from joblib import cpu_count

__all__ = ["PoolController", "default_num_threads"]


def _positive_int(text):
    """Return the positive integer written in ``text``, or None."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if number >= 1 else None


def default_num_threads(environ=None):
    """Return the default number of threads.

    The first of these that is set: ``SKLSTM_NUM_THREADS``, ``OMP_NUM_THREADS``, the number of
    cores this process may use. The last honours CPU affinity and the CPU quota of a container,
    so that a package in a small container does not start a thread for every core of its host.

    Parameters
    ----------
    environ : mapping of str to str, default=None
        Environment variables. None means `os.environ`.

    Returns
    -------
    n_threads : int
        At least 1.

    Raises
    ------
    ValueError
        If ``SKLSTM_NUM_THREADS`` is set to something else than a positive integer. An
        unreadable ``OMP_NUM_THREADS`` is ignored: it is meant for OpenMP, which reports it.

    Examples
    --------
    >>> from sklstm._kernels.core.threadpool import default_num_threads
    >>> default_num_threads({"SKLSTM_NUM_THREADS": "3", "OMP_NUM_THREADS": "8"})
    3
    >>> default_num_threads({"OMP_NUM_THREADS": "4,2"})
    4
    """
    environ = os.environ if environ is None else environ
    own = environ.get("SKLSTM_NUM_THREADS", "").strip()
    if own:
        n_threads = _positive_int(own)
        if n_threads is None:
            raise ValueError(f"The environment variable SKLSTM_NUM_THREADS must be a positive integer, got {own!r}.")
        return n_threads
    # OpenMP allows one number per nesting level; ours is the outermost.
    openmp = environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return _positive_int(openmp) or cpu_count()


class PoolController(threadpoolctl.LibController):
    """Makes the pool visible to `threadpoolctl`.

    `threadpoolctl.threadpool_info` lists it under the ``user_api`` "sklstm", and
    `threadpoolctl.threadpool_limits` changes the default width for the whole process, as it
    does for BLAS libraries.
    """

    user_api = "sklstm"
    internal_api = "sklstm"
    # Other packages have extensions of this name as well; the symbols tell them apart.
    filename_prefixes = ("_pool.",)
    check_symbols = ("sklstm_pool_get_num_threads", "sklstm_pool_set_num_threads")

    def get_num_threads(self):
        """Return the default width of the pool."""
        return self.dynlib.sklstm_pool_get_num_threads()

    def set_num_threads(self, num_threads):
        """Set the default width of the pool, at least 1."""
        self.dynlib.sklstm_pool_set_num_threads(num_threads)

    def get_version(self):
        """Return None: the pool has no version apart from the package's."""
        return None


threadpoolctl.register(PoolController)
