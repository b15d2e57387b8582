"""Selecting columns of sets of sequences, as of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sklstm._snapshot import snapshot_of
from sklstm._validation import (
    advice_for_axes,
    check_container,
    check_entry,
    is_list_of_sequences,
    naming,
    refuse_masked,
    refuse_other_width,
)


class SequenceTransformMixin:
    """Methods of a selector of columns that take sets of sequences too; a table goes to the next class.

    They are not defined in the selector because scikit-learn wraps the methods that a class defines itself: the
    container of `set_output` is that of each sequence, not of the set.
    """

    def transform(self, X: ArrayLike) -> Any:
        """Reduce X to the selected columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), array of shape (n_sequences, n_steps, n_features) or list of \
                arrays (n_steps_i, n_features)
            Table or sequences with the columns seen during `fit`.

        Returns
        -------
        X_selected : array or list of the shape of X, with n_selected columns
            The selected columns, in the order and of the type they have in `X`.
        """
        check_is_fitted(self)
        model = snapshot_of(self)  # another thread may fit it meanwhile
        of_tables = super(SequenceTransformMixin, model).transform  # type: ignore[misc]  # of the next class
        return model._map_tables(X, of_tables, model.n_features_in_)

    def inverse_transform(self, X: ArrayLike) -> Any:
        """Put the selected columns back where they were, zeros where the others were.

        Parameters
        ----------
        X : array of shape (n_samples, n_selected) or (n_sequences, n_steps, n_selected), or list of arrays
            Output of `transform`.

        Returns
        -------
        X_original : array or list of the shape of X, with n_features columns
            `X` with columns of zeros where `transform` had left columns out.
        """
        check_is_fitted(self)
        model = snapshot_of(self)
        of_tables = super(SequenceTransformMixin, model).inverse_transform  # type: ignore[misc]
        return model._map_tables(X, of_tables, model.support_.sum())

    def _map_tables(self, X, function, n_columns):
        """Apply a function of tables to X, to each sequence in a list, or to all rows of a 3-D array at once."""
        refuse_masked(X, "X")
        X = check_container(X, "X")
        if is_list_of_sequences(X):
            answers = []
            for i, sequence in enumerate(X):
                with naming(f"X[{i}]"):
                    answers.append(function(check_entry(sequence, f"X[{i}]", "X")))
            return answers
        if getattr(X, "ndim", 2) != 3:
            with naming("X"):
                return function(X)
        with naming("X"):
            X = check_array(X, dtype=None, allow_nd=True, input_name="X", estimator=self)
        end = f" (the last axis).{advice_for_axes(X, n_columns)}"
        refuse_other_width(self, X.shape[2], n_columns, f"X of shape {X.shape}", end)
        kept = self.support_
        if function.__name__ == "transform":
            return X[:, :, kept]
        answer = np.zeros((*X.shape[:2], len(kept)), X.dtype)
        answer[:, :, kept] = X
        return answer
