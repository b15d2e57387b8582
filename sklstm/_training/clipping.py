"""Clipping of gradients."""

from math import sqrt

from sklstm._kernels._updates import squared_norm


def clip_by_global_norm(gradient, max_norm, n_threads):
    """Find the factor that brings the norm of the whole gradient below a bound (Pascanu et al. 2013, algorithm 1).

    Parameters
    ----------
    gradient : ndarray of shape (n_parameters,)
    max_norm : float or None
        None for no bound.
    n_threads : int

    Returns
    -------
    factor, norm : float
        ``min(1, max_norm / (norm + 1e-6))`` and the norm before clipping.
    """
    norm = sqrt(squared_norm(gradient, n_threads))
    return (1.0 if max_norm is None else min(1.0, max_norm / (norm + 1e-6))), norm
