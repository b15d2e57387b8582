"""Importance of columns, and of columns at some lags, by permuting blocks of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sklstm._base import BaseRNN
from sklstm._inspection.blocks import cut_blocks, default_block_length, shuffled_rows
from sklstm._inspection.columns import ColumnSource
from sklstm._inspection.windows import BATCH_NUMBERS, WindowModel
from sklstm._snapshot import snapshot_of
from sklstm._typing import checks_arguments
from sklstm._validation import is_set_of_sequences

ANSWERS = ("predict", "predict_proba", "predict_log_proba", "predict_quantiles", "decision_function")


@checks_arguments(
    {
        "scoring": [str, callable, None],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "block_length": [Interval(Integral, 1, None, closed="left"), None],
        "lag_blocks": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "random_state": ["random_state"],
    }
)
def permutation_importance(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    scoring: str | Callable[..., float] | None = None,
    n_repeats: int = 5,
    block_length: int | None = None,
    lag_blocks: int | Sequence[int] | None = None,
    random_state: int | np.random.RandomState | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    context: ArrayLike | None = None,
    context_groups: ArrayLike | None = None,
    future: ArrayLike | None = None,
    future_groups: ArrayLike | None = None,
) -> Any:
    """Importance of each column, or of each column at some lags: what the score loses once it is permuted.

    Blocks of consecutive rows are permuted instead of single rows [1]_, so that a window inside a block still sees a
    course that the column takes, and no block leaves its group.

    Parameters
    ----------
    estimator : object
        A fitted estimator of any kind, pipelines too; with `lag_blocks` a regressor or classifier of this package.
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
        Data that it was not trained on, as in its `predict`. A block of a set of sequences is a whole sequence.
    y : array-like
        Targets of X, as in its `score`.
    scoring : str, callable or None, default=None
        A name or a scorer of scikit-learn, or a callable ``scoring(estimator, X, y)``; None for the `score` of the
        estimator. Greater is better.
    n_repeats : int, default=5
        Permutations of each column.
    block_length : int, default=None
        Rows of a block of a table. None for the window of the estimator (`sequence_length`, of a pipeline that of its
        last step), but for at least four blocks in the longest group; 1 for estimators that look at single rows.
    lag_blocks : int or sequence of int, default=None
        None to permute a column everywhere. With it, a column is permuted only in the rows at some lags before each
        prediction, in the windows themselves: blocks of so many lags each, or edges such as ``[0, 1, 4, 16]`` for lag
        0, lags 1 to 3 and 4 to 15.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in the score.
    groups : array-like of shape (n_samples,), default=None
        One label per row of a table. Blocks stay in their group; the estimator gets the groups, too.
    context : array-like of shape (n_rows, n_features), default=None
        The rows that came right before a table X, which are not permuted.
    context_groups : array-like of shape (n_rows,), default=None
        With groups, the label of each row of `context`.
    future : array-like of shape (n_rows, n_features), or a set of sequences, default=None
        The rows that come right after X, of which a decoder reads the `known_columns`. Those after a table are not
        permuted, those after sequences are exchanged together with them.
    future_groups : array-like of shape (n_rows,), default=None
        With groups, the label of each row of `future`.

    Returns
    -------
    result : :class:`~sklearn.utils.Bunch`
        With the attributes:

        importances_mean, importances_std : ndarray of shape (n_features,) or (n_features, n_lag_blocks)
            Mean and standard deviation over the repeats.
        importances : ndarray of shape (n_features, n_repeats) or (n_features, n_lag_blocks, n_repeats)
            Score of X as it is, less the score of X permuted.
        baseline_score : float
            Score of X as it is.
        block_length : int or None
            Rows of a block; None for a set of sequences.
        lags : ndarray of shape (n_lag_blocks, 2)
            First and last lag of each block, 0 for the row of the prediction; only with `lag_blocks`.

    Raises
    ------
    ValueError
        If no group has room for two blocks.

    See Also
    --------
    sklearn.inspection.permutation_importance : The same for rows that do not depend on each other.
    FeatureScoreDisplay : A picture of importances.

    Notes
    -----
    Rows beyond the last whole block are a shorter block, and where the first block ends is drawn at random in each
    repeat. The blocks of a group stand behind each other in a new order, which is never the old one. A window that
    reaches over the border of two blocks sees a jump: the longer the blocks are against the window, the fewer. With
    `lag_blocks` samples exchange what their windows hold at these lags by the same blocks; what is not there in one of
    two windows stays. Columns that say the same take each other's importance away.

    References
    ----------
    .. [1] H. R. Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics 17,
       1989 (for blocks that keep the dependence in time).

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.inspection import permutation_importance
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 3))
    >>> y = np.roll(X[:, 1], 2)  # the second column, two rows before
    >>> model = DeepRNNRegressor(hidden_size=8, sequence_length=4, random_state=0).fit(X[:400], y[:400])
    >>> result = permutation_importance(model, X[400:], y[400:], random_state=0)
    >>> int(result.importances_mean.argmax())
    1
    >>> by_lag = permutation_importance(model, X[400:], y[400:], lag_blocks=1, random_state=0)
    >>> by_lag.importances.shape
    (3, 4, 5)
    >>> int(by_lag.importances_mean[1].argmax())
    2
    """
    check_is_fitted(estimator)
    scorer = check_scoring(estimator, scoring=scoring)
    source = ColumnSource(X, groups)
    if source.is_set and block_length is not None:
        raise ValueError(
            f"block_length={block_length} goes with a 2-D table X; of a set of sequences, each sequence is a block."
        )
    length = None
    if not source.is_set:
        length = default_block_length(estimator, source.bounds) if block_length is None else block_length
    given = {"groups": groups, "context": context, "context_groups": context_groups}
    given |= {"future": future, "future_groups": future_groups}
    given = {name: value for name, value in given.items() if value is not None}
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    generator = check_random_state(random_state)
    orders = [_order(source, length, generator, block_length) for _ in range(n_repeats)]
    if lag_blocks is None:
        score = partial(_score_columns, estimator, scorer, source, y, given, weights)
        baseline, importances = score(None, None), np.empty((source.n_features, n_repeats))
        for column, repeat in np.ndindex(importances.shape):
            importances[column, repeat] = baseline - score(column, orders[repeat])
        extra = {}
    else:
        baseline, importances, lags = _by_lag(estimator, scorer, X, y, given, weights, lag_blocks, orders)
        extra = {"lags": lags}
    return Bunch(
        importances_mean=importances.mean(axis=-1),
        importances_std=importances.std(axis=-1),
        importances=importances,
        baseline_score=baseline,
        block_length=length,
        **extra,
    )


def _order(source, length, generator, wanted):
    """Return which row, or which sequence, comes in place of each, other than as they are."""
    if source.is_set:
        return shuffled_rows([np.arange(source.n_samples + 1)], generator, "X holds a single sequence")
    reason = f"block_length={length}"
    if wanted is None:
        reason = f"X has {source.n_samples} row" + "s" * (source.n_samples > 1)
    return shuffled_rows(cut_blocks(source.bounds, length, generator), generator, reason)


def _score_columns(estimator, scorer, source, y, given, weights, column, order):
    """Return the score with one column in another order; as it is without a column."""
    X = source.X if column is None else source.with_column(column, order)
    if source.is_set and column is not None and is_set_of_sequences(given.get("future")):
        given = {**given, "future": ColumnSource(given["future"], None).with_column(column, order)}
    asked = estimator
    if given:
        answers = {n: partial(getattr(estimator, n), **given) for n in (*ANSWERS, "score") if hasattr(estimator, n)}
        asked = _answering(estimator, answers)
    return float(scorer(asked, X, y, **weights))


def _answering(estimator, answers):
    """Return a shallow copy of an estimator with other functions in place of some methods."""
    copy = snapshot_of(estimator)
    for name, function in answers.items():
        function.__name__ = name  # scorers ask for it
        copy.__dict__[name] = function
    return copy


def _by_lag(estimator, scorer, X, y, given, weights, lag_blocks, orders):
    """Return the score, importances (n_features, n_lag_blocks, n_repeats), and first and last lag of each block."""
    refuse_estimator(estimator)
    if "future" in given:
        raise ValueError("future goes with lag_blocks=None: lags are rows before a prediction.")
    model = WindowModel(estimator, "permutation_importance with lag_blocks")
    arguments = (given.get(name) for name in ("groups", "context", "context_groups"))
    n_samples, n_rows, _ = model.windows(X, *arguments)
    lags = check_lag_blocks(lag_blocks, n_rows)
    names = [name for name in ANSWERS if hasattr(estimator, name)]

    def score(change=None):
        answers = {name: partial(_answers, model, n_samples, n_rows, name, change) for name in names}
        return float(scorer(_answering(estimator, answers), X, y, **weights))

    baseline, importances = score(), np.empty((model.n_features, len(lags), len(orders)))
    for column, block, repeat in np.ndindex(importances.shape):
        importances[column, block, repeat] = baseline - score((column, lags[block], orders[repeat]))
    return baseline, importances, lags


def _answers(model, n_samples, n_rows, method, change, X, **given):
    """Return what a method answers for all windows, some of whose rows come from other windows in one column."""
    size, found = max(1, BATCH_NUMBERS // (n_rows * model.n_features)), []
    for begin in range(0, n_samples, size):
        chosen = np.arange(begin, min(begin + size, n_samples))
        windows = model.windows_of(chosen, n_rows)
        if change is not None:
            column, (first, last), order = change
            others = model.windows_of(order[chosen], n_rows)
            taken = slice(n_rows - 1 - last, n_rows - first)
            present = (windows.present & others.present)[:, taken, 0]
            rows = windows.rows.copy()
            rows[:, taken, column] = np.where(present, others.rows[:, taken, column], rows[:, taken, column])
            windows = replace(windows, rows=rows)
        found.append(model.predicted(windows, method))
    return np.concatenate(found)


def refuse_estimator(estimator):
    """Raise for estimators whose windows cannot be changed lag by lag."""
    if not isinstance(estimator, BaseRNN):
        return  # `WindowModel` says what is expected
    for name, value in (("training", "stateful"), ("targets", "sequence")):
        if getattr(estimator, name) == value:
            raise ValueError(
                f"lag_blocks needs one window for each prediction, found {name}={value!r}: leave lag_blocks at None."
            )
    architecture = getattr(estimator, "_architecture", {})
    if architecture.get("decoder", "direct") != "direct" and architecture["known_columns"]:
        raise ValueError(
            f"lag_blocks changes the rows before a prediction, but decoder={architecture['decoder']!r} reads "
            "known_columns of the rows ahead, too: leave lag_blocks at None."
        )


def check_lag_blocks(lag_blocks, n_rows):
    """Return first and last lag of each block, of shape (n_blocks, 2)."""
    if isinstance(lag_blocks, Integral):
        edges = np.append(np.arange(0, n_rows, lag_blocks), n_rows)
    else:
        edges = np.asarray(lag_blocks)
        if edges.ndim != 1 or len(edges) < 2 or edges.dtype.kind not in "iu":
            raise ValueError(
                f"lag_blocks={lag_blocks!r}, expected a number of lags for each block, or two edges or more, integers "
                "that increase."
            )
        if edges[0] < 0 or (np.diff(edges) <= 0).any() or edges[-1] > n_rows:
            raise ValueError(
                f"lag_blocks={lag_blocks!r}, expected edges that increase, from 0 to at most the {n_rows} rows of the "
                "longest window."
            )
    return np.column_stack([edges[:-1], edges[1:] - 1])
