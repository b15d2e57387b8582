"""The method `attention_weights` of the estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._snapshot import snapshot_of
from sklstm._typing import available_if
from sklstm._validation import in_place_of_rows, refuse_overflow


def _has_attention(model: Any) -> bool:
    # What was fitted counts, not what was set afterwards.
    options = getattr(model, "_architecture", None) or model.get_params(deep=False)
    heads, pooling = options["attention_heads"], options["pooling"]
    if heads or pooling == "attention":
        return True
    raise AttributeError(
        f"attention_weights needs attention_heads or pooling='attention', found attention_heads={heads!r} and "
        f"pooling={pooling!r}."
    )


class AttentionMixin:
    """The method `attention_weights` of an estimator that has `_network()` and `_parts()`."""

    @available_if(_has_attention)
    def attention_weights(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
    ) -> dict[str, NDArray[np.floating[Any]]]:
        """Return how much each step of a sample's sequence counts, with `attention_heads` or ``pooling="attention"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        dict of str to ndarray
            ``"heads"`` (n_samples, attention_heads, n_steps): what the last step of each sequence looks at, also with
            ``targets="sequence"``.
            ``"pooling"`` (n_samples, n_steps): the weights of the pooling. The last column is the sequence's last step
            (of `patch_length` rows); zeros stand where a sequence has no step. Each row of weights sums to one. With
            `n_seeds`, there are the heads of all networks, and the mean weights of their poolings.
        """
        model: Any = snapshot_of(self)
        network = model._network()
        parts = model._parts(X, groups, context, context_groups, network)
        if model.targets == "sequence":
            parts = [(part.whole_series(), keep, rows) for part, keep, rows in parts]
        found = [network.attention_weights(part) for part, _, _ in parts]
        n_steps = max(weights.shape[-1] for part in found for weights in part.values())
        joined = {}
        for name in found[0]:
            padded = []
            for part, (_, keep, rows) in zip(found, parts, strict=True):
                before = n_steps - part[name].shape[-1]
                padded.append((np.pad(part[name][keep], [(0, 0)] * (part[name].ndim - 1) + [(before, 0)]), rows))
            joined[name] = in_place_of_rows(padded)
            refuse_overflow(
                joined[name].reshape(len(joined[name]), -1), lambda sample: f"X[{sample}]", network.dtype_name
            )
        return joined
