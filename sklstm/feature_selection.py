"""Selection of columns with temporal structure."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import assert_all_finite
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklstm._callbacks.support import CallbackSupport, without_callbacks
from sklstm._callbacks.tasks import fit_as_one_task
from sklstm._fit_inputs import Given
from sklstm._kernels.columns._column_statistics import column_statistics
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._pickles import VersionedPickles
from sklstm._selection_inputs import read_input
from sklstm._sequence_transform import SequenceTransformMixin
from sklstm._shares import share_of
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._typing import Array, checks_parameters
from sklstm._warn import warn_user

__all__ = ["LSTMFeatureSelector"]


class LSTMFeatureSelector(VersionedPickles, CallbackSupport, SequenceTransformMixin, SelectorMixin, BaseEstimator):
    r"""Keep the columns that have temporal structure and go along with the target.

    A recurrent network can only use what is left in a column when its past is known. The selector
    measures that for every column, in one pass over the table, and

    1. drops constant columns;
    2. smooths each column with an exponentially weighted moving average and computes its
       autocorrelation, its noise ratio and its trend strength (see Notes);
    3. drops columns whose autocorrelation is below `min_autocorrelation` or whose noise ratio is
       above `max_noise_ratio`;
    4. ranks what is left by the correlation of the column, now or up to `max_lag` rows ago, with
       the target now, and keeps the best `n_features_to_select`.

    If no column passes step 3, the best-ranked of the columns that are not constant are kept, and
    a warning says so. Rows of `X` are consecutive time steps; no statistic reads across the border
    between two groups, and none relates the target to later rows of `X`.

    Parameters
    ----------
    n_features_to_select : int, float or None, default=50
        Number of columns to keep, at most. A float in (0, 1] is a fraction of all columns of `X`
        (rounded down, but at least one column). None keeps every column that passes the filters.
        If fewer columns pass, these are kept. With the default, the input products of a network
        of the default size cost no more than its recurrent ones.

    min_autocorrelation : float, default=0.1
        Smallest autocorrelation of a column that is kept, in [0, 1]. The strongest of 31
        autocorrelations of pure noise is about :math:`2.3 / \sqrt{n}`: 0.07 for 1,000 rows.

    max_noise_ratio : float, default=5.0
        Largest noise ratio of a column that is kept, at least 0; infinity switches the filter
        off. White noise has :math:`(s - 1)^2 / (s + 1)` for an `ewma_span` of :math:`s`, which is
        7.4 for the default span; a column with much structure has less than 1.

    max_lag : int, default=31
        Largest lag in rows, at least 1. 31 rows back is the oldest row that a network with the
        default ``sequence_length=32`` sees. Lags that no group is long enough for count as zero.

    ewma_span : float, default=10.0
        Span of the moving average in rows, at least 1: the weight of a row shrinks by
        :math:`1 - \alpha` with each later row, :math:`\alpha = 2 / (s + 1)`. The default makes
        white noise fail the default `max_noise_ratio` and keeps swings over some 10 rows.

    target_type : {"auto", "continuous", "classes"}, default="auto"
        Whether `y` holds numbers or class labels. With "auto", strings, booleans and one column of
        integers with at most 20 different values are labels, everything else is numbers.

    n_jobs : int or None, default=None
        Number of threads of `fit`. None means one per core, unless the environment variables
        ``SKLSTM_NUM_THREADS`` or ``OMP_NUM_THREADS`` say otherwise; -1 means all cores. The result
        has the same bits for any number.

    Attributes
    ----------
    support_ : ndarray of shape (n_features_in_,), dtype bool
        Which columns are kept.

    ranking_ : ndarray of shape (n_features_in_,), dtype int
        Place of each column, from 1 (best) to `n_features_in_`, each once: first the columns that
        pass the filters, then those that do not, then the constant ones. Within each part higher
        scores come first; among equal scores, higher autocorrelation, then the order in `X`.

    scores_ : ndarray of shape (n_features_in_,)
        Largest absolute correlation with the target over the lags, in [0, 1]; without a target
        the autocorrelation. 0 for constant columns.

    autocorrelation_ : ndarray of shape (n_features_in_,)
        Strongest autocorrelation in absolute value, in [0, 1]; 0 for constant columns.

    noise_ratio_ : ndarray of shape (n_features_in_,)
        Variance of the noise relative to the smoothed column; infinite for constant columns.

    trend_strength_ : ndarray of shape (n_features_in_,)
        Share of the variance that the smoothed column explains, in [0, 1]: 0.26 for white noise
        and the default span, 0 for constant columns. It takes no part in the selection.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if these are all strings.

    See Also
    --------
    sklearn.feature_selection.SelectKBest : Selection for rows that do not depend on each other.

    Notes
    -----
    For one column, :math:`x_t` is its value in row :math:`t`, :math:`\bar x` its mean over all
    :math:`n` rows, and sums over two rows run over the pairs within one group. The mean is that of
    all groups together: a network sees the columns on one scale, so that the level of a group is
    information; means of short groups would bias every autocorrelation downwards [4]_; and a label
    that is constant within each group could not correlate with anything.

    *Autocorrelation* ([1]_, section 2.1.5), with the divisor :math:`n` at every lag, so that lags
    with few pairs cannot give large values by chance:

    .. math::
        r_k = \frac{\sum_t (x_t - \bar x)(x_{t-k} - \bar x)}{\sum_t (x_t - \bar x)^2}, \qquad
        \text{autocorrelation} = \max_{1 \le k \le \text{max\_lag}} |r_k|

    It is taken of the column itself: any moving average is autocorrelated, even that of noise.

    *Moving average* ([2]_, section 8.1, with weights that sum to one from the first row of each
    group, i.e. ``ewm(span=ewma_span, adjust=True)`` in pandas), and the residual around it:

    .. math::
        s_t = \frac{\sum_{i \ge 0} (1 - \alpha)^i x_{t-i}}{\sum_{i \ge 0} (1 - \alpha)^i}, \qquad
        e_t = x_t - s_t

    *Noise ratio*, the reciprocal of a signal-to-noise ratio of variances. For white noise
    :math:`\mathrm{Var}(s) = \sigma^2 \alpha / (2 - \alpha)` and
    :math:`\mathrm{Var}(e) = 2 \sigma^2 (1 - \alpha)^2 / (2 - \alpha)`, which gives the value that
    is quoted for `max_noise_ratio`:

    .. math:: \text{noise ratio} = \mathrm{Var}(e) / \mathrm{Var}(s)

    *Trend strength* ([3]_; [2]_, section 4.3), with the moving average as the trend and no season:

    .. math:: F_T = \max\left(0, 1 - \mathrm{Var}(e) / \mathrm{Var}(s + e)\right)

    *Score* ([1]_, section 12.1.2), the cross-correlation of the past of the column with the
    present of the target; the largest one if `y` has several outputs. Class labels are replaced by
    one column of zeros and ones per class:

    .. math::
        \text{score} = \max_{0 \le k \le \text{max\_lag}}
        \frac{|\sum_t (x_{t-k} - \bar x)(y_t - \bar y)|}
        {\sqrt{\sum_t (x_t - \bar x)^2 \sum_t (y_t - \bar y)^2}}

    A correlation is linear: a column that acts on the target only through its square is ranked low.

    *Weights and sequences.* A pair of rows has the weight of its later row, and a row of a table the
    mean weight of the samples that read it, which are those of up to `max_lag` rows later; all rows
    of a sequence have its weight. Where samples differ in weight, and for sequences, which have one
    target for their last row, the mean and the variance of the column at lag :math:`k` are those
    over the samples that reach back so far, and the correlation is multiplied by their share of all
    weights, so that few long sequences cannot give large values by chance.

    Sums are accumulated in double precision around a first estimate of the mean [5]_. Tables of
    float32 and float64 in any memory layout, also read-only memory maps, are read in place; other
    types are converted, which takes a copy.

    References
    ----------
    .. [1] G. E. P. Box, G. M. Jenkins, G. C. Reinsel, G. M. Ljung, "Time Series Analysis:
       Forecasting and Control", 5th ed., Wiley, 2015.
    .. [2] R. J. Hyndman, G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed.,
       OTexts, 2021.
    .. [3] X. Wang, K. Smith, R. Hyndman, "Characteristic-based clustering for time series data",
       Data Mining and Knowledge Discovery 13, 335-364, 2006.
    .. [4] S. Nickell, "Biases in dynamic models with fixed effects", Econometrica 49 (6),
       1417-1426, 1981.
    .. [5] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
       analysis and recommendations", The American Statistician 37 (3), 242-247, 1983.

    Examples
    --------
    The target follows the second column, three rows later; the others are noise.

    >>> import numpy as np
    >>> from sklstm import LSTMFeatureSelector
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2000, 3))
    >>> for t in range(1, 2000):
    ...     X[t, 1] += 0.8 * X[t - 1, 1]
    >>> y = np.roll(X[:, 1], 3)
    >>> selector = LSTMFeatureSelector().fit(X, y)
    >>> selector.get_support()
    array([False,  True, False])
    >>> selector.transform(X).shape
    (2000, 1)
    """

    n_features_in_: int
    feature_names_in_: Array
    autocorrelation_: NDArray[np.float64]
    noise_ratio_: NDArray[np.float64]
    trend_strength_: NDArray[np.float64]
    scores_: NDArray[np.float64]
    support_: NDArray[np.bool_]
    ranking_: NDArray[np.intp]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_features_to_select": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="right"),
            None,
        ],
        "min_autocorrelation": [Interval(Real, 0, 1, closed="both")],
        "max_noise_ratio": [Interval(Real, 0, None, closed="both")],
        "max_lag": [Interval(Integral, 1, None, closed="left")],
        "ewma_span": [Interval(Real, 1, None, closed="left")],
        "target_type": [StrOptions({"auto", "continuous", "classes"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_features_to_select: int | float | None = 50,
        *,
        min_autocorrelation: float = 0.1,
        max_noise_ratio: float = 5.0,
        max_lag: int = 31,
        ewma_span: float = 10.0,
        target_type: Literal["auto", "continuous", "classes"] = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_features_to_select = n_features_to_select
        self.min_autocorrelation = min_autocorrelation
        self.max_noise_ratio = max_noise_ratio
        self.max_lag = max_lag
        self.ewma_span = ewma_span
        self.target_type = target_type
        self.n_jobs = n_jobs

    @checks_parameters(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Measure the columns and choose which to keep.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), array of shape (n_sequences, n_steps, n_features) or list of \
                arrays (n_steps_i, n_features)
            Table whose rows are consecutive time steps, or sequences, each of which is one sample.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target of each row of a table, of each sequence of a set: numbers, of one or several
            outputs, or class labels. Without a target the columns are ranked by their
            autocorrelation.

        groups : array-like of shape (n_samples,), default=None
            Label of the series that each row of a table belongs to; each series is one block of
            rows. None means that all rows are one series.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, not negative; None means equal weights. A sample of weight zero
            is excluded: its target is ignored, and its rows count only where another sample has
            them among its last `max_lag` + 1.

        Returns
        -------
        self : object
            Fitted selector.

        Raises
        ------
        ValueError
            If an input has the wrong shape, numbers that are not finite or so large that their
            squares are not, a group comes in separate blocks, or every column is constant.
        """
        work = fit_as_one_task(self, Given(X, y, sample_weight, groups), self._fit_new)
        replace_fitted(self, vars(work))
        return self

    def _fit_new(self, X, y, sample_weight, groups):
        """Return a new selector that is fitted."""
        seen, given = read_input(self, X, y, groups, sample_weight)
        longest = int(np.diff(given.blocks).max())
        statistics = column_statistics(
            given.table,
            given.target,
            given.blocks,
            max_lag=max(1, min(self.max_lag, longest - 1)),  # beyond it there are no pairs
            decay=(self.ewma_span - 1.0) / (self.ewma_span + 1.0),
            n_threads=resolve_num_threads(self.n_jobs),
            row_weights=given.row_weights,
            sample_weights=given.sample_weights,
        )
        if not np.isfinite(statistics.autocovariance[0]).all():
            assert_all_finite(given.table, input_name="X", estimator_name=type(self).__name__)
            column = np.flatnonzero(~np.isfinite(statistics.autocovariance[0]))[0]
            raise ValueError(f"X holds numbers whose squares overflow, the first in column {column}; scale it first.")
        constant = statistics.minimum == statistics.maximum
        vanishing = ~constant & (statistics.autocovariance[0] <= 0.0)
        constant |= vanishing
        if constant.all():
            if vanishing.any():
                column = np.flatnonzero(vanishing)[0]
                raise ValueError(f"X holds numbers whose squares vanish, the first in column {column}; scale it first.")
            raise ValueError("Every column of X is constant: there is nothing to select from.")
        work = snapshot_of(self)  # a fit that fails changes nothing
        vars(work).pop("feature_names_in_", None)
        work.__dict__ = {**without_callbacks(vars(work)), **seen}
        work._measure(statistics, constant, given.by_samples)
        work._select(constant)
        return work

    def _measure(self, statistics, constant, by_samples):
        """Set the statistics of the columns; constant ones get values that no filter passes."""
        variance = np.where(constant, 1.0, statistics.autocovariance[0])
        residual = np.maximum(statistics.residual_variance, 0.0)
        smooth = np.maximum(statistics.smooth_variance, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            noise_ratio = np.where(smooth > 0.0, residual / smooth, np.inf)
        correlation = np.abs(statistics.autocovariance[1:]).max(axis=0) / variance
        # Cauchy and Schwarz promise at most 1; only rounding can go beyond.
        self.autocorrelation_ = np.where(constant, 0.0, np.minimum(correlation, 1.0))
        self.noise_ratio_ = np.where(constant, np.inf, noise_ratio)
        self.trend_strength_ = np.where(constant, 0.0, np.maximum(0.0, 1.0 - residual / variance))
        varying = statistics.target_variance > 0.0
        if varying.any():
            if by_samples:
                scores = np.abs(statistics.sample_correlation[:, varying]).max(axis=0)
            else:
                scale = np.sqrt(variance * statistics.target_variance[varying][:, None])
                scores = np.abs(statistics.cross_covariance[:, varying]).max(axis=0) / scale
            self.scores_ = np.where(constant, 0.0, np.minimum(scores.max(axis=0), 1.0))
        else:
            self.scores_ = self.autocorrelation_.copy()
            if varying.size:
                warn_user("y is constant: columns are ranked by autocorrelation.")

    def _select(self, constant):
        """Set the ranking and the support."""
        passes = self.autocorrelation_ >= self.min_autocorrelation
        passes &= self.noise_ratio_ <= self.max_noise_ratio
        passes &= ~constant
        order = np.lexsort((-self.autocorrelation_, -self.scores_, ~passes, constant))
        n_wanted = self.n_features_to_select
        if n_wanted is None:
            n_wanted = constant.size
        elif not isinstance(n_wanted, Integral):
            n_wanted = max(1, share_of(n_wanted, constant.size, math.floor))
        n_kept = min(n_wanted, passes.sum() if passes.any() else (~constant).sum())
        if not passes.any():
            warn_user(
                f"No column passes the filters (min_autocorrelation={self.min_autocorrelation}, "
                f"max_noise_ratio={self.max_noise_ratio}); the {n_kept} best-ranked are kept."
            )
        self.ranking_ = np.empty(constant.size, dtype=np.intp)
        self.ranking_[order] = np.arange(1, constant.size + 1)
        self.support_ = self.ranking_ <= n_kept

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "support_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
