"""The normal equations of a ridge regression on windows of a table, which are never written down one by one.

The matrix G of products of all columns of the windows is symmetric: its lower triangle is kept in panels of columns,
with the products of the targets as further rows below it, so that factorising G solves for them too. All products run
through the kernels of float64.

No BLAS and no LAPACK: these round differently with the number of their threads, a state of the whole process that
joblib changes in its workers, and the same seed would give another model there.
"""

from libc.math cimport sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cpython.exc cimport PyErr_CheckSignals

from sklstm._kernels.core._pool cimport pool_run
from sklstm._kernels._table cimport KernelTable

include "../core/buffers.pxi"


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    return (n + step - 1) // step * step


cdef inline Py_ssize_t odd_lines(Py_ssize_t n) noexcept nogil:
    """Numbers from row to row, an odd number of cache lines: rows below each other do not share a set of L1."""
    return (round_up(n, 8) // 8 | 1) * 8


cdef struct Triangle:
    const KernelTable *kernels
    double *numbers
    Py_ssize_t width             # columns of a panel
    Py_ssize_t n_columns         # of the windows
    Py_ssize_t n_padded          # the same in whole panels
    Py_ssize_t n_rows            # and the targets, in whole panels


cdef inline double *panel_of(const Triangle *g, Py_ssize_t panel) noexcept nogil:
    """The panel from its first row on, that of its first column: each is `width` rows shorter than the last."""
    return g.numbers + g.width * (panel * g.n_rows - g.width * (panel * (panel - 1) // 2))


cdef inline double *entry(const Triangle *g, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    cdef Py_ssize_t panel = column // g.width
    return panel_of(g, panel) + (row - panel * g.width) * g.width + column % g.width


include "runs.pxi"
include "cholesky.pxi"


cdef class NormalEquations:
    """Sums of products of windows with themselves and with targets, and the ridge regression that they determine.

    Parameters
    ----------
    n_columns : int
        Numbers of a window.
    n_targets : int
        Columns of the targets.
    n_threads : int
        Affects the speed, never a bit of the result.
    isa : str or None, default=None
        A name from `available_isas`; None for the one in use.

    Attributes
    ----------
    n_padded : int
        Where the targets begin in a row of `add`.
    stride : int
        Numbers of a row of `add`.
    """

    cdef Triangle triangle
    cdef int n_threads
    cdef readonly Py_ssize_t n_targets, n_padded, stride
    cdef object numbers

    def __cinit__(self, Py_ssize_t n_columns, Py_ssize_t n_targets, int n_threads, isa=None):
        cdef Triangle *g = &self.triangle
        g.kernels = open_table(FLOAT64, isa)
        g.width, g.n_columns, self.n_targets, self.n_threads = 4 * g.kernels.lanes, n_columns, n_targets, n_threads
        g.n_padded = self.n_padded = round_up(n_columns, g.width)
        g.n_rows = g.n_padded + round_up(n_targets, g.width)
        self.stride = odd_lines(g.n_rows)
        self.numbers = np.zeros(g.width * (g.n_padded // g.width * g.n_rows
                                           - g.width * (g.n_padded // g.width * (g.n_padded // g.width - 1) // 2)))
        g.numbers = <double *> data_of(self.numbers, FLOAT64, self.numbers.size, True)

    def clear(self):
        """Forget all sums."""
        self.numbers[:] = 0

    def copy(self):
        """Return all sums, for `restore`."""
        return self.numbers.copy()

    def restore(self, sums):
        """Go back to sums that `copy` has returned."""
        self.numbers[:] = sums

    def add(self, rows, other=None):
        """Add the products of rows (n, stride) of windows and targets; with `other`, those of one with the other."""
        cdef Rows call
        cdef Py_ssize_t n_panels = self.triangle.n_padded // self.triangle.width
        call.triangle, call.stride, call.n = &self.triangle, self.stride, len(rows)
        call.rows = <const double *> data_of(rows, FLOAT64, len(rows) * self.stride)
        call.other = call.rows if other is None else <const double *> data_of(other, FLOAT64, call.n * self.stride)
        with nogil:
            pool_run(add_panel, &call, <int> n_panels, self.n_threads)
        PyErr_CheckSignals()

    def add_run(self, rows, targets, double weight, relative):
        """Add the products of neighbouring windows of equal weight, each a row further than the last.

        Parameters
        ----------
        rows : ndarray of shape (n_windows + n_steps - 1, n_features)
            All rows that they cover, float64.
        targets : ndarray of shape (n_windows, n_targets or fewer)
        weight : float
        relative : ndarray of shape (n_features,), dtype uint8
            1 for columns that are read relative to the last row of each window.
        """
        add_run(&self.triangle, self.n_targets, rows, targets, weight, relative, self.n_threads)

    def products_with(self, Py_ssize_t target):
        """Return the products (n_columns,) of the windows with a target."""
        return self._row(self.triangle.n_padded + target)

    cdef _row(self, Py_ssize_t row):
        cdef const Triangle *g = &self.triangle
        cdef Py_ssize_t j
        out = np.empty(g.n_columns)
        cdef double *numbers = <double *> data_of(out, FLOAT64, g.n_columns, True)
        for j in range(g.n_columns):
            numbers[j] = entry(g, row, j)[0]
        return out

    def diagonal(self):
        """Return the diagonal (n_columns,) of the products of the windows."""
        cdef const Triangle *g = &self.triangle
        cdef Py_ssize_t j
        out = np.empty(g.n_columns)
        cdef double *numbers = <double *> data_of(out, FLOAT64, g.n_columns, True)
        for j in range(g.n_columns):
            numbers[j] = entry(g, j, j)[0]
        return out

    def matrix(self):
        """Return the products of the windows as a matrix, for tests."""
        cdef const Triangle *g = &self.triangle
        cdef Py_ssize_t i, j
        out = np.empty((g.n_columns, g.n_columns))
        cdef double *numbers = <double *> data_of(out, FLOAT64, out.size, True)
        for j in range(g.n_columns):
            for i in range(j, g.n_columns):
                numbers[i * g.n_columns + j] = numbers[j * g.n_columns + i] = entry(g, i, j)[0]
        return out

    def targets(self):
        """Return the products (n_targets, n_columns) of the windows with all targets."""
        return np.array([self._row(self.triangle.n_padded + k) for k in range(self.n_targets)])

    def set_targets(self, products):
        """Replace the products (n_targets, n_columns) of the windows with the targets."""
        cdef const Triangle *g = &self.triangle
        cdef Py_ssize_t j, k
        cdef const double *numbers
        if products.shape != (self.n_targets, g.n_columns):
            raise ValueError(f"expected products of shape {(self.n_targets, g.n_columns)}, got {products.shape}")
        numbers = <const double *> data_of(products, FLOAT64, products.size)
        for k in range(self.n_targets):
            for j in range(g.n_columns):
                entry(g, g.n_padded + k, j)[0] = numbers[k * g.n_columns + j]

    def factorize(self, double penalty):
        """Replace the sums, with the penalty added to the diagonal, by their Cholesky factor.

        Returns
        -------
        bool
            False if they are not positive definite; all is lost then.
        """
        return factorize(&self.triangle, penalty, self.n_threads)

    def factor_of(self, Py_ssize_t target):
        """Return z (n_columns,) of the factorisation, L z = products of the windows with a target."""
        return self._row(self.triangle.n_padded + target)

    def solve(self):
        """Return the weights (n_targets, n_columns) of the ridge regression; `factorize` was called before."""
        cdef Py_ssize_t stride = odd_lines(self.triangle.n_padded)
        weights = np.zeros((round_up(self.n_targets, SOLVED_ROWS), stride))
        solve(&self.triangle, weights, stride, self.n_threads)
        return weights[:self.n_targets, :self.triangle.n_columns]
