"""Features of sequences by convolutions that are not learned, after ROCKET, MiniRocket and MultiRocket."""

from itertools import combinations, pairwise

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

WIDTH = 9
# The kernels of MiniRocket: three weights of nine are 2, the others -1, so that a kernel does not see the level.
KERNELS = np.array([[2.0 if k in high else -1.0 for k in range(WIDTH)] for high in combinations(range(WIDTH), 3)])
N_DILATIONS = 6


class RandomConvolutions(TransformerMixin, BaseEstimator):
    """Share of the steps, in each of some segments, at which a convolution is above a threshold.

    The 84 kernels read each sequence and its differences at up to six dilations; where there are several columns, a
    kernel reads the sum of some of them. Thresholds are quantiles of what training sequences give.

    Parameters
    ----------
    segments : int
        Equal parts of a sequence, the rows of the answer.
    n_thresholds : int
        Thresholds, and columns of the answer, for each kernel, dilation and view.
    random_state : int
        Which columns, training sequences and quantiles.
    """

    def __init__(self, segments=1, n_thresholds=1, random_state=0):
        self.segments = segments
        self.n_thresholds = n_thresholds
        self.random_state = random_state

    def fit(self, X, y=None):
        """Find scales and thresholds; X is a list of arrays of shape (n_steps, n_columns)."""
        draw = np.random.default_rng(self.random_state)
        rows = np.vstack(X)
        self.mean_, self.scale_ = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        self.change_scale_ = np.vstack([np.diff(x, axis=0) for x in X]).std(axis=0) + 1e-9
        longest = np.log2(max((np.median([len(x) for x in X]) - 1) / (WIDTH - 1), 1))
        dilations = np.unique(np.floor(2 ** np.linspace(0, longest, N_DILATIONS)).astype(int))
        self.plan_ = []
        for view in (0, 1):
            for dilation in dilations:
                columns = self._columns(draw, X[0].shape[1])
                heights = draw.uniform(size=(self.n_thresholds, len(KERNELS)))
                thresholds = np.empty_like(heights)
                for which, source in enumerate(draw.integers(len(X), size=self.n_thresholds)):
                    answer = convolved(self._views(X[source])[view], dilation, columns)
                    thresholds[which] = quantiles(answer, heights[which])
                self.plan_.append((view, dilation, columns, thresholds))
        return self

    def transform(self, X):
        """Return an array of shape (n_sequences, segments, n_features)."""
        return np.array([self._features(x) for x in X])

    @staticmethod
    def _columns(draw, n_columns):
        columns = np.zeros((n_columns, len(KERNELS)))
        for kernel in range(len(KERNELS)):
            how_many = int(2 ** draw.uniform(0, np.log2(min(n_columns, WIDTH) + 1)))
            columns[draw.choice(n_columns, how_many, replace=False), kernel] = 1
        return columns

    def _views(self, x):
        return (x - self.mean_) / self.scale_, np.diff(x, axis=0) / self.change_scale_

    def _features(self, x):
        views = self._views(x)
        found = []
        for view, dilation, columns, thresholds in self.plan_:
            above = convolved(views[view], dilation, columns)[:, None, :] > thresholds
            cuts = np.linspace(0, len(above), self.segments + 1).astype(int)
            found.append([above[a : max(b, a + 1)].mean(axis=0).ravel() for a, b in pairwise(cuts)])
        return np.concatenate(found, axis=1)


def quantiles(table, heights):
    """Return a quantile of each column, at a height of its own."""
    table = np.sort(table, axis=0)
    places = heights * (len(table) - 1)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(table) - 1)
    low, high = (np.take_along_axis(table, row[None], axis=0)[0] for row in (below, above))
    return low + (high - low) * (places - below)


def convolved(x, dilation, columns):
    """Return all kernels at a dilation, zeros beyond the ends: an array of shape (n_steps, n_kernels)."""
    reach = WIDTH // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    places = np.stack([padded[k * dilation : k * dilation + len(x)] for k in range(WIDTH)])
    return np.einsum("wtc,kw,ck->tk", places, KERNELS, columns, optimize=True)
