"""Ridge regression on windows, with the penalty that is best on a validation part or by cross-validation."""

from dataclasses import dataclass

import numpy as np

from sklstm._ridge.windows import SkipWindows, WindowProducts

# Penalties, as powers of ten of the mean square of a column of the windows, summed over all of them: these first, then
# around the best.
FIRST_EXPONENTS = (-6.0, -4.0, -2.0, 0.0, 2.0)
STEPS = (1.0, 0.5)
# From the best upwards in such steps, as long as the loss is not clearly larger: by more than a standard error of the
# difference, which that of so many stretches of the validation part tells.
CLIMB = 0.5
N_STRETCHES = 10
LARGEST_EXPONENT = 4.0
# A smaller penalty must be better than a larger one by such a share.
LEAST_GAIN = 1e-9
# Of the degrees of freedom, a regression must leave such a share: one that passes through all samples leaves no errors
# to judge it by.
LEAST_FREEDOM = 0.05
# Up to so many columns the trace that generalised cross-validation needs is exact; beyond, it is estimated by so many
# random vectors.
EXACT_COLUMNS = 256
N_PROBES = 64


@dataclass(frozen=True)
class RidgeSolution:
    """A ridge regression on windows.

    Attributes
    ----------
    weights : ndarray of shape (n_outputs, n_columns)
    intercept : ndarray of shape (n_outputs,)
    penalty : float
        As scikit-learn's `Ridge` counts it, for weights of mean 1; infinite where the weights are zero.
    """

    weights: np.ndarray
    intercept: np.ndarray
    penalty: float


def solve_ridge(network, samples, numbers, validation, validation_numbers, seed=0):
    """Return the `RidgeSolution` of numbers on the windows that the linear skip of a network reads.

    Parameters
    ----------
    network : Network
    samples : Samples
        The training part.
    numbers : ndarray of shape (n_samples, n_outputs)
        What is to be predicted, in float64.
    validation : Samples or None
        What the penalty is chosen on; None for generalised cross-validation [1]_.
    validation_numbers : ndarray or None
        Of the validation part.
    seed : int, default=0
        Of the random vectors with which the trace of a large matrix is estimated [2]_.

    References
    ----------
    .. [1] G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a good ridge
       parameter", Technometrics 21(2), 1979.
    .. [2] M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
       splines", Communications in Statistics 18(3), 1989.
    """
    windows, n_outputs = SkipWindows(network), numbers.shape[1]
    if validation is None:
        judge = _CrossValidation(windows.n_columns, len(numbers), seed)
    else:
        judge = _ValidationPart(windows, validation, validation_numbers)
    parts = _parts_of_equal_weights(samples.weights, n_outputs)
    products = [
        WindowProducts(
            windows, samples.sequences, numbers[:, columns], weights / weights.mean(), network.n_threads, judge.probes
        )
        for columns, weights in parts
    ]
    return _Search(windows, products, [columns for columns, _ in parts], n_outputs, judge).run()


def solve_again(network, samples, numbers, penalty):
    """Return the `RidgeSolution` of other samples with a penalty that was chosen before."""
    windows, n_outputs = SkipWindows(network), numbers.shape[1]
    weights, intercept = np.zeros((n_outputs, windows.n_columns)), np.empty(n_outputs)
    for columns, of_samples in _parts_of_equal_weights(samples.weights, n_outputs):
        relative = of_samples / of_samples.mean()
        product = WindowProducts(windows, samples.sequences, numbers[:, columns], relative, network.n_threads)
        found = product.solve(penalty) if penalty < np.inf else None
        if found is not None:
            weights[columns] = found
        intercept[columns] = product.target_mean - weights[columns] @ product.mean
    return RidgeSolution(weights, intercept, penalty)


def _parts_of_equal_weights(weights, n_outputs):
    """Return pairs of outputs that have the same weights, and these weights (n_samples,) in float64."""
    if weights.ndim == 1:
        return [(np.arange(n_outputs), weights.astype(np.float64))]
    distinct, which = np.unique(weights, axis=1, return_inverse=True)
    which = which.reshape(-1)
    return [(np.flatnonzero(which == k), distinct[:, k].astype(np.float64)) for k in range(distinct.shape[1])]


def _probes(n_columns, seed):
    """Return rows whose sums of squares, times a matrix, add up to its trace or estimate it."""
    if n_columns <= EXACT_COLUMNS:
        return np.eye(n_columns)
    generator = np.random.Generator(np.random.Philox(key=seed))
    signs = 2.0 * generator.integers(0, 2, (N_PROBES, n_columns)) - 1.0
    return signs / np.sqrt(N_PROBES)


