# Running moments of columns joined with those of a few rows, in one pass: calls of NumPy would take a hundred times as
# long.

cdef extern from "<math.h>" nogil:
    double hypot(double x, double y)
    double sqrt(double x)
    double fabs(double x)


def joined_moments(weight, mean, deviation, double more_weight, more_mean, more_deviation, double constant,
                   double growth):
    """Join weighted moments of some columns and those of more rows, with the bits of `Moments.joined`.

    Parameters
    ----------
    weight, mean, deviation, more_mean : ndarray of shape (n_columns,)
        Of float64. `weight` and `more_weight` are sums of weights in the same unit.
    more_deviation : ndarray of shape (n_columns,) or None
        None for zeros: of a single row.
    constant : float
        A deviation below this multiple of the mean is zero.
    growth : float

    Returns
    -------
    tuple of (ndarray, ndarray, ndarray, bool)
        Weight, mean and deviation of both together, as new arrays; and whether every column has varied before, and
        weighs less than `growth` times as much as before.
    """
    cdef Py_ssize_t n = weight.size, k
    cdef const double *own = <const double *> data_of(weight, FLOAT64, n)
    cdef const double *old_mean = <const double *> data_of(mean, FLOAT64, n)
    cdef const double *old = <const double *> data_of(deviation, FLOAT64, n)
    cdef const double *other_mean = <const double *> data_of(more_mean, FLOAT64, n)
    cdef const double *other = <const double *> data_of(more_deviation, FLOAT64, n)
    totals, means, deviations = np.empty(n), np.empty(n), np.empty(n)
    cdef double *total = <double *> data_of(totals, FLOAT64, n, True)
    cdef double *new_mean = <double *> data_of(means, FLOAT64, n, True)
    cdef double *new = <double *> data_of(deviations, FLOAT64, n, True)
    cdef double share, distance, between, within, joined, more
    cdef bint is_steady = True
    for k in range(n):
        more = other[k] if other != NULL else 0.0
        total[k] = own[k] + more_weight
        share = more_weight / total[k] if total[k] > 0 else 0.0
        distance = (other_mean[k] + 0.0) - old_mean[k]
        between = sqrt(share * (1.0 - share)) * fabs(distance)
        within = hypot(sqrt(1.0 - share) * old[k], sqrt(share) * more)
        joined = old[k] if distance == 0 and old[k] == more else hypot(within, between)
        new_mean[k] = old_mean[k] + share * distance
        new[k] = joined if joined > constant * fabs(new_mean[k]) else 0.0
        is_steady = is_steady and old[k] > 0 and not total[k] >= growth * own[k]
    return totals, means, deviations, is_steady
