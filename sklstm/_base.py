"""What the estimators share: constructor, parameter constraints, features of the last hidden state. No maths."""

from abc import ABCMeta, abstractmethod
from functools import cache
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklstm._fitting import FittingMixin
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
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


class BaseLSTM(
    FittingMixin, StreamMixin, TransformerMixin, ClassNamePrefixFeaturesOutMixin, BaseEstimator, metaclass=ABCMeta
):
    """Base of the regressor and the classifier.

    A subclass says what its targets are (`_start_targets`, `_learn_targets`, `_encode_targets`), which loss they have
    (`_loss`) and how the raw output becomes a prediction (`_answer`).
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

    # What a subclass brings.

    @abstractmethod
    def _check_y(self, y, name, present=slice(None)):
        """Return targets as an array; only those of the samples that are `present` are looked at."""

    @abstractmethod
    def _start_targets(self, part, *, continued):
        """Find out what all targets are (outputs, classes), or check them against it; return the samples that count."""

    @abstractmethod
    def _counting_samples(self, part):
        """Return the samples of another part that count, after a look at the shape of its targets."""

    @abstractmethod
    def _learn_weights(self, part):
        """Learn the factors of classes from the training part, if there are any; return the weights of its loss."""

    @abstractmethod
    def _learn_targets(self, part, *, continued, running):
        """Learn what the coding of targets needs from the training part.

        `running`: in `partial_fit`, whose calls together are the training part.
        """

    @abstractmethod
    def _encode_targets(self, part):
        """Return targets of shape (n, n_outputs or 1) in that coding, and the weights of the loss."""

    @abstractmethod
    def _class_codes(self, part):
        """Return the number of the class of each sample, None where targets are no classes."""

    @abstractmethod
    def _loss(self):
        """Return the name of the loss and the number of outputs of the network."""

    def _loss_parameter(self):
        """Return the number that the loss needs, 0 where it needs none."""
        return 0.0

    @abstractmethod
    def _answer(self, z, method, out=None):
        """Return what `method` (predict, ...) says for raw outputs z of shape (n, n_outputs), written to `out`."""

    # The fitted parameters.

    def _freeze(self):
        known = self.__dict__
        scales = [known.get(name) for name in ("input_mean_", "input_scale_")]
        for array in [*known.get("parameters_", {}).values(), *scales]:
            if isinstance(array, np.ndarray):
                array.flags.writeable = False

    def __setstate__(self, state):
        """Restore a pickle; NumPy does not keep read-only flags."""
        super().__setstate__(state)
        self._freeze()

    # Using the fitted network. Public methods that answer begin with a snapshot: a fit in another thread may end while
    # they are at work.

    def _empty_network(self, layout, dtype):
        n_threads, mean, scale = resolve_num_threads(self.n_jobs), self.input_mean_, self.input_scale_
        if not mean.any() and (scale == 1.0).all():
            return Network(layout, dtype, n_threads)
        return Network(layout, dtype, n_threads, input_mean=mean, input_scale=scale)

    @property
    def _reference_columns(self):
        """Columns of X by whose `window_norm` the answers are undone, or None."""
        return None

    def _network(self):
        """Return the network with the fitted parameters, as they are now.

        Raises
        ------
        ValueError
            If the fitted attributes do not fit each other: no number of theirs reaches a kernel unchecked.
        """
        check_is_fitted(self)
        try:
            layout, flat = self._checked_parameters()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"this {type(self).__name__} is damaged, perhaps by a truncated or edited file: {error}. Fit it again, "
                "or load another copy."
            ) from error
        network = self._empty_network(layout, flat.dtype.name)
        # Only answers are put back: training, its validation part included, compares relative targets.
        network.reference_columns = self._reference_columns
        network.load(flat)
        return network

    def _checked_parameters(self):
        """Return layout and flat vector of the fitted parameters, after a check of what may be out of a file."""
        layout, n_features, (_, n_outputs) = ParameterLayout(**self._architecture), self.n_features_in_, self._loss()
        flat = layout.flatten(self.parameters_, self.parameters_["weight_out"].dtype)
        lost = vars(layout.architecture).keys() - self._architecture.keys()
        if lost:
            raise ValueError(f"the architecture lacks {sorted(lost)}")
        if flat.dtype not in (np.float32, np.float64):
            raise ValueError(f"parameters_ are of {flat.dtype}, expected float32 or float64")
        if not np.isfinite(flat).all():
            raise ValueError("parameters_ hold NaN or infinity")
        if layout.architecture.input_size != n_features:
            raise ValueError(f"n_features_in_={n_features}, but the network reads {layout.architecture.input_size}")
        if layout.n_outputs != n_outputs:
            raise ValueError(f"the network has {layout.n_outputs} outputs, but the targets need {n_outputs}")
        self._check_numbers(n_features, layout.architecture.window_norm)
        return layout, flat

    def _check_numbers(self, n_features, window_norm):
        """Raise unless what goes around the network, its inputs, answers and carried rows, could have been learnt."""
        for name in ("input_mean_", "input_scale_"):
            numbers = getattr(self, name)
            if np.shape(numbers) != (n_features,) or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
                raise ValueError(f"{name} is {numbers!r}, expected {n_features} finite numbers of float64")
        if not (self.input_scale_ > 0).all():
            raise ValueError(f"input_scale_ is {self.input_scale_!r}, expected numbers above 0")
        if not np.isfinite(getattr(self, "context_", 0.0)).all():
            raise ValueError("context_ holds NaN or infinity")
        mean, scale, columns = (
            getattr(self, "target_mean_", None),
            getattr(self, "target_scale_", 0.0),
            self._reference_columns,
        )
        if mean is None:
            return
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and np.min(scale) >= 0):
            raise ValueError(f"target_mean_={mean!r} and target_scale_={scale!r} are no mean and no deviation")
        if (columns is None) != (window_norm is None) or (columns is not None and len(columns) != np.size(mean)):
            raise ValueError(f"{window_norm=} does not go with targets that are the future of columns {columns}")
        if columns is not None and not all(isinstance(k, int) and 0 <= k < n_features for k in columns):
            raise ValueError(f"the targets are the future of columns {columns}, but there are {n_features}")

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
        if self._looks_back() or is_set_of_sequences(X):
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
