"""What the estimators share: fitted attributes, the network that they describe, features of its last state."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from sklstm._answers import in_sequences, refuse_other_container
from sklstm._attention_mixin import AttentionMixin
from sklstm._fit_inputs import Given, looks_back, refuse_other_targets
from sklstm._fitted import fitted_network, freeze, upgraded
from sklstm._fitting import fit
from sklstm._network_summary import NetworkSummaryMixin
from sklstm._options import has_output_at_every_step
from sklstm._parameters import NetworkParameters
from sklstm._pickles import VersionedPickles
from sklstm._rows_ahead import look_from
from sklstm._seeds import n_networks
from sklstm._snapshot import snapshot_of
from sklstm._spectral_radius import SpectralRadiusMixin
from sklstm._stream_mixin import StreamMixin
from sklstm._targets import Targets
from sklstm._time_order import look_at_question
from sklstm._typing import Array, checks_parameters
from sklstm._validation import (
    check_kind,
    check_sequences_after,
    in_place_of_rows,
    is_dask,
    is_set_of_sequences,
    refuse_overflow,
    refuse_table_for_sequences,
    title_of_row,
)


class BaseRNN(
    VersionedPickles,
    StreamMixin,
    AttentionMixin,
    NetworkSummaryMixin,
    SpectralRadiusMixin,
    TransformerMixin,
    ClassNamePrefixFeaturesOutMixin,
    NetworkParameters,
    metaclass=ABCMeta,
):
    """Base of the regressors and the classifiers.

    A subclass says what its targets are (`_targets`) and which of their answers it gives (`predict`, ...).

    Attributes
    ----------
    parameters_ : dict of str to ndarray
        The network, read-only, with the arrays of each layer as below, ``weight_out`` (n_outputs, features) and
        ``bias_out`` (n_outputs,), for the features that `transform` gives:

        - each layer: ``weight_ih_l0`` (k hidden_size, n_features), ``weight_hh_l0`` (k hidden_size, hidden_size) if the
          cell has recurrent weights, and ``bias_l0``, then ``_l1``, ...; the k blocks of rows, and those of the bias,
          have the order that the docs of the cell name, for the LSTM i, f, g, o.
        - cell with projection_size P: ``weight_hr_l0`` (P, hidden_size), and P columns where h is read.
        - cell with layer_norm: ``norm_weight_ih_l0``, ``norm_weight_hh_l0``, a gain for each row; of the LSTM also
          ``norm_weight_c_l0``, ``norm_bias_c_l0`` (hidden_size,).
        - LSTM with peephole: ``weight_peephole_l0`` (3, hidden_size), rows i, f, o; IndRNN and SRU:
          ``weight_recurrent_l0`` (1 or 2, hidden_size); RGLRU: ``bias_decay_l0`` (1, hidden_size), with
          convolution ``weight_convolution_l0`` (4, hidden_size); state spaces, Mamba, RWKV and LMU: arrays (k,
          hidden_size) that the docs of the cell name.
        - bidirectional: the same with ``_backward`` behind the names; the next layer and the head read twice as much.
        - residual: ``weight_residual_l2``, only where the sizes of the two layers differ.
        - output_gate: ``weight_gate_l0`` (outputs of the layer, inputs of it).
        - norm: ``norm_weight_l0``, of "layer" also ``norm_bias_l0`` (outputs of the layer,).
        - feedforward, with F units: ``norm_weight_feedforward_l0``, of "layer" also ``norm_bias_feedforward_l0``
          (outputs of the layer,), ``weight_feedforward_in_l0`` (2 F, outputs), ``weight_feedforward_out_l0`` (outputs,
          F).
        - attention_heads: ``norm_weight_attention``, ``norm_bias_attention`` (features,), ``weight_attention_in``
          (3 features, features), rows of q, k, v, ``bias_attention_in``, ``weight_attention_out`` (features,
          features), ``bias_attention_out``.
        - pooling "attention": ``weight_pool`` (features,).
        - patch_length: ``weight_ih_l0`` has so many times the columns, first row first.
        - linear_skip: ``weight_skip`` (n_outputs, linear_skip * n_features), first row first.
        - decoder: ``bias_decoder_l0`` (n_turns, size of bias_l0), ``weight_out`` and ``bias_out`` with the outputs of a
          turn, and beside `linear_skip` ``bias_skip`` (n_outputs,).
    input_mean_, input_scale_ : ndarray of shape (n_features,)
        What the network subtracts from each column of X, and then divides it by, float64: see `input_scaling`. 1 is the
        scale of a constant column. With `window_norm` only the scale is used, but for `known_columns`: windows bring
        their own mean. A layer for columns as they come has ``weight_ih_l0 / input_scale_`` and ``bias_l0 -
        (weight_ih_l0 / input_scale_) @ input_mean_`` (of the GRU in its blocks r, z, n_x); with the `layer_norm` of a
        cell there is none.
    n_iter_ : int
        Epochs trained, those of earlier fits with `warm_start` or `partial_fit` included.
    loss_ : float
        Training loss of the last epoch.
    loss_curve_ : list of float
        Training loss of each epoch.
    gradient_norms_ : list of float
        Mean norm of the gradient in each epoch, before clipping.
    validation_scores_ : list of float or None
        With early stopping, the score of the validation part after each epoch of the last `fit`: that of `scoring`, or
        1 - loss / loss of the best constant answer.
    validation_loss_curve_ : list of float or None
        With early stopping, the loss of the validation part after each epoch of the last `fit`, in the unit of
        `loss_curve_`; dropout and the like are off.
    best_validation_score_ : float or None
        Largest of the scores: that of the parameters that were kept. None without early stopping.
    best_iteration_ : int
        The epoch whose parameters were kept, counted from 1 as `n_iter_` counts; without early stopping the last. 0 if
        none was better than the linear part of `linear_skip` alone.
    ridge_penalty_ : float
        Penalty of the linear part, as scikit-learn's `Ridge` counts it on standardised targets; infinite for zero
        weights. Only with `linear_skip`.
    skip_score_ : float
        Score of the linear part alone, on the validation part (``best_validation_score_ - skip_score_`` is what the
        network adds), without one on the training part. Only with `linear_skip`.
    best_loss_ : float or None
        Smallest training loss; None with early stopping.
    weight_decay_ : float
        The decay of the last training: `weight_decay`, or what its "auto" stands for.
    context_ : ndarray of shape (sequence_length - 1, n_features)
        The carried rows; only with ``carry_context=True``. Those of all groups, one after the other.
    context_groups_ : ndarray of shape (n_rows,)
        The group of each carried row; only with ``carry_context=True`` and groups.
    other_networks_ : list of dict
        Only with `n_seeds` above 1: `parameters_` and `n_iter_` to `best_loss_` of each further network, by name; the
        attributes themselves are those of the first.
    quantization_dtype_, quantization_error_ : str, float
        Only of a model that `quantize` made: its integers, "int8" or "int16", and how far its raw outputs were from
        those of the float model. In `parameters_` the ``weight_ih`` and ``weight_hh`` of the layers are integers then,
        with ``scale_ih_l0``, ``scale_hh_l0`` for each row and ``step_x_l0``, ``step_h_l0`` for each column.
    spectral_radius_ : dict of str to ndarray of shape (n_gates,)
        Largest absolute eigenvalue of each gate's recurrent matrix, for "weight_hh_l0" and each further layer and
        direction; of an Elman cell, whose only matrix that is, that of the recurrence. Where h is a projection, that of
        the product of both. Only of cells with `weight_hh`.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features; only when X had string column names.
    sparsity_ : float
        Share of the weights of matrices that were pruned; only after `sklstm.compression.prune`.
    factorization_error_ : ndarray of shape (n_layers,)
        Relative error of the weights that read each layer; only after `sklstm.compression.factorize`.
    operations_saved_ : float
        Share of the multiplications that it saved; only after `sklstm.compression.factorize`.
    """

    parameters_: dict[str, NDArray[Any]]
    input_mean_: NDArray[np.float64]
    input_scale_: NDArray[np.float64]
    n_iter_: int
    loss_: float
    loss_curve_: list[float]
    gradient_norms_: list[float]
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    best_iteration_: int
    best_loss_: float | None
    other_networks_: list[dict[str, Any]]
    ridge_penalty_: float
    skip_score_: float
    context_: Array
    context_groups_: Array
    quantization_dtype_: str
    quantization_error_: float
    n_features_in_: int
    feature_names_in_: Array
    sparsity_: float
    factorization_error_: NDArray[np.float64]
    operations_saved_: float

    @abstractmethod
    def _targets(self) -> Targets:
        """Return the `Targets` of this estimator, with what was learnt of them so far."""

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
            One target per row of a table, or per sequence; with ``targets="sequence"`` an array of shape (n_steps_i,)
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
            a warning names the last; otherwise it is as it was. Of `n_seeds` networks those are kept that had finished
            one.
        """
        given, validation = Given(X, y, sample_weight, groups), Given(X_val, y_val, sample_weight_val, groups_val)
        return fit(self, given, validation)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle; NumPy does not keep read-only flags."""
        super().__setstate__(upgraded(state))
        freeze(self)

    # Using the fitted network. Public methods that answer begin with a snapshot: a fit in another thread may end while
    # they are at work.

    def _network(self):
        """Return the network with the fitted parameters, as they are now."""
        return fitted_network(self, self._targets())

    def _parts(self, X, groups, context, context_groups, network, scales=None, look=None):
        """Return the sequences that X stands for, in parts, which answers of each count, and for which rows of X."""
        refuse_other_targets(self)
        if has_output_at_every_step(self.get_params(deep=False)) != self._architecture["every_step"]:
            raise ValueError(
                f"training={self.training!r} was set after the network had been trained otherwise; fit again, or set "
                "training back."
            )
        refuse_table_for_sequences(self.targets, X)
        check_kind(self._fitted_on, X)
        if scales is None:
            scales = self._targets().call_scales()
        if scales is not None:
            scales.check(groups)
        kept = getattr(self, "context_", None)
        carried = context is None and kept is not None and not is_set_of_sequences(X)
        if carried:
            context, context_groups = kept, self._groups_of_carried_rows(groups)
        parts = check_sequences_after(
            self,
            X,
            context,
            groups=groups,
            context_groups=context_groups,
            carried=carried,
            network=network,
            scales=scales,
            look=look,
        )
        if looks_back(self) or is_set_of_sequences(X):
            look_at_question(self._row_order, X, groups, context, context_groups, carried=carried)
        if self.targets == "sequence":
            return [(part.at_every_row(), keep, rows) for part, keep, rows in parts]
        return parts

    def _groups_of_carried_rows(self, groups):
        kept = getattr(self, "context_groups_", None)
        if (groups is None) == (kept is None):
            return kept
        if kept is None:
            raise ValueError("groups: carry_context=True kept the rows of one series, whose group is not known.")
        raise ValueError(
            "groups is missing: carry_context=True kept the last rows of each group of fit. Tell which series each row "
            "of X goes on with, by groups."
        )

    def _forward(self, X, groups, context, context_groups, future=None, *, want_hidden=False):
        network, scales = self._network(), self._targets().call_scales()
        look = None if want_hidden else look_from(self, X, groups, future, network)
        parts = self._parts(X, groups, context, context_groups, network, scales, look)
        results = [(network.forward(part, want_hidden=want_hidden)[keep], rows) for part, keep, rows in parts]
        outputs = in_place_of_rows(results)
        bounds = parts[0][0].bounds
        title = "X[{}]".format if bounds is None else partial(title_of_row, bounds=bounds, name="X")
        refuse_overflow(outputs, title, network.dtype_name)
        if scales is None or want_hidden:
            return outputs
        return scales.moments(outputs, 2 * len(network.reference_columns or ()))

    def _answer(self, method, X, groups, context, context_groups, future=None):
        """Return what a method says of X; called on a snapshot."""
        if is_dask(X):
            from sklstm._dask_collections import lazy_answer

            return lazy_answer(self, method, X, groups, context, context_groups, future)
        answers = self._targets().decode(self._forward(X, groups, context, context_groups, future), method)
        return in_sequences(answers, X) if self.targets == "sequence" else answers

    def transform(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        context: ArrayLike | None = None,
        context_groups: ArrayLike | None = None,
    ) -> Any:
        """Return what the head reads, the last hidden state of the top layer, as features for another model.

        With `pooling` or `attention_heads`, what these make of the hidden states.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            In the estimator's `dtype`, or float32 (of "bfloat16", of integers): as many columns as the top layer has
            units, or the `projection_size` of its cell, with `bidirectional` twice that. With `n_seeds`, those of all
            networks side by side. With ``targets="sequence"`` one such array per sequence, in a list, or a 3-D array
            where X is one.
        """
        model = snapshot_of(self)
        if model.targets != "sequence":
            return model._forward(X, groups, context, context_groups, want_hidden=True)
        refuse_other_container(model)
        return in_sequences(model._forward(X, groups, context, context_groups, want_hidden=True), X)

    def fit_transform(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Any:
        """Fit, then transform the same X, with the same groups.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), or list of arrays
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples in the loss, or of each of their outputs; None for equal weights. Samples of weight 0
            are excluded; their targets may be NaN.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            What `transform` returns.
        """
        fitted = self.fit(X, y, sample_weight=sample_weight, groups=groups)  # type: ignore[arg-type]  # refuses None
        if not self.carry_context:
            return fitted.transform(X, groups=groups)
        # The carried rows come after X, not before it: X stands at the beginning here.
        before = np.empty((0, self.n_features_in_))
        return fitted.transform(X, groups=groups, context=before, context_groups=None if groups is None else [])

    @property
    def _n_features_out(self) -> int:
        return n_networks(self) * self.parameters_["weight_out"].shape[1]

    def __sklearn_tags__(self) -> Any:
        """Say that 3-D input is welcome and that features have the dtype of the network."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.required = True
        return tags
