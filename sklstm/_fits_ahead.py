"""Fitting with rows ahead: the methods of the regressors, whose decoders read what is known of later rows."""

from __future__ import annotations

from typing import Self

from numpy.typing import ArrayLike

from sklstm._fit_inputs import Given
from sklstm._fitting import fit, partial_fit
from sklstm._typing import checks_parameters
from sklstm._validation import Future


class FitsAhead:
    """`fit` and `partial_fit` with the argument `future`."""

    @checks_parameters(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups_val: ArrayLike | None = None,
        future: ArrayLike | None = None,
        future_groups: ArrayLike | None = None,
        future_val: ArrayLike | None = None,
        future_groups_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            A table whose rows are consecutive time steps (the sample of row i is the window of the last
            `sequence_length` rows that end at i), or a set of sequences, each one sample. What draws rows of a table at
            random tears windows apart: `train_test_split` without ``shuffle=False``, `HalvingGridSearchCV` with its
            resource of rows, bagging and boosting by copies of rows, SMOTE. Where a pandas index shows rows out of
            order, or holes, there is a `TimeOrderWarning`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), or list of arrays
            One target per row of a table, or per sequence; of a horizon the values of the rows after it, also of shape
            (n_samples, horizon, n_targets); with ``targets="sequence"`` an array of shape (n_steps_i,)
            or (n_steps_i, n_outputs) for each sequence, where NaN is a missing target.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), or list of arrays, default=None
            Weights of the samples in the loss, or of each of their outputs; None for equal weights. Samples of weight 0
            are excluded; their targets may be NaN. With ``targets="sequence"`` one weight per sequence, or arrays like
            those of y.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table; no window crosses from one group into another. The rows of a group follow
            each other.
        X_val, y_val, sample_weight_val, groups_val : array-like, default=None
            A validation part of your own instead of the last `validation_fraction` of the training data; it switches
            early stopping on. Its first windows begin at its first row, or at the first row of each group.
        future : array-like of shape (n_rows, n_features), default=None
            The rows that come right after X, of which a `decoder` reads the `known_columns`; after each sequence of a
            set, an array of 3 axes or a list.
        future_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `future`.
        future_val, future_groups_val : array-like, default=None
            The rows that come right after `X_val`, and their labels.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not as described, or if training diverges. What was fitted before is then still there.
        KeyboardInterrupt
            After Ctrl-C. If an epoch had been finished, the estimator is then fitted, by the finished epochs alone, and
            a warning names the last; otherwise it is as it was.
        """
        given = Given(X, y, sample_weight, groups, Future(future, future_groups))
        ahead_val = Future(future_val, future_groups_val)
        return fit(self, given, Given(X_val, y_val, sample_weight_val, groups_val, ahead_val))

    @checks_parameters(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        future: ArrayLike | None = None,
        future_groups: ArrayLike | None = None,
    ) -> Self:
        """Go on training for one epoch over these data.

        The first call decides the network's shapes and what the columns of X are standardised by, but for columns that
        it saw one value of: their scale follows. What targets are measured by follows all rows so far: where it was
        unknown (a constant), or their deviation has grown to over three times `target_scale_`, both become those of all
        rows, the head is rescaled so that the answers stay [vanHasselt2016]_, and the solver starts anew. Otherwise
        solver, ``max_grad_norm="adaptive"`` and ``learning_rate="reduce_on_plateau"`` keep what they know of the steps
        so far, and weights count against the mean weight of all samples so far. n calls with the same data are n epochs
        of a `fit` without early stopping, bit for bit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. Windows begin at the first row of this X: hand over blocks that are long against
            `sequence_length`. So do the states with ``training="stateful"``: they are zero before each block.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), or list of arrays
            Targets, as in `fit`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples in the loss, or of each of their outputs; None for equal weights. Samples of weight 0
            are excluded; their targets may be NaN.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        future, future_groups : array-like, default=None
            The rows that come right after X, as in `fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        return partial_fit(self, Given(X, y, sample_weight, groups, Future(future, future_groups)))