class _ValidationPart:
    """Judges a penalty by the squared error on a validation part."""

    probes = None

    def __init__(self, windows, validation, numbers):
        self._windows, self._sequences, self._numbers = windows, validation.sequences, numbers
        weights = validation.weights.astype(np.float64).reshape(len(numbers), -1)
        self._weights = np.broadcast_to(weights, numbers.shape)
        # Errors of neighbouring rows go together, those of long stretches hardly.
        self._stretches = np.linspace(0, len(numbers), min(N_STRETCHES, len(numbers)) + 1).astype(np.intp)[:-1]

    def measure(self, product, weights, penalty):
        """Return nothing of the equations: all is measured on the validation part."""
        return 0.0

    def losses(self, candidates):
        """Return the loss of each candidate, as the sums over stretches."""
        answers = self._windows.answers(self._sequences, [one.weights for one in candidates])
        errors = [
            (self._weights * np.square(found + one.intercept - self._numbers)).sum(axis=1)
            for found, one in zip(answers, candidates, strict=True)
        ]
        return [np.add.reduceat(one, self._stretches) for one in errors]

    @staticmethod
    def is_clearly_larger(loss, least):
        """Return whether a loss is larger than the least one by more than the standard error of the difference."""
        difference = loss - least
        n = len(difference)
        return n < 2 or difference.sum() > np.sqrt(n) * difference.std(ddof=1)


class _CrossValidation:
    """Judges a penalty by generalised cross-validation: n RSS / (n - degrees of freedom)^2, up to a factor."""

    def __init__(self, n_columns, n, seed):
        self._n, self._n_columns, self.probes = n, n_columns, _probes(n_columns, seed)

    def measure(self, product, weights, penalty):
        """Return the criterion of some outputs, right after `WindowProducts.solve`."""
        freedom, left = 1.0, product.target_squares
        if penalty < np.inf:
            # The trace of G (G + penalty)^-1, from that of (G + penalty)^-1.
            freedom += self._n_columns - penalty * float(product.squares_of_more().sum())
            left = product.squares_left(weights, penalty)
        share_left = 1.0 - freedom / self._n
        return float(left.sum()) / share_left**2 if share_left > LEAST_FREEDOM else np.inf

    def losses(self, candidates):
        """Return the criterion of each candidate."""
        return [np.array([one.measured]) for one in candidates]

    @staticmethod
    def is_clearly_larger(loss, least):
        """Return True: there is no telling."""
        return True


@dataclass(frozen=True)
class _Candidate:
    """The solution of a penalty, a power of ten of a typical diagonal number; `measured` is what the judge measured."""

    exponent: float
    weights: np.ndarray
    intercept: np.ndarray
    measured: float


class _Search:
    """The search for the best penalty, one for all outputs."""

    def __init__(self, windows, products, columns, n_outputs, judge):
        self._products, self._columns, self._judge = products, columns, judge
        self._shape = (n_outputs, windows.n_columns)
        self._scale = float(np.mean([one.scale * one.total for one in products]))
        self._best = self._least = None

    def run(self):
        """Return the solution of the largest penalty whose loss is not clearly larger than the least."""
        constant = self._solve(np.inf)
        (loss,) = self._judge.losses([constant])
        self._best, self._least = constant, loss
        if self._scale > 0:
            self._try(FIRST_EXPONENTS)
            for step in STEPS:
                exponent = self._best.exponent
                if exponent < np.inf:
                    self._try((exponent - step, exponent + step))
        chosen = self._best if self._judge.is_clearly_larger(loss, self._least) else constant
        if chosen.exponent < np.inf:
            chosen = self._climb(chosen)
        penalty = self._scale * 10.0**chosen.exponent if chosen.exponent < np.inf else np.inf
        return RidgeSolution(chosen.weights, chosen.intercept, penalty)

    def _try(self, exponents):
        candidates = [one for one in map(self._solve, exponents) if one is not None]
        for one, loss in zip(candidates, self._judge.losses(candidates), strict=True):
            gain = LEAST_GAIN if one.exponent < self._best.exponent else -LEAST_GAIN
            if loss.sum() < self._least.sum() * (1.0 - gain):
                self._best, self._least = one, loss

    def _climb(self, chosen):
        """Return the largest penalty above the best one that is not clearly worse [Breiman1984]_.

        .. [Breiman1984] L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone, "Classification and regression
           trees", Wadsworth, 1984, section 3.4.3: the rule of one standard error.
        """
        while chosen.exponent < LARGEST_EXPONENT:
            candidate = self._solve(chosen.exponent + CLIMB)
            if candidate is None:
                break
            (loss,) = self._judge.losses([candidate])
            if self._judge.is_clearly_larger(loss, self._least):
                break
            chosen = candidate
        return chosen

    def _solve(self, exponent):
        """Return the candidate of an exponent; None where the equations are singular."""
        penalty, measured = self._scale * 10.0**exponent, 0.0
        weights, intercept = np.zeros(self._shape), np.empty(self._shape[0])
        for product, columns in zip(self._products, self._columns, strict=True):
            if exponent < np.inf:
                found = product.solve(penalty)
                if found is None:
                    return None
                weights[columns] = found
            intercept[columns] = product.target_mean - weights[columns] @ product.mean
            measured += self._judge.measure(product, weights[columns], penalty)
        return _Candidate(exponent, weights, intercept, measured)
