"""The matrices of Legendre memory units: a delay over a window, in Legendre polynomials, step by step."""

from functools import cache
from math import ceil, log2, sqrt

import numpy as np

from sklstm._network.vectors import Vectors

# Terms of the series of the exponential; below a norm of 1/2 the next one is smaller than 2^-70.
N_TERMS = 18


@cache
def legendre_memory(order, theta):
    """Return A and B of ``m_t = A m_(t-1) + B u_t``, side by side in one vector.

    m holds the coefficients of the last `theta` steps of u in shifted Legendre polynomials of degrees 0 to order - 1
    [1]_: the solution of ``theta dm/dt = A' m + B' u`` for a u that is constant between two steps.

    Parameters
    ----------
    order : int
        Number of polynomials.
    theta : int
        Length of the window in steps.

    Returns
    -------
    ndarray of shape (order * order + order,)
        Rows of A, then B, of float64.

    References
    ----------
    .. [1] A. Voelker, I. Kajic and C. Eliasmith, "Legendre memory units: continuous-time representation in recurrent
       neural networks", NeurIPS 2019, eqs. 1 and 2.
    """
    i, j = np.arange(order)[:, np.newaxis], np.arange(order)
    signs = np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    joined = np.zeros((order + 1, order + 1))
    joined[:order, :order] = (2 * i + 1) * signs / theta
    joined[:order, order] = (2 * i[:, 0] + 1) * (-1.0) ** i[:, 0] / theta
    exponential = _exponential(joined)
    matrices = np.concatenate([exponential[:order, :order].ravel(), exponential[:order, order]])
    matrices.flags.writeable = False
    return matrices


def _order(numbers):
    return numbers[0]


def memory_readout(generator, numbers, hidden):
    """Return initial weights by which a unit reads its memory, uniform by their fans."""
    limit = sqrt(6.0 / (numbers[0] + 1))
    return generator.uniform(-limit, limit, (numbers[0], hidden))


def _exponential(matrix):
    """Return the exponential of a matrix, by scaling and squaring, without BLAS: the same bits everywhere."""
    norm = np.abs(matrix).sum(axis=0).max()
    n_squarings = max(0, ceil(log2(norm)) + 1)
    scaled = matrix / 2.0**n_squarings
    result = np.eye(len(matrix))
    for k in range(N_TERMS, 0, -1):
        result = np.eye(len(matrix)) + _product(scaled, result) / k
    for _ in range(n_squarings):
        result = _product(result, result)
    return result


def _product(a, b):
    total = np.zeros((len(a), b.shape[1]))
    for k in range(b.shape[0]):
        total += a[:, k : k + 1] * b[k]
    return total


MEMORY = Vectors("weight_memory_in", _order), Vectors("weight_memory_out", _order, memory_readout)
