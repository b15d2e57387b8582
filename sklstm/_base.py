"""What the estimators share: parameter constraints, wiring of fit, features of the last hidden state. No maths."""

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklstm._kernels._pool import resolve_num_threads
from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._training.loop import Samples, Settings, train
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.schedules import SCHEDULES
from sklstm._validation import (
    check_hidden_sizes,
    check_lengths_agree,
    check_sequences,
    check_sequences_after,
    check_weights,
    is_set_of_sequences,
)
from sklstm.streaming import StreamMixin

# Below this many samples a validation part costs more accuracy than early stopping saves (doc/defaults.md).
AUTO_EARLY_STOPPING = 200


class BaseLSTM(StreamMixin, TransformerMixin, ClassNamePrefixFeaturesOutMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the regressor and the classifier.

    A subclass says what its targets are (`_encode_targets`), which loss they have (`_loss`) and how the raw output
    becomes a prediction (`_answer`).
    """

    _parameter_constraints: dict = {
        "hidden_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "residual": [Interval(Integral, 0, None, closed="left")],
        "layer_norm": [StrOptions({"output"}), None],
        "sequence_length": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "solver": [StrOptions(set(OPTIMIZERS))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), StrOptions({"adaptive"}), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
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

    @abstractmethod
    def __init__(
        self,
        hidden_size,
        n_layers,
        *,
        residual,
        layer_norm,
        sequence_length,
        dropout,
        solver,
        learning_rate_init,
        learning_rate,
        weight_decay,
        max_grad_norm,
        batch_size,
        max_iter,
        shuffle,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        warm_start,
        carry_context,
        dtype,
        n_jobs,
        random_state,
        verbose,
    ):
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.residual = residual
        self.layer_norm = layer_norm
        self.sequence_length = sequence_length
        self.dropout = dropout
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.carry_context = carry_context
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # What a subclass brings.

    @abstractmethod
    def _learn_targets(self, y, weights, *, continued):
        """Learn from y what its coding needs (scale, classes) into `self`; `continued`: only check against it."""

    @abstractmethod
    def _encode_targets(self, y, weights, name="y"):
        """Return targets of shape (n, n_outputs or 1) in that coding, and the weights of the loss."""

    @abstractmethod
    def _loss(self):
        """Return the name of the loss and the number of outputs of the network."""

    def _loss_parameter(self):
        """Return the number that the loss needs, 0 where it needs none."""
        return 0.0

    @abstractmethod
    def _answer(self, z, method, out=None):
        """Return what `method` (predict, ...) says for raw outputs z of shape (n, n_outputs), written to `out`."""

    # Fitting. It fills a scratch object, so that a failure leaves the estimator as it was.

    def _scratch(self, *, continued):
        work = type(self)(**self.get_params(deep=False))
        if continued:
            work.__dict__.update(self.__dict__)
        return work

    def _adopt(self, work):
        parameters = self.get_params(deep=False)
        for name in set(self.__dict__) - set(work.__dict__):
            if name.endswith("_") and not name.startswith("_"):
                del self.__dict__[name]
        self.__dict__.update({name: value for name, value in work.__dict__.items() if name not in parameters})
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sample_weight=None, groups=None, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            A table whose rows are consecutive time steps (the sample of row i is the window of the last
            `sequence_length` rows that end at i), or a set of sequences, each one sample.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            One target per row of a table, or per sequence.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss; None for equal weights.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table; no window crosses from one group into another. The rows of a group follow
            each other.
        X_val, y_val, sample_weight_val : array-like, default=None
            A validation part of your own instead of the last `validation_fraction` of the training data; it switches
            early stopping on.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not as described, or if training diverges. What was fitted before is then still there.
        """
        continued = self.warm_start and hasattr(self, "parameters_")
        work = self._scratch(continued=continued)
        samples = work._check_samples(X, y, sample_weight, groups, continued=continued)
        samples, held_out = work._hold_out(samples, X_val, y_val, sample_weight_val)
        work._train(samples, held_out, max_iter=self.max_iter, continued=continued, keep_moments=False)
        return self._adopt(work)

    def _partial_fit(self, X, y, sample_weight, groups, **known):
        """Train for one epoch; `known` are fitted attributes that the first call need not learn."""
        if self.learning_rate != "constant":
            raise ValueError(
                f"partial_fit does not know how many epochs will come, which learning_rate={self.learning_rate!r} "
                "needs; use learning_rate='constant'."
            )
        continued = hasattr(self, "parameters_")
        work = self._scratch(continued=continued)
        work.__dict__.update(known)
        samples = work._check_samples(X, y, sample_weight, groups, continued=continued)
        work._train(samples, None, max_iter=1, continued=continued, keep_moments=True)
        return self._adopt(work)

    def _check_samples(self, X, y, sample_weight, groups, *, continued):
        if self.carry_context and groups is not None:
            raise ValueError("carry_context=True cannot be combined with groups: whose rows to carry would be unclear.")
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        sequences = check_sequences(self, X, reset=not continued, groups=groups)
        check_lengths_agree(len(sequences), y)
        weights = check_weights(sample_weight, len(sequences))
        self._learn_targets(y, weights, continued=continued)
        if self.carry_context:
            self.context_ = self._rows_to_carry(X, sequences)
        return self._samples(sequences, y, weights)

    def _samples(self, sequences, y, weights, name="y"):
        targets, weights = self._encode_targets(y, weights, name)
        # Only ratios of weights count. A power of two, which costs no bit, brings them into the range of float32.
        weights = np.ldexp(weights, -np.frexp(weights.max())[1])
        return Samples(sequences, np.ascontiguousarray(targets, self.dtype), weights.astype(self.dtype))

    def _rows_to_carry(self, X, sequences):
        if is_set_of_sequences(X):
            raise ValueError("carry_context=True goes with a 2-D table X; a set of sequences has no rows to carry.")
        reach = self.sequence_length - 1
        rows = sequences.table[len(sequences.table) - min(reach, len(sequences.table)) :].copy()
        rows.flags.writeable = False
        return rows

    def _hold_out(self, samples, X_val, y_val, sample_weight_val):
        """Return the training samples and the validation samples, None without early stopping."""
        n = len(samples.sequences)
        if X_val is not None or y_val is not None:
            if X_val is None or y_val is None:
                raise ValueError("X_val and y_val go together, but only one of them was given.")
            sequences = check_sequences(self, X_val, name="X_val")
            check_lengths_agree(len(sequences), y_val, "y_val")
            weights = check_weights(sample_weight_val, len(sequences), "sample_weight_val")
            return samples, self._samples(sequences, y_val, weights, "y_val")
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val.")
        wanted = n >= AUTO_EARLY_STOPPING if self.early_stopping == "auto" else self.early_stopping
        if not wanted:
            return samples, None
        first, last = samples.sequences.split_last(self.validation_fraction)
        if len(last) == 0:
            if self.early_stopping == "auto":
                return samples, None
            raise ValueError(
                f"early_stopping=True with validation_fraction={self.validation_fraction} leaves no training or no "
                f"validation sample of {n}: {samples.sequences.gap} rows (sequence_length - 1) lie between the two."
            )
        if not samples.weights[last].any() or not samples.weights[first].any():
            raise ValueError("early stopping: all weights of the training or of the validation part are zero.")
        return samples.take(first), samples.take(last)

    def _train(self, samples, held_out, *, max_iter, continued, keep_moments):
        """Train from the current or from new parameters and set the fitted attributes."""
        loss, n_outputs = self._loss()
        loss_parameter = self._loss_parameter()
        hidden_sizes = check_hidden_sizes(self.hidden_size, self.n_layers, self.residual)
        layout = ParameterLayout(
            samples.sequences.table.shape[1],
            hidden_sizes,
            n_outputs,
            residual=int(self.residual),
            layer_norm=self.layer_norm,
        )
        if continued:
            flat = self._continue_from(layout)
            seed, moments = self._training_state["seed"], self._training_state.get("moments")
            if self._training_state["solver"] != self.solver:
                moments = None  # those of another solver mean something else
        else:
            seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            generator = np.random.Generator(np.random.Philox(key=seed))
            flat, moments = layout.initial(generator, self.dtype), None
        n = len(samples.sequences)
        settings = Settings(
            loss=loss,
            batch_size=automatic_batch_size(n) if self.batch_size == "auto" else min(self.batch_size, n),
            max_iter=max_iter,
            shuffle=self.shuffle,
            learning_rate=self.learning_rate_init,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            dropout=float(self.dropout) if len(hidden_sizes) > 1 else 0.0,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            seed=seed,
            verbose=bool(self.verbose),
            schedule=self.learning_rate,
            optimizer=self.solver,
            loss_parameter=loss_parameter,
        )
        network = Network(layout, self.dtype, resolve_num_threads(self.n_jobs))
        first_epoch = self.n_iter_ if continued else 0
        history = train(network, flat, samples, settings, held_out, first_epoch, moments if keep_moments else None)
        self._training_state = {"seed": seed, "solver": self.solver}
        # What the shapes of the parameters do not tell.
        self._architecture = {"residual": layout.residual}
        if keep_moments:
            self._training_state["moments"] = history.optimizer_state
        self._set_parameters(layout, flat)
        self.n_iter_ = first_epoch + history.n_epochs
        self.loss_curve_ = (self.loss_curve_ if continued else []) + history.loss_curve
        self.loss_ = history.loss_curve[-1]
        self.gradient_norms_ = (self.gradient_norms_ if continued else []) + history.gradient_norms
        scores = history.validation_scores or None
        self.validation_scores_ = scores
        self.best_validation_score_ = None if scores is None else max(scores)
        self.best_loss_ = min(self.loss_curve_) if scores is None else None

    def _continue_from(self, layout):
        """Return the fitted parameters as a new flat vector, if they still fit the constructor's parameters."""
        found = {name: array.shape for name, array in self.parameters_.items()}
        expected = {p.name: p.shape for p in layout.parameters}
        if found != expected:
            changed = [f"{k}: {found.get(k)} -> {expected.get(k)}" for k in {**found, **expected} if
                       found.get(k) != expected.get(k)]  # fmt: skip
            raise ValueError(
                "training cannot go on from parameters of another shape (" + ", ".join(changed[:3]) + "); set "
                "warm_start=False, or set hidden_size, n_layers and layer_norm back."
            )
        if self._architecture["residual"] != layout.residual:
            raise ValueError(
                f"training cannot go on with residual={layout.residual}: the network was trained with "
                f"residual={self._architecture['residual']}. Set warm_start=False, or set residual back."
            )
        return layout.flatten(self.parameters_, self.dtype).copy()

    def _set_parameters(self, layout, flat):
        self.parameters_ = {name: view.copy() for name, view in layout.views(flat).items()}
        self._freeze()

    def _freeze(self):
        for array in self.__dict__.get("parameters_", {}).values():
            array.flags.writeable = False

    def __setstate__(self, state):
        """Restore a pickle; NumPy does not keep read-only flags."""
        super().__setstate__(state)
        self._freeze()

    # Using the fitted network.

    def _network(self):
        """Return the network with the fitted parameters, as they are now."""
        layout = ParameterLayout.of(self.parameters_, **self._architecture)
        dtype = self.parameters_["weight_out"].dtype.name
        network = Network(layout, dtype, resolve_num_threads(self.n_jobs))
        network.load(layout.flatten(self.parameters_, dtype))
        return network

    def _forward(self, X, groups, context, *, want_hidden=False):
        check_is_fitted(self)
        dtype = self.parameters_["weight_out"].dtype.name
        carried = getattr(self, "context_", None)
        if context is None and carried is not None and not is_set_of_sequences(X):
            if groups is not None:
                raise ValueError("groups cannot be combined with carry_context=True: X follows the carried rows.")
            context = carried
        parts = check_sequences_after(self, X, context, groups=groups, dtype=dtype)
        network = self._network()
        results = [network.forward(part, want_hidden=want_hidden)[keep] for part, keep in parts]
        return results[0] if len(results) == 1 else np.concatenate(results)

    def transform(self, X, *, groups=None, context=None):
        """Return the last hidden state of the top layer, as features for another model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full.

        Returns
        -------
        ndarray of shape (n_samples, hidden_size)
            In the estimator's `dtype`.
        """
        return self._forward(X, groups, context, want_hidden=True)

    def fit_transform(self, X, y=None, *, sample_weight=None, groups=None):
        """Fit, then transform the same X, with the same groups.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        ndarray of shape (n_samples, hidden_size)
            The last hidden state of the top layer.
        """
        fitted = self.fit(X, y, sample_weight=sample_weight, groups=groups)
        if not self.carry_context:
            return fitted.transform(X, groups=groups)
        # The carried rows come after X, not before it: X stands at the beginning here.
        return fitted.transform(X, context=np.empty((0, self.n_features_in_)))

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


def automatic_batch_size(n_samples):
    """Return the size behind ``batch_size="auto"``: small data get small batches, so that an epoch has enough steps."""
    return int(np.clip(n_samples // 32, 8, 128))
