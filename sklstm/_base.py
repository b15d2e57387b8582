"""What the estimators share: constructor, parameter constraints, features of the last hidden state. No maths."""

from abc import ABCMeta, abstractmethod
from functools import cache
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from sklstm._fit_inputs import Given, looks_back
from sklstm._fitted import fitted_network, freeze
from sklstm._fitting import fit
from sklstm._options import refuse_renamed_values
from sklstm._snapshot import snapshot_of
from sklstm._time_order import look_at_question
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.schedules import SCHEDULES
from sklstm._validation import check_kind, check_sequences_after, in_place_of_rows, is_set_of_sequences
from sklstm._validation.parameters import LARGEST_N_LAYERS
from sklstm.streaming import StreamMixin


def _has_attention(model):
    # What was fitted counts, not what was set afterwards.
    options = getattr(model, "_architecture", None) or model.get_params(deep=False)
    heads, pooling = options["attention_heads"], options["pooling"]
    if heads or pooling == "attention":
        return True
    raise AttributeError(
        f"attention_weights needs attention_heads or pooling='attention', found attention_heads={heads!r} and "
        f"pooling={pooling!r}."
    )


@cache
def _parameter_names(kind):
    return BaseEstimator._get_param_names.__func__(kind)


class BaseLSTM(StreamMixin, TransformerMixin, ClassNamePrefixFeaturesOutMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the regressor and the classifier.

    A subclass says what its targets are (`_targets`) and which of their answers it gives (`predict`, ...).
    """

    _parameter_constraints: dict = {
        "hidden_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "n_layers": [Interval(Integral, 1, LARGEST_N_LAYERS, closed="both")],
        "bidirectional": ["boolean"],
        "projection_size": [Interval(Integral, 1, None, closed="left"), None],
        "peephole": ["boolean"],
        "residual": [Interval(Integral, 0, None, closed="left")],
        "layer_norm": [StrOptions({"output", "gates"}), None],
        "attention_heads": [Interval(Integral, 0, None, closed="left")],
        "pooling": [StrOptions({"last", "mean", "attention"})],
        "patch_length": [Interval(Integral, 1, None, closed="left")],
        "input_scaling": [StrOptions({"standard", "robust"}), None],
        "window_norm": [StrOptions({"last", "standard"}), None],
        "linear_skip": [Interval(Integral, 0, None, closed="left")],
        "training": [StrOptions({"windows", "stateful"})],
        "bptt_steps": [Interval(Integral, 1, None, closed="left")],
        "sequence_length": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_dropout": [Interval(Real, 0, 1, closed="left")],
        "zoneout": [Interval(Real, 0, 1, closed="left")],
        "weight_init": [StrOptions({"glorot", "he"})],
        "solver": [StrOptions(set(OPTIMIZERS))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), StrOptions({"adaptive"}), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "accumulation_steps": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean", StrOptions({"blocks"})],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "carry_context": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @classmethod
    def _get_param_names(cls):
        """As scikit-learn's, which reads the signature at each call: a third of the time of a tiny fit."""
        return _parameter_names(cls)

    def _keep(self, arguments):
        """Set an attribute for each argument of the constructor, given its ``locals()``."""
        for name, value in arguments.items():
            if name != "self":
                setattr(self, name, value)

    def _validate_params(self):
        """Check the parameters of the constructor, as `fit` does before all else."""
        refuse_renamed_values(self.get_params(deep=False))
        super()._validate_params()

    @abstractmethod
    def _targets(self):
        """Return the `Targets` of this estimator, with what was learnt of them so far."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        *,
        sample_weight=None,
        groups=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        groups_val=None,
    ):
        """Fit the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            A table whose rows are consecutive time steps (the sample of row i is the window of the last
            `sequence_length` rows that end at i), or a set of sequences, each one sample. What draws rows of a table at
            random tears windows apart: `train_test_split` without ``shuffle=False``, `HalvingGridSearchCV` with its
            resource of rows, bagging and boosting by copies of rows, SMOTE. Where a pandas index shows rows out of
            order, or holes, a `TimeOrderWarning` tells.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            One target per row of a table, or per sequence.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples in the loss, or of each of their outputs; None for equal weights. What has weight 0
            is not there: its target may be NaN.
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
            a warning names the last; otherwise it is as it was.
        """
        given, validation = Given(X, y, sample_weight, groups), Given(X_val, y_val, sample_weight_val, groups_val)
        return fit(self, given, validation)

    def __setstate__(self, state):
        """Restore a pickle; NumPy does not keep read-only flags."""
        super().__setstate__(state)
        freeze(self)

    # Using the fitted network. Public methods that answer begin with a snapshot: a fit in another thread may end while
    # they are at work.

    def _network(self):
        """Return the network with the fitted parameters, as they are now."""
        return fitted_network(self, self._targets())

    def _parts(self, X, groups, context, context_groups, network):
        """Return the sequences that X stands for, in parts, which answers of each count, and for which rows of X."""
        if (self.training == "stateful") != self._architecture["every_step"]:
            raise ValueError(
                f"training={self.training!r} was set after the network had been trained otherwise; fit again, or set "
                "training back."
            )
        check_kind(self._fitted_on, X)
        kept = getattr(self, "context_", None)
        carried = context is None and kept is not None and not is_set_of_sequences(X)
        if carried:
            context, context_groups = kept, self._groups_of_carried_rows(groups)
        parts = check_sequences_after(
            self, X, context, groups=groups, context_groups=context_groups, carried=carried, network=network
        )
        if looks_back(self) or is_set_of_sequences(X):
            look_at_question(self._row_order, X, groups, context, context_groups, carried=carried)
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

    def _forward(self, X, groups, context, context_groups, *, want_hidden=False):
        network = self._network()
        parts = self._parts(X, groups, context, context_groups, network)
        results = [(network.forward(part, want_hidden=want_hidden)[keep], rows) for part, keep, rows in parts]
        return in_place_of_rows(results)

    @available_if(_has_attention)
    def attention_weights(self, X, *, groups=None, context=None, context_groups=None):
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
            ``"heads"`` (n_samples, attention_heads, n_steps): what the last step of each sequence looks at.
            ``"pooling"`` (n_samples, n_steps): the weights of the pooling. The last column is the sequence's last step
            (of `patch_length` rows); zeros stand where a sequence has no step. Each row of weights sums to one.
        """
        model = snapshot_of(self)
        network = model._network()
        parts = model._parts(X, groups, context, context_groups, network)
        found = [network.attention_weights(part) for part, _, _ in parts]
        n_steps = max(weights.shape[-1] for part in found for weights in part.values())
        joined = {}
        for name in found[0]:
            padded = []
            for part, (_, keep, rows) in zip(found, parts, strict=True):
                before = n_steps - part[name].shape[-1]
                padded.append((np.pad(part[name][keep], [(0, 0)] * (part[name].ndim - 1) + [(before, 0)]), rows))
            joined[name] = in_place_of_rows(padded)
        return joined

    def transform(self, X, *, groups=None, context=None, context_groups=None):
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
            In the estimator's `dtype`: as many columns as the top layer has units, or `projection_size`, with
            `bidirectional` twice that.
        """
        return snapshot_of(self)._forward(X, groups, context, context_groups, want_hidden=True)

    def fit_transform(self, X, y=None, *, sample_weight=None, groups=None):
        """Fit, then transform the same X, with the same groups.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples in the loss, or of each of their outputs; None for equal weights. What has weight 0
            is not there: its target may be NaN.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            What `transform` returns.
        """
        fitted = self.fit(X, y, sample_weight=sample_weight, groups=groups)
        if not self.carry_context:
            return fitted.transform(X, groups=groups)
        # The carried rows come after X, not before it: X stands at the beginning here.
        before = np.empty((0, self.n_features_in_))
        return fitted.transform(X, groups=groups, context=before, context_groups=None if groups is None else [])

    @property
    def _n_features_out(self):
        return self.parameters_["weight_out"].shape[1]

    def __sklearn_tags__(self):
        """Say that 3-D input is welcome and that features have the dtype of the network."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.required = True
        return tags
